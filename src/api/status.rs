//! How failures are told: gRPC status codes and messages.

use std::{fmt::Display, future::Future};

use tonic::{Code, Response, Status};

use super::Api;
use crate::{
    charging::Refusal,
    journal::{Durable, Fatal, Pending, Space},
    store::{BulkError, CreateSubscriberError, CursorTooOld, PublishError, TransferFailed},
    telemetry::names,
};

/// Why a change is refused that could be made any other time.
pub(super) const NO_ROOM: &str =
    "the disk of this node is full: nothing was changed, and changes are refused until there is room; try again later";

/// A field of the request is not what it must be.
pub(super) fn invalid(field: &str, why: impl Display) -> Status {
    Status::invalid_argument(format!("{field}: {why}"))
}

/// A field of the request names something that does not exist.
pub(super) fn not_found(field: &str, why: impl Display) -> Status {
    Status::not_found(format!("{field}: {why}"))
}

/// Nothing becomes durable any more, so nothing is promised.
pub(super) fn unavailable(fatal: &Fatal) -> Status {
    Status::unavailable(fatal.to_string())
}

/// Events that would come first are gone.
pub(super) fn too_old(error: CursorTooOld) -> Status {
    Status::out_of_range(format!("cursor: {error}; subscribe again after it and read what is missing from accounts"))
}

/// The core's refusal.
pub(super) fn refused(refusal: &Refusal) -> Status {
    let code = match refusal {
        Refusal::UnknownAccount(_) | Refusal::UnknownSession | Refusal::NoSuchVoucher | Refusal::NotThere(_) => {
            Code::NotFound
        }
        Refusal::AccountExists(_) | Refusal::IdentityTaken(_) | Refusal::SubscriberExists(_) => Code::AlreadyExists,
        Refusal::Terminated(_)
        | Refusal::RequestIdReused(_)
        | Refusal::WrongCurrency { .. }
        | Refusal::TooManyBuckets(_)
        | Refusal::NotPossible(_)
        | Refusal::NotByOperator => Code::FailedPrecondition,
        Refusal::BadAmount(_) | Refusal::Invalid(_) => Code::InvalidArgument,
        Refusal::OutOfRange => Code::OutOfRange,
        Refusal::RemembersEnough => Code::ResourceExhausted,
    };
    Status::new(code, refusal.to_string())
}

/// A bulk change was not submitted, or not decided about.
pub(super) fn bulk_refused(error: &BulkError) -> Status {
    let (field, code) = match error {
        BulkError::RequestIdReused(_) => ("request_id", Code::FailedPrecondition),
        BulkError::TooManyOpen => ("changes", Code::ResourceExhausted),
        BulkError::TooLong(_) => ("changes", Code::InvalidArgument),
        BulkError::Unknown(_) => ("bulk_id", Code::NotFound),
        BulkError::NotPending { .. } => ("bulk_id", Code::FailedPrecondition),
        BulkError::SamePerson { .. } => ("bulk_id", Code::PermissionDenied),
    };
    Status::new(code, format!("{field}: {error}"))
}

/// A catalog was not published, or not withdrawn.
pub(super) fn publish_refused(error: &PublishError) -> Status {
    let (field, code) = match error {
        PublishError::Currency { .. } => ("toml", Code::FailedPrecondition),
        PublishError::Past { .. } => ("activate_at_ms", Code::InvalidArgument),
        PublishError::TooManyPending => ("activate_at_ms", Code::ResourceExhausted),
        PublishError::RequestIdReused(_) => ("request_id", Code::FailedPrecondition),
        PublishError::Unknown(_) => ("number", Code::NotFound),
        PublishError::InForce(_) => ("number", Code::FailedPrecondition),
    };
    Status::new(code, format!("{field}: {error}"))
}

/// A subscriber was not created.
pub(super) fn subscriber_refused(error: &CreateSubscriberError) -> Status {
    match error {
        CreateSubscriberError::IdentityTaken(_) => Status::already_exists(error.to_string()),
        CreateSubscriberError::Refused(refusal) => refused(refusal),
    }
}

/// Money was not sent to another account.
pub(super) fn transfer_failed(error: &TransferFailed) -> Status {
    let code = match error {
        TransferFailed::Sender(refusal) | TransferFailed::Receiver(refusal) => refused(refusal).code(),
    };
    Status::new(code, error.to_string())
}

impl Api {
    /// Waits until what an answer rests on is durable.
    pub(super) async fn durable<T>(&self, pending: Pending<T>) -> Result<T, Status> {
        let durable = self.store.mark().durable(pending).await;
        durable.map(Durable::into_inner).map_err(|fatal| unavailable(&fatal))
    }

    /// Refuses a change early when nothing can become durable any more, or when there is no room for it.
    pub(super) fn check_journal(&self) -> Result<(), Status> {
        if let Some(fatal) = self.store.mark().fatal() {
            return Err(unavailable(&fatal));
        }
        match self.store.room().space() {
            Space::Enough => Ok(()),
            Space::Short | Space::Reserved => Err(Status::resource_exhausted(NO_ROOM)),
        }
    }
}

/// Answers a call and counts it.
pub(super) async fn answered<T>(
    method: &'static str,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<Response<T>, Status> {
    let result = work.await;
    let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
    metrics::counter!(names::API_REQUESTS, "method" => method, "code" => code_name(code)).increment(1);
    result.map(Response::new)
}

/// The name of a status code as gRPC's documentation writes it.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
