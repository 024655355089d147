//! Access: who calls the API, and what each may call. Everything else in the API runs behind this door.

mod callers;
mod connections;
mod methods;
mod places;
mod refusal;
mod refusals;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use rustls::ServerConfig;
use tonic::Status;

pub(super) use self::connections::connections;
pub use self::refusal::{AuditSink, Refused};
use self::{
    callers::Callers,
    methods::For,
    refusal::{NoAudit, Refusal},
    refusals::{Refusals, Told, Who},
};
pub use crate::config::Role;
use crate::{
    config::{Environment, Grpc},
    telemetry::names,
};

/// Who calls where no callers are configured: whoever can reach the address, which is on loopback then.
const LOCAL: &str = "local";

/// Who has made a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its name in the configuration, or `local`.
    pub name: Arc<str>,
    /// What it may do.
    pub roles: Arc<[Role]>,
    /// Where its connection comes from.
    pub address: SocketAddr,
    /// It has proven who it is; else no callers are configured, and it is whoever can reach the address.
    pub is_known: bool,
}

impl Caller {
    /// Its roles as the configuration writes them, with commas between.
    pub fn role_names(&self) -> String {
        names_of(&self.roles)
    }

    /// Whether a method, such as `tollgate.v1.BalanceService/Adjust`, is for it.
    pub(super) fn may(&self, method: &str) -> Result<(), Status> {
        match methods::of(&format!("/{method}")) {
            Some((name, For::Roles(roles))) if !roles.iter().any(|role| self.roles.contains(role)) => {
                Err(Refusal::Role(name, roles).status(Some(self)))
            }
            Some(_) => Ok(()),
            None => Err(Refusal::UnknownMethod.status(Some(self))),
        }
    }
}

fn names_of(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

/// Who has made a call. A service asks this, not the request's metadata.
///
/// # Errors
/// INTERNAL: the call did not come through the door, which cannot be.
pub fn caller<T>(request: &tonic::Request<T>) -> Result<&Caller, Status> {
    request.extensions().get().ok_or_else(|| Status::internal("nobody knows who calls"))
}

/// The API's door. Clones are the same door.
#[derive(Clone)]
pub struct Access(Arc<Door>);

struct Door {
    callers: Callers,
    public_reflection: bool,
    tls: Option<Arc<ServerConfig>>,
    refusals: Mutex<Refusals>,
    audit: Arc<dyn AuditSink>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("callers", &self.0.callers).finish_non_exhaustive()
    }
}

impl Access {
    /// As the configuration says; refusals are told to `audit`, too, if there is one.
    ///
    /// # Errors
    /// The API would be in the open, or a file or variable cannot be used: which, and why.
    pub fn load(grpc: &Grpc, environment: &dyn Environment, audit: Option<Arc<dyn AuditSink>>) -> Result<Self, String> {
        if let Some(why) = grpc.exposed() {
            return Err(format!("grpc.listen: {why}"));
        }
        let tls = grpc.tls.is_on().then(|| grpc.tls.load()).transpose();
        Ok(Self(Arc::new(Door {
            callers: Callers::read(grpc, environment).map_err(|why| format!("grpc.caller: {why}"))?,
            public_reflection: grpc.public_reflection,
            tls: tls.map_err(|(_, why)| format!("grpc.tls: {why}"))?,
            refusals: Mutex::default(),
            audit: audit.unwrap_or_else(|| Arc::new(NoAudit)),
        })))
    }

    /// Who makes a call, if it is one for them. `None` = it is for everyone, and nobody is asked.
    fn admit(&self, path: &str, headers: &HeaderMap, peer: &Peer) -> Result<Option<Caller>, Status> {
        let method = methods::of(path);
        let open = match method {
            Some((_, For::Anyone)) => true,
            Some((_, For::Looking)) => self.0.public_reflection,
            _ => false,
        };
        if open {
            return Ok(None);
        }
        let name = method.map_or("unknown", |(name, _)| name);
        let caller = self.identify(headers, peer).map_err(|refusal| self.refuse(None, peer.address, name, &refusal))?;
        let refusal = match method {
            None => Refusal::UnknownMethod,
            Some((name, For::Roles(roles))) if !roles.iter().any(|role| caller.roles.contains(role)) => {
                Refusal::Role(name, roles)
            }
            Some(_) => return Ok(Some(caller)),
        };
        Err(self.refuse(Some(&caller), peer.address, name, &refusal))
    }

    fn identify(&self, headers: &HeaderMap, peer: &Peer) -> Result<Caller, Refusal> {
        let address = peer.address;
        if self.0.callers.is_empty() {
            return Ok(Caller { name: LOCAL.into(), roles: [Role::Operator].into(), address, is_known: false });
        }
        let token = if headers.contains_key(AUTHORIZATION) {
            // Before it is looked at: else the answers would still tell which one fits.
            if let Some(left) = self.refusals().blocked(address.ip(), Instant::now()) {
                return Err(Refusal::Blocked(left));
            }
            Some(bearer(headers)?)
        } else {
            None
        };
        let proven = self.0.callers.identify(peer.names.as_deref(), token)?;
        Ok(Caller { name: Arc::clone(&proven.name), roles: Arc::clone(&proven.roles), address, is_known: true })
    }

    /// Counts a refusal and writes it down, unless its address has been refused too often of late.
    fn refuse(&self, caller: Option<&Caller>, address: SocketAddr, method: &'static str, refusal: &Refusal) -> Status {
        let (reason, who) = (refusal.reason(), caller.map_or("none", |caller| &caller.name));
        metrics::counter!(names::GRPC_REFUSED, "reason" => reason, "caller" => who.to_owned()).increment(1);
        let kind = match caller {
            Some(_) => Who::Caller,
            None if refusal.may_be_guess() => Who::Guesser,
            None => Who::Stranger,
        };
        let told = self.refusals().refused(address.ip(), kind, Instant::now());
        if told != Told::No {
            let message = refusal.message(caller);
            let last = told == Told::Last;
            tracing::warn!(%address, caller = who, method, reason, last, "gRPC call refused: {message}");
            self.0.audit.refused(&Refused { caller, address, method, reason, message: &message });
        }
        refusal.status(caller)
    }

    /// A panic while it was held would have left counts, which cannot be half done.
    fn refusals(&self) -> std::sync::MutexGuard<'_, Refusals> {
        self.0.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection tells of who is at its other end.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    address: SocketAddr,
    /// The names of the certificate that was shown; `None` = none was.
    names: Option<Arc<[String]>>,
}

/// Before every call: lets it in, with its [`Caller`], or answers it.
pub(super) async fn guard(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>() else {
        return Status::internal("nobody knows where the call comes from").into_http();
    };
    match access.admit(request.uri().path(), request.headers(), peer) {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(status) => status.into_http(),
    }
}

/// The token of `authorization: Bearer TOKEN` (RFC 6750 2.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Refusal::OddAuthorization) };
    let (scheme, token) = value.as_bytes().split_at_checked(7).ok_or(Refusal::OddAuthorization)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Refusal::OddAuthorization);
    }
    Ok(token.trim_ascii())
}
