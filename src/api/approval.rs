//! What needs a second person's approval (`[approval]` of the configuration), and what one is told who is alone.

use std::sync::{MutexGuard, PoisonError};

use tonic::Status;

use super::{Api, access, by::Caller};
use crate::{time::Timestamp, units::Money};

/// What can be done where callers cannot be told apart.
const NO_SECOND: &str = "without callers nobody is told apart: name them in `caller` of [grpc], or raise the limits";

impl Api {
    /// When somebody must have approved what is submitted now.
    pub(super) fn approval_ends(&self) -> Timestamp {
        self.store.clock().now().plus_secs(self.approval.expires_hours.saturating_mul(3_600))
    }

    /// Whether there can be a second person, where one is needed.
    pub(super) fn can_be_approved(
        &self,
        caller: &access::Caller,
        needed: bool,
        changes: u64,
        money: Money,
    ) -> Result<(), Status> {
        if !needed || caller.is_known {
            return Ok(());
        }
        let most = &self.approval;
        Err(Status::failed_precondition(format!(
            "{changes} changes that move {money} need a second person's approval (approval.changes is {}, approval.money is \
             {}), and {NO_SECOND}",
            most.changes, most.money
        )))
    }

    /// Whether one person may move so much money, without its sign, by a single call; if not, `instead` says what somebody can
    /// do who is told apart from others. `what` is the field and what it is, as in `amount: an adjustment by`.
    pub(super) fn check_alone(&self, caller: &Caller, what: &str, amount: Money, instead: &str) -> Result<(), Status> {
        if !self.approval.is_needed(0, amount) {
            return Ok(());
        }
        let most = self.approval.money;
        let way = if caller.is_known() { format!(": {instead}") } else { format!(", and {NO_SECOND}") };
        let why = format!("{what} more than {most} (approval.money) needs a second person's approval{way}");
        Err(Status::failed_precondition(why))
    }

    /// One at a time makes a batch of vouchers, weighs one, or weighs and unblocks one: a batch is made partition by partition,
    /// and one that is only half there would weigh too little. Nothing is behind it that a panic could leave half done.
    pub(super) fn batches_alone(&self) -> MutexGuard<'_, ()> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
