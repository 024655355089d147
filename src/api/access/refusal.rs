//! Why a call is refused, and how that is told: to the caller, to metrics, to the log and to the audit trail.

use std::{net::SocketAddr, time::Duration};

use tonic::Status;

use super::{Caller, Role, names_of};

/// Why a call, or a connection, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Neither a certificate nor a token.
    NoCredentials,
    /// An `authorization` that is no bearer token.
    OddAuthorization,
    /// A token that is nobody's.
    WrongToken,
    /// A certificate that names no caller: its names.
    UnknownCertificate(String),
    /// A certificate that names several callers.
    SeveralCallers,
    /// The token fits, but its caller must show its certificate, too.
    CertificateMissing,
    /// The certificate fits, but its caller must show its token, too.
    TokenMissing,
    /// Too many wrong credentials from this address: for how long they are not looked at.
    Blocked(Duration),
    /// There is no such method.
    UnknownMethod,
    /// A method that is not for the caller's role: the method and whose it is.
    Role(&'static str, &'static [Role]),
    /// No TLS connection came about: what the library says.
    Tls(String),
    /// As many connections as there may be, of all or of this address.
    TooManyConnections,
}

impl Refusal {
    /// One word for metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::OddAuthorization => "odd_authorization",
            Self::WrongToken => "wrong_token",
            Self::UnknownCertificate(_) => "unknown_certificate",
            Self::SeveralCallers => "several_callers",
            Self::CertificateMissing => "certificate_missing",
            Self::TokenMissing => "token_missing",
            Self::Blocked(_) => "blocked",
            Self::UnknownMethod => "unknown_method",
            Self::Role(..) => "role",
            Self::Tls(_) => "tls",
            Self::TooManyConnections => "too_many_connections",
        }
    }

    /// Whether it may be an attempt to guess a token.
    pub(super) const fn may_be_guess(&self) -> bool {
        matches!(self, Self::WrongToken | Self::OddAuthorization | Self::CertificateMissing)
    }

    /// One sentence; what was shown is not in it, but for names of certificates.
    pub(super) fn message(&self, caller: Option<&Caller>) -> String {
        match self {
            Self::NoCredentials => {
                "who calls? neither a client certificate nor `authorization: Bearer TOKEN` came with the call".into()
            }
            Self::OddAuthorization => "write `authorization: Bearer TOKEN`, once".into(),
            Self::WrongToken => "the token is no caller's".into(),
            Self::UnknownCertificate(names) if names.is_empty() => "the certificate has no name".into(),
            Self::UnknownCertificate(names) => format!("the certificate is for {names}, which no caller is known by"),
            Self::SeveralCallers => "the certificate names several callers: each needs its own".into(),
            Self::CertificateMissing => "the token alone is not enough: its caller shows its certificate, too".into(),
            Self::TokenMissing => "the certificate alone is not enough: its caller shows its token, too".into(),
            Self::Blocked(left) => {
                let seconds = left.as_secs().saturating_add(1);
                format!("too many wrong credentials from this address: try again in {seconds} s")
            }
            Self::UnknownMethod => "there is no such method".into(),
            Self::Role(method, whose) => {
                let (name, has) = caller.map_or(("unknown", String::new()), |who| (&who.name, who.role_names()));
                format!("caller `{name}` ({has}) may not call {method}: it is for {}", names_of(whose))
            }
            Self::Tls(error) => format!("no TLS: {error}"),
            Self::TooManyConnections => "too many connections are open, here or from this address".into(),
        }
    }

    /// As the caller gets it.
    pub(super) fn status(&self, caller: Option<&Caller>) -> Status {
        let message = self.message(caller);
        match self {
            Self::Role(..) => Status::permission_denied(message),
            Self::UnknownMethod => Status::unimplemented(message),
            Self::Blocked(_) | Self::TooManyConnections => Status::resource_exhausted(message),
            _ => Status::unauthenticated(message),
        }
    }
}

/// A call, or a connection, that was refused, for the audit trail.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Who called; `None` = nobody that is known.
    pub caller: Option<&'a Caller>,
    /// From where.
    pub address: SocketAddr,
    /// The method, `package.Service/Method`; `unknown` for one that there is not, `connect` for a connection.
    pub method: &'static str,
    /// One word, as in `tollgate_grpc_refused_total`.
    pub reason: &'static str,
    /// One sentence. It holds no secret.
    pub message: &'a str,
}

/// Who writes down what was refused.
pub trait AuditSink: Send + Sync {
    /// A call was refused. Called from a task that serves: it must not wait. Of an address that is refused again and again
    /// only the first hundred refusals of each minute come here; all are counted by the metric.
    fn refused(&self, refused: &Refused<'_>);
}

/// Nobody does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NoAudit;

impl AuditSink for NoAudit {
    fn refused(&self, _: &Refused<'_>) {}
}
