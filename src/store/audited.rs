//! Changes by callers: each goes into the journal together with who made it, in one record.

use std::sync::{Mutex, PoisonError};

use super::{
    CreateSubscriberError, Done, Publish, PublishError, Published, Redeemed, Store, TransferFailed, TransferOrder,
    execute::done, partition::Partition, trails::Facts,
};
use crate::{
    charging::{
        BulkItem, Command, CreditCommand, Decided, Outcome, Refusal, State, SubscriberSpec, VoucherBatch, decide_by,
    },
    ids::{AccountId, PartitionId, SessionKey, VoucherCode},
    journal::{
        Disk, Pending, Position, Space,
        record::{self, Audit},
    },
    rating::Publication,
    time::Timestamp,
    units::Money,
};

/// Characters of a name, role, address, method, target or refusal in the trail.
const WORD_CHARS_MAX: usize = 256;
/// Refused calls that are written at once, and how many more each second: whoever is refused may call as often as he likes,
/// and must not fill the disk by that. What is left out is counted.
const REFUSALS_AT_ONCE: u32 = 200;
const REFUSALS_PER_SEC: u32 = 10;

/// Who changes something, by which call and why.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// The authenticated name.
    pub name: &'a str,
    /// The role.
    pub role: &'a str,
    /// The address it called from.
    pub address: &'a str,
    /// The call.
    pub method: &'a str,
    /// Why, in the caller's words; may be empty.
    pub reason: &'a str,
}

impl<'a> By<'a> {
    /// The node itself, which goes on with what a caller has begun.
    pub(super) const fn node(method: &'a str, reason: &'a str) -> Self {
        Self { name: "tollgate", role: "", address: "", method, reason }
    }
}

/// A store as a caller changes it: what is done through this is audited.
#[derive(Debug, Clone, Copy)]
pub struct Audited<'s, D: Disk> {
    pub(super) store: &'s Store<D>,
    pub(super) by: By<'s>,
    pub(super) tick: Option<Tick<'s>>,
}

/// Which change of a bulk change is being executed, and who has approved it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick<'s> {
    pub(super) bulk: u64,
    pub(super) item: u32,
    pub(super) approver: &'s str,
}

impl<D: Disk> Store<D> {
    /// The store as a caller changes it.
    pub fn by<'s>(&'s self, by: By<'s>) -> Audited<'s, D> {
        Audited { store: self, by, tick: None }
    }
}

impl<'s, D: Disk> Audited<'s, D> {
    /// The same for a change of a bulk change: whatever becomes of it is one record with its tick.
    pub(super) fn ticking(self, tick: Tick<'s>) -> Self {
        Self { tick: Some(tick), ..self }
    }
}

impl<D: Disk> Audited<'_, D> {
    /// As [`Store::account_command`].
    ///
    /// # Errors
    /// The core refused; nothing has changed but the audit trail.
    pub fn account_command(&self, account: AccountId, command: &Command<'_>) -> Pending<Result<Done, Refusal>> {
        let (decided, position) = self.execute_for(account, command);
        Pending::new(done(decided), position)
    }

    /// As [`Store::execute_for`].
    pub(super) fn execute_for(&self, account: AccountId, command: &Command<'_>) -> (Decided, Position) {
        let partition = self.store.partition_of(account);
        let mut cell = self.store.lock(partition);
        self.store.catch_up(&mut cell, partition, account, false, self.store.clock.now());
        let done = self.execute(&mut cell, partition, command, &About::Account(account));
        // There may be money now for what pauses for want of it.
        self.store.catch_up(&mut cell, partition, account, false, self.store.clock.now());
        done
    }

    /// As [`Store::send_transfer`].
    pub fn send_transfer(&self, order: TransferOrder<'_>) -> Pending<Result<(Money, bool), TransferFailed>> {
        let about = About::Account(order.from);
        let mut decided = false;
        let sent = self.store.send_transfer_by(order, |cell, partition, command| {
            decided = true;
            self.execute(cell, partition, command, &about)
        });
        sent.map(|sent| {
            // What was refused before the sender was asked.
            if let (Err(failed), false) = (&sent, decided) {
                self.refused(&about.to_string(), &failed.to_string());
            }
            sent
        })
    }

    /// Makes the vouchers of a batch, blocked or not. The codes are the caller's, and only their hashes are kept.
    ///
    /// # Errors
    /// There is a batch of this name already; nothing has changed but the audit trail.
    pub fn create_vouchers(
        &self,
        batch: &VoucherBatch,
        blocked: bool,
        codes: &[VoucherCode],
    ) -> Pending<Result<(), Refusal>> {
        let about = About::Vouchers(&batch.name);
        self.store.create_vouchers_by((batch, blocked), codes, self.once(&about))
    }

    /// Blocks a batch of vouchers, or lets them be redeemed again.
    ///
    /// # Errors
    /// There is no such batch.
    pub fn block_vouchers(&self, batch: &str, blocked: bool) -> Pending<Result<(), Refusal>> {
        let about = About::Vouchers(batch);
        self.store.block_vouchers_by(batch, blocked, self.once(&about))
    }

    /// Redeems a voucher for an account.
    ///
    /// # Errors
    /// No voucher has this code, it has been redeemed, has expired, is blocked, or the account does not take it. Nothing has
    /// changed then but the audit trail.
    pub fn redeem_voucher(
        &self,
        code: VoucherCode,
        account: AccountId,
        request_id: &str,
    ) -> Pending<Result<Redeemed, Refusal>> {
        let about = About::Account(account);
        let execute =
            |cell: &mut Partition, partition, command: &Command<'_>| self.execute(cell, partition, command, &about);
        let redeemed = self.store.redeem_voucher_by(code, account, request_id, execute);
        redeemed.map(|redeemed| {
            if let Err(refusal) = &redeemed {
                self.refused(&about.to_string(), &refusal.to_string());
            }
            redeemed
        })
    }

    /// Executes what is done in every partition: the first one's record says who asked for it.
    fn once(&self, about: &About<'_>) -> impl FnMut(&mut Partition, PartitionId, &Command<'_>) -> (Decided, Position) {
        move |cell, partition, command| {
            if partition == PartitionId(0) {
                self.execute(cell, partition, command, about)
            } else {
                self.store.execute(cell, partition, command)
            }
        }
    }

    /// As [`Store::publish`].
    ///
    /// # Errors
    /// It cannot be published like that; nothing has changed but the audit trail.
    pub fn publish(&self, publish: Publish) -> Pending<Result<Published, PublishError>> {
        let in_force = self.store.version().number();
        let audit = |new: &Publication| {
            let before = format!("{{\"in_force\":{in_force}}}");
            let after = format!("{{\"activates\":\"{}\",\"sessions\":\"{:?}\"}}", new.activates, new.sessions);
            self.audit(new.published, &format!("catalog version {}", new.number), (before.into(), after.into()), "")
        };
        let done = self.store.publish_by(publish, Some(&audit));
        done.map(|done| self.catalog_refused(done, "catalog"))
    }

    /// As [`Store::withdraw`].
    ///
    /// # Errors
    /// There is no such version, or it is too late; nothing has changed but the audit trail.
    pub fn withdraw(&self, number: u32) -> Pending<Result<Published, PublishError>> {
        let target = format!("catalog version {number}");
        let audit = |known: &Publication| {
            let at = known.withdrawn.unwrap_or(known.published);
            self.audit(at, &target, ("{\"state\":\"pending\"}".into(), "{\"state\":\"withdrawn\"}".into()), "")
        };
        let done = self.store.withdraw_by(number, Some(&audit));
        done.map(|done| self.catalog_refused(done, &target))
    }

    fn catalog_refused(&self, done: Result<Published, PublishError>, target: &str) -> Result<Published, PublishError> {
        if let Err(error) = &done {
            self.refused(target, &error.to_string());
        }
        done
    }

    /// As [`Store::credit`].
    ///
    /// # Errors
    /// The core refused; nothing has changed but the audit trail.
    pub fn credit(&self, command: CreditCommand<'_>) -> Pending<Result<Done, Refusal>> {
        self.account_command(command.account, &Command::Credit(command))
    }

    /// As [`Store::create_subscriber`].
    ///
    /// # Errors
    /// An identity is taken, or the core refused; nothing has changed but the audit trail.
    pub fn create_subscriber(&self, spec: SubscriberSpec) -> Pending<Result<Done, CreateSubscriberError>> {
        let about = About::Account(spec.account);
        let execute =
            |cell: &mut Partition, partition, command: &Command<'_>| self.execute(cell, partition, command, &about);
        self.store.create_subscriber_by(spec, execute).map(|created| {
            if let Err(taken @ CreateSubscriberError::IdentityTaken(_)) = &created {
                self.refused(&about.to_string(), &taken.to_string());
            }
            created
        })
    }

    /// As [`Store::session_command`].
    pub fn session_command(
        &self,
        key: SessionKey,
        id: &str,
        command: &Command<'_>,
    ) -> Option<Pending<Result<Done, Refusal>>> {
        let partition = self.store.sessions.get(key)?;
        let mut cell = self.store.lock(partition);
        let (decided, position) = self.execute(&mut cell, partition, command, &About::Session(key, id));
        Some(Pending::new(done(decided), position))
    }

    /// As [`Store::forget_consumer`].
    pub fn forget_consumer(&self, consumer: &str) -> Pending<()> {
        let mut bytes = Vec::new();
        let at = self.store.clock.now();
        record::encode_forgotten(consumer, at, &mut bytes);
        let cursor = self.store.outbox.acknowledged(consumer).unwrap_or(0);
        let sides = (format!("{{\"cursor\":{cursor}}}").into(), "{}".into());
        let audit = self.audit(at, &format!("consumer {consumer}"), sides, "");
        record::encode_audit(&audit, &mut bytes);
        let position = self.store.appender.append(&bytes, |position| {
            self.store.outbox.forget(position, consumer);
            self.store.trails.push_audit(position, audit);
        });
        Pending::new((), position)
    }

    /// Writes down that a call was refused before it came to a decision: for want of permission, for example. At most some
    /// of very many are written, and none when the journal has only its reserve left. Returns whether this one is.
    pub fn refused(&self, target: &str, why: &str) -> bool {
        let at = self.store.clock.now();
        if self.store.room.space() == Space::Reserved {
            return false;
        }
        let Some(left_out) = self.store.refusals.take(at) else { return false };
        let more =
            if left_out > 0 { format!(" ({left_out} refusals before this one are left out)") } else { String::new() };
        let why = &format!("{why}{more}");
        let audit = self.audit(at, target, ("{}".into(), "{}".into()), why);
        let mut bytes = Vec::new();
        record::encode_refused(&audit, &mut bytes);
        self.store.appender.append(&bytes, |position| self.store.trails.push_audit(position, audit));
        true
    }

    /// Decides a command and makes it true, with who asked for it in the same record.
    pub(super) fn execute(
        &self,
        cell: &mut Partition,
        partition: PartitionId,
        command: &Command<'_>,
        about: &About<'_>,
    ) -> (Decided, Position) {
        let now = self.store.clock.now();
        let catalogs = self.store.catalogs_now();
        let decided = decide_by(&cell.state, &catalogs, command, now);
        match (&decided.event, &decided.outcome) {
            (Some(event), _) => {
                let before = about.facts(&cell.state);
                let audit =
                    |state: &State| self.audit(now, &about.to_string(), before.changed_to(&about.facts(state)), "");
                self.store.commit(cell, partition, event, &catalogs.at(now).catalog, Some(&audit));
            }
            (None, outcome) if self.tick.is_some() => {
                let refusal = if let Outcome::Refused(refusal) = outcome { refusal.to_string() } else { String::new() };
                self.tell_item_ended(&about.to_string(), &refusal);
            }
            (None, Outcome::Refused(refusal)) => drop(self.refused(&about.to_string(), &refusal.to_string())),
            (None, _) => self.store.tell_repeated(&decided),
        }
        (decided, cell.last)
    }

    /// Ticks off a change of a bulk change that changed nothing: it was refused, or was so already.
    pub(super) fn tell_item_ended(&self, target: &str, refusal: &str) {
        let audit = self.audit(self.store.clock.now(), target, ("{}".into(), "{}".into()), refusal);
        let mut bytes = Vec::new();
        record::encode_bulk_item_ended(&audit, &mut bytes);
        self.store.appender.append(&bytes, |position| self.store.keep_audit(position, audit));
    }

    pub(super) fn audit(
        &self,
        at: Timestamp,
        target: &str,
        (before, after): (Box<str>, Box<str>),
        refusal: &str,
    ) -> Audit {
        let word = |text: &str| text.chars().take(WORD_CHARS_MAX).collect::<String>().into();
        let By { name, role, address, method, reason } = self.by;
        Audit {
            at,
            name: word(name),
            role: word(role),
            address: word(address),
            method: word(method),
            target: word(target),
            reason: word(reason),
            before,
            after,
            refusal: word(refusal),
            bulk: self.tick.map(|Tick { bulk, item, approver }| BulkItem { bulk, item, approver: approver.into() }),
        }
    }
}

/// What a command is about.
pub(super) enum About<'a> {
    Account(AccountId),
    Session(SessionKey, &'a str),
    Vouchers(&'a str),
}

impl About<'_> {
    fn facts(&self, state: &State) -> Facts {
        match self {
            Self::Account(account) => Facts::of_account(state, *account),
            Self::Session(key, _) => Facts::of_session(state, *key),
            Self::Vouchers(batch) => Facts::of_vouchers(state, batch),
        }
    }
}

impl std::fmt::Display for About<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account(account) => write!(f, "account {account}"),
            Self::Session(_, id) => write!(f, "session {id}"),
            Self::Vouchers(batch) => write!(f, "voucher batch {batch}"),
        }
    }
}

/// How many more refusals may be written: a bucket that fills with time.
#[derive(Debug)]
pub(super) struct Refusals(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    since: Timestamp,
    /// Since the last one that was written.
    left_out: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new(Bucket { left: REFUSALS_AT_ONCE, since: Timestamp::EPOCH, left_out: 0 }))
    }
}

impl Refusals {
    /// Whether one more may be written: then how many before it were not.
    fn take(&self, now: Timestamp) -> Option<u64> {
        // Numbers that are whole after each step.
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let secs = u32::try_from(now.since(bucket.since).as_secs()).unwrap_or(u32::MAX);
        if secs > 0 {
            bucket.left = bucket.left.saturating_add(secs.saturating_mul(REFUSALS_PER_SEC)).min(REFUSALS_AT_ONCE);
            bucket.since = now;
        }
        if bucket.left == 0 {
            bucket.left_out += 1;
            return None;
        }
        bucket.left -= 1;
        Some(std::mem::take(&mut bucket.left_out))
    }
}
