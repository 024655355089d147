//! Delivers money between accounts. Each step touches one partition, and none holds two locks.

use std::sync::PoisonError;

use super::{By, Store, partition::Partition};
use crate::{
    charging::{
        AccountState, Command, CreditCommand, CreditKind, Decided, Manage, ManageCommand, Outcome, Refusal, receipt_id,
    },
    ids::{AccountId, PartitionId},
    journal::{Disk, Pending, Position},
    units::{Currency, Money},
};

/// A transfer.
#[derive(Debug, Clone, Copy)]
pub struct TransferOrder<'a> {
    /// Who sends.
    pub from: AccountId,
    /// Who gets it.
    pub to: AccountId,
    /// Above zero.
    pub amount: Money,
    /// Its currency.
    pub currency: Currency,
    /// The caller's idempotency key, unique for the sender.
    pub request_id: &'a str,
    /// Why, for the record.
    pub reason: &'a str,
}

/// Why a transfer did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferFailed {
    /// The sender refused, or it came back.
    #[error(transparent)]
    Sender(#[from] Refusal),
    /// The receiver cannot take it.
    #[error("the receiver: {0}")]
    Receiver(Refusal),
}

/// Accounts whose transfers are taken up again in one call.
const SENDERS_AT_ONCE: usize = 256;

impl<D: Disk> Store<D> {
    /// Takes money from the sender: it is on its way from then on, and is delivered by
    /// [`deliver_transfers`](Self::deliver_transfers), now or after a crash. Returns the sender's balance, and whether it had
    /// been sent before.
    ///
    /// # Errors
    /// Nothing has changed.
    pub fn send_transfer(&self, order: TransferOrder<'_>) -> Pending<Result<(Money, bool), TransferFailed>> {
        self.send_transfer_by(order, |cell, partition, command| self.execute(cell, partition, command))
    }

    pub(super) fn send_transfer_by(
        &self,
        order: TransferOrder<'_>,
        execute: impl FnOnce(&mut Partition, PartitionId, &Command<'_>) -> (Decided, Position),
    ) -> Pending<Result<(Money, bool), TransferFailed>> {
        let TransferOrder { from, to, amount, currency, request_id, reason } = order;
        let receiver = {
            let cell = self.lock(self.partition_of(to));
            match cell.state.account(to) {
                None => Err(Refusal::UnknownAccount(to)),
                Some(account) if account.state == AccountState::Terminated => Err(Refusal::Terminated(to)),
                Some(account) => Ok(account.currency),
            }
        };
        let known = self.lock(self.partition_of(from)).state.account(from).map(|account| account.currency);
        if let Some(account) = known.filter(|known| *known != currency) {
            return self.pending(Err(TransferFailed::Sender(Refusal::WrongCurrency { account, given: currency })));
        }
        let what = Manage::SendTransfer { to, amount };
        let command = Command::Manage(ManageCommand { account: from, request_id, reason, what });
        // A repetition is answered as the first one, whatever has become of the receiver.
        let first = !self.remembers_request(from, request_id);
        match receiver {
            Err(refusal) if first => return self.pending(Err(TransferFailed::Receiver(refusal))),
            Ok(account) if first && account != currency => {
                let refusal = Refusal::WrongCurrency { account, given: currency };
                return self.pending(Err(TransferFailed::Receiver(refusal)));
            }
            _ => {}
        }
        let partition = self.partition_of(from);
        let mut cell = self.lock(partition);
        self.catch_up(&mut cell, partition, from, false, self.clock.now());
        let (decided, position) = execute(&mut cell, partition, &command);
        let sent = match decided.outcome {
            Outcome::Credited { balance, .. } => Ok((balance, decided.repeated)),
            Outcome::Refused(refusal) => Err(TransferFailed::Sender(refusal)),
            // The core answers a transfer with a balance or a refusal.
            Outcome::Answer(_) | Outcome::Done => Err(TransferFailed::Sender(Refusal::UnknownAccount(from))),
        };
        Pending::new(sent, position)
    }

    /// Delivers what an account has sent and is on its way. Those that the receiver refuses come back: their request ids and
    /// why.
    pub fn deliver_transfers(&self, from: AccountId) -> Pending<Vec<(Box<str>, Refusal)>> {
        // Nothing is behind it that a panic could leave half done.
        let _alone = self.delivering.lock().unwrap_or_else(PoisonError::into_inner);
        let on_the_way = {
            let cell = self.lock(self.partition_of(from));
            let profile = cell.state.account(from).and_then(|account| account.profile.as_deref());
            profile.map_or_else(Vec::new, |profile| profile.transfers.clone())
        };
        let mut returned = Vec::new();
        for transfer in on_the_way {
            let receipt = receipt_id(from, &transfer);
            let kind = CreditKind::Transfer { amount: transfer.amount, from };
            let credit = CreditCommand { account: transfer.to, kind, currency: None, request_id: &receipt };
            // In the journal it stands behind the sending, so it can never survive a crash that the sending does not.
            let reason = format!("transfer {} of account {from}", transfer.request_id);
            let by = self.by(By::node("Transfer", &reason));
            let (credited, _) = by.execute_for(transfer.to, &Command::Credit(credit));
            let refused = match credited.outcome {
                Outcome::Refused(refusal) => Some(refusal),
                Outcome::Credited { .. } | Outcome::Answer(_) | Outcome::Done => None,
            };
            let why = refused.as_ref().map(ToString::to_string);
            let what = match &why {
                None => Manage::SettleTransfer(&transfer.request_id),
                Some(why) => Manage::ReturnTransfer { request_id: &transfer.request_id, why },
            };
            let command = ManageCommand { account: from, request_id: "", reason: "transfer", what };
            by.execute_for(from, &Command::Manage(command));
            returned.extend(refused.map(|refusal| (transfer.request_id, refusal)));
        }
        self.pending(returned)
    }

    /// Takes up transfers that a crash, or a caller that went away, left on their way. Returns of how many accounts.
    pub fn resume_transfers(&self) -> usize {
        let mut resumed = 0;
        for partition in self.partition_ids() {
            let senders = self.lock(partition).state.senders(SENDERS_AT_ONCE);
            resumed += senders.len();
            senders.into_iter().for_each(|sender| drop(self.deliver_transfers(sender)));
        }
        resumed
    }

    /// Whether an account has answered a request with this id, as far as is remembered.
    pub fn remembers_request(&self, account: AccountId, request_id: &str) -> bool {
        self.lock(self.partition_of(account)).state.remembers_request(account, request_id)
    }
}
