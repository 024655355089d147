//! Execution: decide under the lock of one partition, append, apply.

use std::{
    cell::RefCell,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use super::{Store, index::Named, partition::Partition};
use crate::{
    charging::{
        Account, Answer, Answered, ClosingCause, Command, CreditCommand, Decided, Event, EventAction, EventRequest,
        Interrogation, Outcome, Refusal, RequestKind, State, SubscriberSpec, Verdict, begins_use, decide_by,
        version_for,
    },
    ids::{AccountId, Identity, PartitionId, RefundToken, SessionKey, SessionNo},
    journal::{
        Disk, Pending, Position,
        record::{self, Audit},
    },
    rating::{Catalog, Catalogs, Version},
    time::Timestamp,
};

/// Hears of everything that happens, for metrics. Called under a partition's lock: it must be quick and must not call back.
pub trait Observer: Send + Sync + 'static {
    /// A partition changed.
    fn happened(&self, event: &Event, catalog: &Catalog);
    /// A session ended.
    fn session_ended(&self, cause: ClosingCause);
    /// A request was answered from what is remembered.
    fn repeated(&self);
    /// That request had other content than the one that it repeats (spec C-140).
    fn altered(&self, account: Option<AccountId>);
    /// Two identities of one request name two accounts.
    fn conflict(&self, first: AccountId, second: AccountId);
    /// A catalog may be charged by from now on.
    fn published(&self, _: &Catalog) {}
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentObserver;

impl Observer for SilentObserver {
    fn happened(&self, _: &Event, _: &Catalog) {}
    fn session_ended(&self, _: ClosingCause) {}
    fn repeated(&self) {}
    fn altered(&self, _: Option<AccountId>) {}
    fn conflict(&self, _: AccountId, _: AccountId) {}
}

/// Why a subscriber was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateSubscriberError {
    /// An identity belongs to another account.
    #[error("identity {} belongs to another account", .0.masked())]
    IdentityTaken(Identity),
    /// The core refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// How long a request may wait before it is decided: well within the client's patience, which is ten seconds (spec C-21).
const PATIENCE: Duration = Duration::from_secs(2);
/// Usage that names no account and no session is recorded here.
const NOBODY: PartitionId = PartitionId(0);

thread_local! {
    /// Where records are encoded before they are copied into the journal's batch.
    static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<D: Disk> Store<D> {
    /// Executes a charging request. `identities` and `key` say whom and which session it names; `command` builds the
    /// command once the account is known.
    pub fn charge<'a>(
        &self,
        identities: &[Identity],
        key: SessionKey,
        kind: RequestKind,
        number: u32,
        command: impl FnOnce(Option<AccountId>) -> Command<'a>,
    ) -> Pending<Answered> {
        self.charge_in_time(self.clock.now(), identities, key, kind, number, |account, _| command(account))
    }

    /// As [`charge`](Self::charge), for a request that was received at a moment. One that has waited too long for its turn
    /// is not decided any more: its client turns elsewhere, and nothing may move then (spec C-21). `command` is told the
    /// version of the catalog that it is decided by, too: what it names must come from that one.
    pub fn charge_in_time<'a>(
        &self,
        received: Timestamp,
        identities: &[Identity],
        key: SessionKey,
        kind: RequestKind,
        number: u32,
        command: impl FnOnce(Option<AccountId>, &Version) -> Command<'a>,
    ) -> Pending<Answered> {
        let account = match self.identities.resolve(identities) {
            Named::Account(account) => Some(account),
            Named::Nobody => None,
            Named::Conflict(first, second) => {
                // A session knows who pays, whatever its later requests say: usage is never lost (spec C-162, I-14).
                self.observer.conflict(first, second);
                None
            }
        };
        let home = account.map(|account| self.partition_of(account));
        let partition = match kind {
            RequestKind::Event => home,
            RequestKind::Initial | RequestKind::Update | RequestKind::Termination => self.sessions.get(key).or(home),
        };
        let partition = match (partition, kind) {
            (Some(partition), _) => partition,
            // What something costs may be asked for nobody: the core knows what else may be (spec C-162).
            (None, RequestKind::Event) if identities.is_empty() => NOBODY,
            (None, RequestKind::Initial | RequestKind::Event) => {
                return rests_on_nothing(Answer::bare(kind, number, Verdict::UserUnknown));
            }
            (None, RequestKind::Update | RequestKind::Termination) => {
                self.partition_that_remembers(key).unwrap_or(NOBODY)
            }
        };
        if matches!(kind, RequestKind::Initial | RequestKind::Event) && self.trails.is_behind() {
            // What begins now would leave more records than can be written: what runs comes first.
            return rests_on_nothing(Answer::bare(kind, number, Verdict::TooBusy));
        }
        let mut cell = self.lock(partition);
        let now = self.clock.now();
        if now.since(received) > PATIENCE {
            return rests_on_nothing(Answer::bare(kind, number, Verdict::TooBusy));
        }
        let payer = account.or_else(|| cell.state.payer_of(key));
        if let Some(payer) = payer {
            self.catch_up(&mut cell, partition, payer, false, now);
        }
        let catalogs = self.catalogs_now();
        let version = version_for(&cell.state, &catalogs, key, kind, now);
        let mut command = command(account, version);
        let waits = payer.and_then(|payer| cell.state.account(payer)).filter(|payer| payer.waits_for_use());
        if let Some(payer) = waits.filter(|payer| begins_use(&cell.state, &version.catalog, payer, &command)) {
            let payer = payer.id;
            self.catch_up(&mut cell, partition, payer, true, now);
        }
        if let Some(account) = account {
            self.name_member(&cell.state, account, identities, &mut command);
        }
        // Asked while the account is awake.
        let its_currency = |cell: &Partition, payer| cell.state.account(payer).map(|account| account.currency);
        let known = account.and_then(|account| its_currency(&cell, account));
        let (decided, position) = self.execute_at(&mut cell, partition, &command, &catalogs, now);
        let Outcome::Answer(answer) = decided.outcome else {
            // Charging commands are answered with answers; anything else would be a defect of the core.
            return rests_on_nothing(Answer::bare(kind, number, Verdict::UnableToComply));
        };
        let payer = decided.account.or(account);
        let currency = match payer {
            Some(payer) if account == Some(payer) => known,
            Some(payer) => its_currency(&cell, payer),
            // The price for nobody is the price list's.
            None => Some(version.catalog.currency()).filter(|_| answer.verdict == Verdict::Success),
        };
        // A debit may be given back by name; the name stands in the MSCC (spec G-83).
        let is_debit = matches!(&command, Command::ChargeEvent(event) if event.action == EventAction::Debit);
        let took = is_debit && !answer.at_command_level && answer.replies.iter().any(|reply| reply.grant.is_some());
        let refund = took.then(|| RefundToken::new(key, number, self.origin.secret));
        Pending::new(Answered { answer, currency, repeated: decided.repeated, refund }, position)
    }

    /// Says which member of a shared account a request is about. Whoever has left the account while the request waited for
    /// its turn is nobody's.
    fn name_member(&self, state: &State, account: AccountId, identities: &[Identity], command: &mut Command<'_>) {
        let has_had_members = |account: &&Account| account.profile.as_ref().is_some_and(|it| it.next_member > 0);
        let Some(known) = state.account(account).filter(has_had_members) else { return };
        let stays = self.identities.resolve(identities) == Named::Account(account);
        let member = known.member_with(identities);
        match command {
            Command::Interrogate(Interrogation { account, member: of, .. })
            | Command::ChargeEvent(EventRequest { account, member: of, .. }) => {
                (*account, *of) = (account.filter(|_| stays), member);
            }
            _ => {}
        }
    }

    /// Does what is due for an account by itself, before it is used or looked at: a new period begins at its own moment, not
    /// when the background comes to it.
    pub(super) fn catch_up(
        &self,
        cell: &mut Partition,
        partition: PartitionId,
        account: AccountId,
        use_begins: bool,
        now: Timestamp,
    ) {
        /// Things that may be due for one account at once. A defect that makes something due for ever must not keep the
        /// partition.
        const AT_ONCE: usize = 1_000;
        for _ in 0..AT_ONCE {
            if !cell.state.must_catch_up(account, use_begins, now) {
                return;
            }
            let command = Command::CatchUp { account, use_begins };
            let (decided, _) = self.execute_at(cell, partition, &command, &self.catalogs_now(), now);
            if decided.event.is_none() {
                return;
            }
        }
    }

    /// Does what is due for accounts by itself: renewals, ends of cycles and of validity. Returns for how many accounts, at
    /// most `limit`; the next call goes on with the partition after the last one, so that all have their turn.
    pub fn catch_up_accounts(&self, limit: usize) -> usize {
        /// Accounts under one hold of a lock: requests wait meanwhile.
        const AT_ONCE: usize = 4;
        let (mut done, mut nothing_due, partitions) = (0, 0, self.partitions.len());
        while done < limit && nothing_due < partitions {
            let turn = self.catching_up.fetch_add(1, Ordering::Relaxed) % partitions;
            let partition = PartitionId(turn as u16);
            let mut cell = self.lock(partition);
            let now = self.clock.now();
            let due = cell.state.due_accounts(now, AT_ONCE.min(limit - done));
            for account in &due {
                self.catch_up(&mut cell, partition, *account, false, now);
            }
            done += due.len();
            nothing_due = if due.is_empty() { nothing_due + 1 } else { 0 };
        }
        done
    }

    /// Executes a command about one account, by the node itself; what callers do goes through [`by`](Self::by).
    ///
    /// # Errors
    /// The core refused; nothing has changed.
    pub fn account_command(&self, account: AccountId, command: &Command<'_>) -> Pending<Result<Done, Refusal>> {
        let (decided, position) = self.execute_for(account, command);
        Pending::new(done(decided), position)
    }

    /// Executes a credit.
    ///
    /// # Errors
    /// The core refused; nothing has changed.
    pub fn credit(&self, command: CreditCommand<'_>) -> Pending<Result<Done, Refusal>> {
        self.account_command(command.account, &Command::Credit(command))
    }

    /// Creates a subscriber. Its identities are taken first, so that two creations cannot both have one.
    ///
    /// # Errors
    /// An identity is taken, or the core refused; nothing has changed.
    pub fn create_subscriber(&self, spec: SubscriberSpec) -> Pending<Result<Done, CreateSubscriberError>> {
        self.create_subscriber_by(spec, |cell, partition, command| self.execute(cell, partition, command))
    }

    pub(super) fn create_subscriber_by(
        &self,
        spec: SubscriberSpec,
        execute: impl FnOnce(&mut Partition, PartitionId, &Command<'_>) -> (Decided, Position),
    ) -> Pending<Result<Done, CreateSubscriberError>> {
        let (account, identities) = (spec.account, spec.subscriber.identities.clone());
        let partition = self.partition_of(account);
        // Held from the claims to the decision: another creation for this account must not build on a claim that is given
        // back.
        let mut cell = self.lock(partition);
        let mut claimed = Vec::with_capacity(identities.len());
        let give_back = |claimed: &[&Identity]| claimed.iter().for_each(|identity| self.identities.release(identity));
        for identity in &identities {
            match self.identities.claim(identity, account) {
                Ok(true) => claimed.push(identity),
                Ok(false) => {}
                Err(_) => {
                    give_back(&claimed);
                    return self.pending(Err(CreateSubscriberError::IdentityTaken(identity.clone())));
                }
            }
        }
        let (decided, position) = execute(&mut cell, partition, &Command::CreateSubscriber(spec));
        let done = done(decided);
        if done.is_err() {
            give_back(&claimed);
        }
        Pending::new(done.map_err(CreateSubscriberError::Refused), position)
    }

    /// Executes a command about a running session; `None` = there is none with this key.
    pub fn session_command(&self, key: SessionKey, command: &Command<'_>) -> Option<Pending<Result<Done, Refusal>>> {
        let partition = self.sessions.get(key)?;
        let mut cell = self.lock(partition);
        let (decided, position) = self.execute(&mut cell, partition, command);
        Some(Pending::new(done(decided), position))
    }

    /// Ends sessions whose supervision has run out (spec C-73), a bounded number of them. Returns how many; the rest comes
    /// with the next calls.
    pub fn expire_sessions(&self) -> usize {
        /// Sessions looked at under one hold of a lock: requests wait meanwhile.
        const AT_ONCE: usize = 32;
        /// Sessions ended in one call: when those of a whole network run out at once, they must not fill the journal at once.
        const ENDED_AT_ONCE: usize = 20_000;
        let mut ended = 0;
        // Partitions take turns: whoever waits for one gets it while the others have theirs.
        let mut turns: Vec<PartitionId> = self.partition_ids().collect();
        while !turns.is_empty() && ended < ENDED_AT_ONCE {
            turns.retain(|partition| {
                let mut cell = self.lock(*partition);
                let now = self.clock.now();
                let due: Vec<SessionNo> = cell.state.due(now, AT_ONCE);
                for no in &due {
                    self.execute(&mut cell, *partition, &Command::ExpireSession(*no));
                }
                ended += due.len();
                cell.state.next_due().is_some_and(|next| next <= now)
            });
        }
        ended
    }

    /// Notes durably that a consumer of business events has come so far.
    pub fn acknowledge(&self, consumer: &str, cursor: u64) -> Pending<()> {
        let mut bytes = Vec::new();
        record::encode_acknowledged(consumer, cursor, self.clock.now(), &mut bytes);
        let position = self.appender.append(&bytes, |position| self.outbox.acknowledge(position, consumer, cursor));
        Pending::new((), position)
    }

    /// Forgets durably a consumer of business events that will not come back: nothing is kept for it any more.
    pub fn forget_consumer(&self, consumer: &str) -> Pending<()> {
        let mut bytes = Vec::new();
        record::encode_forgotten(consumer, self.clock.now(), &mut bytes);
        let position = self.appender.append(&bytes, |position| self.outbox.forget(position, consumer));
        Pending::new((), position)
    }

    /// Executes a command about one account, after what was due for it.
    pub(super) fn execute_for(&self, account: AccountId, command: &Command<'_>) -> (Decided, Position) {
        let partition = self.partition_of(account);
        let mut cell = self.lock(partition);
        self.catch_up(&mut cell, partition, account, false, self.clock.now());
        let done = self.execute(&mut cell, partition, command);
        // There may be money now for what pauses for want of it.
        self.catch_up(&mut cell, partition, account, false, self.clock.now());
        done
    }

    /// Decides a command and makes it true. The position is what the answer rests on.
    pub(super) fn execute(
        &self,
        cell: &mut Partition,
        partition: PartitionId,
        command: &Command<'_>,
    ) -> (Decided, Position) {
        self.execute_at(cell, partition, command, &self.catalogs_now(), self.clock.now())
    }

    fn execute_at(
        &self,
        cell: &mut Partition,
        partition: PartitionId,
        command: &Command<'_>,
        catalogs: &Catalogs,
        now: Timestamp,
    ) -> (Decided, Position) {
        let decided = decide_by(&cell.state, catalogs, command, now);
        match &decided.event {
            Some(event) => self.commit(cell, partition, event, &catalogs.at(now).catalog, None),
            None => self.tell_repeated(&decided),
        }
        (decided, cell.last)
    }

    /// Makes an event true and puts it into the journal, with who caused it if that was a caller. It is applied first: what
    /// it leaves for the trails goes into their queues at its position, before anything can find that durable.
    pub(super) fn commit(
        &self,
        cell: &mut Partition,
        partition: PartitionId,
        event: &Event,
        catalog: &Catalog,
        audit: Option<&dyn Fn(&State) -> Audit>,
    ) {
        let leaving = cell.state.identities_leaving(event);
        cell.state.apply(event);
        let records = cell.state.take_records();
        let audit = audit.map(|audit| audit(&cell.state));
        cell.last = RECORD.with_borrow_mut(|bytes| {
            bytes.clear();
            record::encode_event(partition, event, bytes);
            if let Some(audit) = &audit {
                record::encode_audit(audit, bytes);
            }
            self.appender.append(bytes, |position| {
                self.outbox.push(position, event.notices());
                self.trails.push_records(position, partition, records);
                if let Some(audit) = audit {
                    self.keep_audit(position, audit);
                }
            })
        });
        // In the journal, whoever takes one of them stands behind this.
        leaving.iter().for_each(|identity| self.identities.release(identity));
        self.keep_index(cell, partition, event);
        self.observer.happened(event, catalog);
    }

    /// Takes in who caused the record at a position, and the tick of a bulk change that came with it. To be called under the
    /// journal's lock.
    pub(super) fn keep_audit(&self, position: Position, audit: Audit) {
        if let Some(item) = &audit.bulk {
            self.desk.executed(position, item, &audit.refusal, audit.at);
        }
        self.trails.push_audit(position, audit);
    }

    pub(super) fn tell_repeated(&self, decided: &Decided) {
        if decided.repeated {
            self.observer.repeated();
            if decided.altered {
                self.observer.altered(decided.account);
            }
        }
    }

    /// Keeps the index of Session-Ids in step with the partition.
    fn keep_index(&self, cell: &mut Partition, partition: PartitionId, event: &Event) {
        if let Event::Interrogated(event) = event
            && let Some(opening) = &event.opening
        {
            self.sessions.insert(opening.key(), partition);
        }
        for (key, cause) in cell.state.take_ended() {
            self.sessions.remove(key, partition);
            self.observer.session_ended(cause);
        }
    }

    /// Where an ended session is remembered. Asked only for a request that names neither a running session nor a
    /// subscriber, such as a late copy: every partition is looked at.
    fn partition_that_remembers(&self, key: SessionKey) -> Option<PartitionId> {
        self.partition_ids().find(|partition| self.lock(*partition).state.remembers(key))
    }

    pub(super) fn lock(&self, partition: PartitionId) -> MutexGuard<'_, Partition> {
        // A panic under this lock ends the process (the release profile aborts), so a poisoned lock is a test's.
        let mut cell = self.partitions[usize::from(partition.0)].lock().unwrap_or_else(PoisonError::into_inner);
        // What was only looked at under the lock before was woken, too.
        cell.state.rest();
        cell
    }

    pub(super) fn partition_of(&self, account: AccountId) -> PartitionId {
        PartitionId::of(account, self.partitions.len() as u16)
    }

    pub(super) fn partition_ids(&self) -> impl Iterator<Item = PartitionId> + use<D> {
        (0..self.partitions.len() as u16).map(PartitionId)
    }
}

/// An answer that rests on no change of state: it may leave at once.
fn rests_on_nothing(answer: Answer) -> Pending<Answered> {
    let answered = Answered { answer: Arc::new(answer), currency: None, repeated: false, refund: None };
    Pending::new(answered, Position::ZERO)
}

/// What became of a command that is not a charging request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// For credits: balance and bucket.
    pub outcome: Outcome,
    /// It had been done before; nothing changed.
    pub repeated: bool,
}

pub(super) fn done(decided: Decided) -> Result<Done, Refusal> {
    match decided.outcome {
        Outcome::Refused(refusal) => Err(refusal),
        outcome => Ok(Done { outcome, repeated: decided.repeated }),
    }
}
