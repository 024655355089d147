//! Makes vouchers and redeems them. Each step touches one partition, and none holds two locks.

use std::sync::PoisonError;

use super::{By, Store, partition::Partition};
use crate::{
    charging::{
        Command, CreditCommand, CreditKind, Decided, Manage, ManageCommand, Outcome, Refusal, VoucherBatch,
        VoucherCommand, VoucherMark, VoucherValue, decide_by, voucher_receipt_id,
    },
    ids::{AccountId, BucketId, PartitionId, VoucherCode, VoucherKey},
    journal::{Disk, Pending, Position},
    units::Money,
};

/// Vouchers whose redemption is taken up again in one call.
const REDEEMING_AT_ONCE: usize = 256;

/// A voucher was redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// What it was worth.
    pub value: VoucherValue,
    /// Money of the account afterwards.
    pub balance: Money,
    /// For an allowance: its bucket.
    pub bucket: BucketId,
    /// It had been redeemed by this very request before.
    pub repeated: bool,
}

/// A batch of vouchers, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStatus {
    /// Its terms.
    pub batch: VoucherBatch,
    /// How many vouchers it has.
    pub count: u64,
    /// How many of them have not been redeemed.
    pub open: u64,
    /// None is redeemed any more.
    pub blocked: bool,
}

impl<D: Disk> Store<D> {
    /// Makes the vouchers of a batch. The codes are the caller's, and only their hashes are kept.
    ///
    /// # Errors
    /// There is a batch of this name already; nothing has changed.
    pub(super) fn create_vouchers_by(
        &self,
        (batch, blocked): (&VoucherBatch, bool),
        codes: &[VoucherCode],
        mut execute: impl FnMut(&mut Partition, PartitionId, &Command<'_>) -> (Decided, Position),
    ) -> Pending<Result<(), Refusal>> {
        let mut parts: Vec<Vec<(u32, VoucherKey)>> = vec![Vec::new(); self.partitions.len()];
        for (no, code) in (1..).zip(codes) {
            let key = code.key(self.origin.secret);
            parts[usize::from(self.partition_of_voucher(key).0)].push((no, key));
        }
        for (partition, part) in self.partition_ids().zip(parts) {
            let command = Command::Voucher(VoucherCommand::Create(batch, blocked, part));
            let (decided, _) = execute(&mut self.lock(partition), partition, &command);
            // The first partition knows all batches; another can only know one whose creation was cut off.
            if let Outcome::Refused(refusal) = decided.outcome {
                return self.pending(Err(refusal));
            }
        }
        self.pending(Ok(()))
    }

    /// Redeems a voucher for an account.
    ///
    /// # Errors
    /// No voucher has this code, it has been redeemed, has expired, is blocked, the account does not take it, or the request id
    /// was used for something else. No money has moved then.
    pub(super) fn redeem_voucher_by(
        &self,
        code: VoucherCode,
        account: AccountId,
        request_id: &str,
        mut execute: impl FnMut(&mut Partition, PartitionId, &Command<'_>) -> (Decided, Position),
    ) -> Pending<Result<Redeemed, Refusal>> {
        let key = code.key(self.origin.secret);
        let partition = self.partition_of_voucher(key);
        let command = Command::Voucher(VoucherCommand::Take(key, account, request_id));
        // Asked first: the request id stays free for a code that can be redeemed.
        let would = decide_by(&self.lock(partition).state, &self.catalogs_now(), &command, self.clock.now());
        if let Outcome::Refused(refusal) = would.outcome {
            return self.pending(Err(refusal));
        }
        let claim = ManageCommand { account, request_id, reason: "voucher", what: Manage::Redeem(key) };
        if let Outcome::Refused(refusal) = self.execute_for(account, &Command::Manage(claim)).0.outcome {
            return self.pending(Err(refusal));
        }
        let (decided, _) = self.execute(&mut self.lock(partition), partition, &command);
        if let Outcome::Refused(refusal) = decided.outcome {
            return self.pending(Err(refusal));
        }
        let redeemed = self.deliver_voucher(key, |account, command| {
            let partition = self.partition_of(account);
            let mut cell = self.lock(partition);
            self.catch_up(&mut cell, partition, account, false, self.clock.now());
            execute(&mut cell, partition, command)
        });
        self.pending(redeemed)
    }

    /// Credits the account that a voucher was taken for. Done again it changes nothing and says the same.
    fn deliver_voucher(
        &self,
        key: VoucherKey,
        mut execute: impl FnMut(AccountId, &Command<'_>) -> (Decided, Position),
    ) -> Result<Redeemed, Refusal> {
        // Nothing is behind it that a panic could leave half done.
        let _alone = self.delivering.lock().unwrap_or_else(PoisonError::into_inner);
        let partition = self.partition_of_voucher(key);
        let (voucher, value) = {
            let cell = self.lock(partition);
            let (voucher, known) = cell.state.voucher(key).ok_or(Refusal::NoSuchVoucher)?;
            (voucher.clone(), known.batch.value.clone())
        };
        let redeemed = "the voucher has been redeemed";
        let by = match &voucher.mark {
            // The account has forgotten the credit: it would be given again.
            VoucherMark::Redeemed(by) if !self.remembers_request(by.account, &voucher_receipt_id(&voucher)) => {
                return Err(Refusal::NotPossible(redeemed.into()));
            }
            VoucherMark::Open => return Err(Refusal::NotPossible("the voucher was given back: try again".into())),
            VoucherMark::OnTheWay(by) | VoucherMark::Redeemed(by) => by.clone(),
        };
        let receipt = voucher_receipt_id(&voucher);
        let kind = match &value {
            VoucherValue::Money(amount) => CreditKind::Voucher { amount: *amount, batch: &voucher.batch },
            VoucherValue::Allowance(name) => CreditKind::Allowance(name),
        };
        // In the journal it stands behind the taking, so it can never survive a crash that the taking does not.
        let credit = CreditCommand { account: by.account, kind, currency: None, request_id: &receipt };
        let (decided, _) = execute(by.account, &Command::Credit(credit));
        let credited = match decided.outcome {
            Outcome::Credited { balance, bucket } => Ok((balance, bucket, decided.repeated)),
            // Not the code, which is right.
            Outcome::Refused(Refusal::NotThere(why)) => Err(Refusal::NotPossible(why)),
            Outcome::Refused(refusal) => Err(refusal),
            // The core answers a credit with a balance or a refusal.
            Outcome::Answer(_) | Outcome::Done => Err(Refusal::UnknownAccount(by.account)),
        };
        let done = if credited.is_ok() { VoucherCommand::Delivered(key) } else { VoucherCommand::GiveBack(key) };
        self.execute(&mut self.lock(partition), partition, &Command::Voucher(done));
        credited.map(|(balance, bucket, repeated)| Redeemed { value, balance, bucket, repeated })
    }

    /// Takes up redemptions that a crash left on their way. Returns how many.
    pub fn resume_vouchers(&self) -> usize {
        let mut resumed = 0;
        for partition in self.partition_ids() {
            let keys = self.lock(partition).state.redeeming(REDEEMING_AT_ONCE);
            resumed += keys.len();
            for key in keys {
                let by = self.by(By::node("RedeemVoucher", "taken up again"));
                drop(self.deliver_voucher(key, |account, command| by.execute_for(account, command)));
            }
        }
        resumed
    }

    /// Blocks a batch, or lets its vouchers be redeemed again.
    ///
    /// # Errors
    /// There is no such batch.
    pub(super) fn block_vouchers_by(
        &self,
        batch: &str,
        blocked: bool,
        mut execute: impl FnMut(&mut Partition, PartitionId, &Command<'_>) -> (Decided, Position),
    ) -> Pending<Result<(), Refusal>> {
        let mut known = Err(Refusal::NotThere(format!("there is no batch `{batch}`")));
        for partition in self.partition_ids() {
            let command = Command::Voucher(VoucherCommand::Block(batch, blocked));
            let (decided, _) = execute(&mut self.lock(partition), partition, &command);
            if !matches!(decided.outcome, Outcome::Refused(_)) {
                known = Ok(());
            }
        }
        self.pending(known)
    }

    /// All batches, by name.
    pub fn voucher_batches(&self) -> Vec<BatchStatus> {
        let mut batches = std::collections::BTreeMap::new();
        for partition in self.partition_ids() {
            for known in self.lock(partition).state.voucher_batches() {
                let status = batches.entry(known.batch.name.clone()).or_insert_with(|| BatchStatus {
                    batch: known.batch.clone(),
                    count: 0,
                    open: 0,
                    blocked: known.blocked,
                });
                status.count += u64::from(known.count);
                status.open += u64::from(known.open);
                status.blocked &= known.blocked;
            }
        }
        batches.into_values().collect()
    }

    /// What has become of a voucher: its batch, its number in it, whether it is blocked, and its mark.
    pub fn voucher(&self, code: VoucherCode) -> Option<(VoucherBatch, u32, bool, VoucherMark)> {
        let key = code.key(self.origin.secret);
        let cell = self.lock(self.partition_of_voucher(key));
        let (voucher, known) = cell.state.voucher(key)?;
        Some((known.batch.clone(), voucher.no, known.blocked, voucher.mark.clone()))
    }

    fn partition_of_voucher(&self, key: VoucherKey) -> PartitionId {
        // Less than the number of partitions, which is a u16.
        PartitionId((key.0 % self.partitions.len() as u64) as u16)
    }
}
