//! Who calls: what the audit trail says of the caller.

use tonic::{Request, Status};

use super::{Api, access};
use crate::store::{Audited, By};

/// A caller, as far as the audit trail wants to know.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    name: String,
    role: String,
    address: String,
    /// It was configured, and so is told apart from others.
    is_known: bool,
}

impl Caller {
    /// The caller of a request.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        match access::caller(request) {
            Ok(caller) => Self {
                name: caller.name.to_string(),
                role: caller.role_names(),
                address: caller.address.to_string(),
                is_known: caller.is_known,
            },
            // It did not come through the door, which cannot be; if it did, the trail says that nobody knows.
            Err(_) => Self { name: "unknown".to_owned(), role: String::new(), address: String::new(), is_known: false },
        }
    }
}

/// Puts refused calls into the audit trail.
#[derive(Debug)]
pub struct RefusalTrail(pub std::sync::Arc<crate::store::Store>);

impl access::AuditSink for RefusalTrail {
    fn refused(&self, refused: &access::Refused<'_>) {
        let (name, role) = refused
            .caller
            .map_or_else(|| ("unknown".to_owned(), String::new()), |it| (it.name.to_string(), it.role_names()));
        let address = refused.address.to_string();
        // As the calls that are done are named.
        let call = refused.method.rsplit('/').next().unwrap_or_default();
        let by = By { name: &name, role: &role, address: &address, method: call, reason: "" };
        self.0.by(by).refused(refused.reason, refused.message);
    }
}

impl Caller {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is told apart from others.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }
}

/// A call that was refused before the store came to see it, written down.
pub(super) fn noted(by: &Audited<'_, crate::journal::FileDisk>, target: &str, refusal: Status) -> Status {
    by.refused(target, refusal.message());
    refusal
}

impl Api {
    /// The store as a caller changes it by a call, for a reason that may be empty.
    pub(super) fn by<'a>(
        &'a self,
        caller: &'a Caller,
        method: &'static str,
        reason: &'a str,
    ) -> Audited<'a, crate::journal::FileDisk> {
        let Caller { name, role, address, is_known: _ } = caller;
        self.store.by(By { name, role, address, method, reason })
    }
}
