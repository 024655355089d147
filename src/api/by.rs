//! Who calls: what the audit trail says of the caller.

use tonic::Request;

use super::Api;
use crate::store::{Audited, By};

/// A caller, as far as the audit trail wants to know.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    name: String,
    role: String,
    address: String,
}

impl Caller {
    /// The caller of a request.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        // Access to the API is by being on this machine, or on the network that is said to be trusted: nobody has a name.
        let address = request.remote_addr().map_or_else(String::new, |address| address.to_string());
        Self { name: "local".to_owned(), role: "operator".to_owned(), address }
    }
}

impl Api {
    /// The store as a caller changes it by a call, for a reason that may be empty.
    pub(super) fn by<'a>(
        &'a self,
        caller: &'a Caller,
        method: &'static str,
        reason: &'a str,
    ) -> Audited<'a, crate::journal::FileDisk> {
        let Caller { name, role, address } = caller;
        self.store.by(By { name, role, address, method, reason })
    }
}
