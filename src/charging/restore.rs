//! Puts a state together from its parts, for snapshots, and compares two states.
//!
//! Restoring goes through the same functions as `apply`, so that indexes, queues and running totals come out the same. The
//! order is: all accounts, then sessions by number, then what is remembered, oldest first.

use std::sync::Arc;

use super::{
    Account, BucketKind, Client, Closed, MemberNo, RememberedCredit, RememberedEvent, Retention, Session, State,
};
use crate::{
    ids::{AccountId, SessionId, SessionNo},
    time::Timestamp,
    units::Money,
};

impl Session {
    /// A session with nothing in it yet but what places it in the indexes. The rest is filled in by whoever restores it.
    pub(crate) fn restored(no: SessionNo, id: SessionId, account: AccountId, expires: Timestamp) -> Self {
        Self {
            no,
            id,
            sub_session: 0,
            account,
            context: "".into(),
            origin_host: "".into(),
            origin_realm: "".into(),
            opened: Timestamp::EPOCH,
            last_request: Timestamp::EPOCH,
            expires,
            // The live state's may be earlier: that is only when to look, and nobody can see it.
            queued: expires,
            quotas: Vec::new(),
            answers: Default::default(),
            highest_update: 0,
            seen_updates: 0,
            reauthorise: false,
            attributes: None,
            pools: Vec::new(),
            incarnation: 0,
            abort: false,
            reauthorise_group: None,
            woken: Timestamp::EPOCH,
            reported: 0,
            member: MemberNo::SHARED,
            catalog: 0,
        }
    }
}

impl State {
    /// Takes in an account without its sessions. False if it is there already.
    pub(crate) fn restore_account(&mut self, account: &Account) -> bool {
        if self.accounts.contains(account.id) {
            return false;
        }
        let micros = |money: Money| i128::from(money.micros());
        self.credited += micros(account.credited);
        self.debited += micros(account.debited);
        for bucket in account.buckets.iter().filter(|bucket| bucket.kind == BucketKind::Money) {
            self.balances += i128::from(bucket.amount);
            self.reserved += i128::from(bucket.reserved);
        }
        self.queue_account(account.id, None, account.next_due());
        if account.profile.as_deref().is_some_and(|profile| !profile.transfers.is_empty()) {
            self.senders.insert(account.id);
        }
        if !self.accounts.insert_resting(account) {
            let mut account = Account { sessions: Vec::new(), ..account.clone() };
            for bucket in &mut account.buckets {
                bucket.name = self.intern(&bucket.name);
            }
            self.accounts.insert(account);
            self.rest();
        }
        true
    }

    /// Takes in a running session; what it holds is reserved in its account's buckets already. Sessions must come by number,
    /// which is the order in which they opened. False if its number or its Session-Id is there already.
    pub(crate) fn restore_session(&mut self, mut session: Session) -> bool {
        let key = session.key();
        if self.sessions.contains_key(&session.no) || self.session_keys.contains_key(&key) {
            return false;
        }
        session.context = self.intern(&session.context);
        session.origin_host = self.intern(&session.origin_host);
        session.origin_realm = self.intern(&session.origin_realm);
        for quota in &mut session.quotas {
            quota.service = self.intern(&quota.service);
        }
        self.insert_session(session);
        true
    }

    /// Takes in what is remembered of an ended session.
    pub(crate) fn restore_closed(&mut self, closed: Closed) {
        self.closed.insert(closed);
    }

    /// Takes in what is remembered of a one-time event.
    pub(crate) fn restore_event(&mut self, event: RememberedEvent) {
        self.events.insert(event);
    }

    /// Takes in what is remembered of a credit.
    pub(crate) fn restore_credit(&mut self, credit: RememberedCredit) {
        self.credits.insert(credit);
    }

    /// Takes in what is known of a client.
    pub(crate) fn restore_client(&mut self, host: Arc<str>, client: Client) {
        self.clients.insert(host, client);
    }

    /// Sets the number of the next session; never below those that are there.
    pub(crate) fn set_next_session(&mut self, next: u64) {
        self.next_session = self.next_session.max(next);
    }

    /// The number of the next session.
    pub(crate) fn next_session(&self) -> u64 {
        self.next_session
    }

    /// Money of all accounts: credited, debited, in buckets, reserved.
    pub(crate) fn totals(&self) -> [i128; 4] {
        [self.credited, self.debited, self.balances, self.reserved]
    }

    /// Whether two states are the same in all that can be observed. The order of hash maps, the places in the queue of
    /// supervision and shared names do not count.
    ///
    /// # Errors
    /// The first difference found.
    pub fn same_as(&self, other: &Self) -> Result<(), String> {
        // The store's secret is none of the state.
        let settings = |state: &Self| Retention { secret: [0; 2], ..state.retention };
        same("retention", &settings(self), &settings(other))?;
        same("next session", &self.next_session, &other.next_session)?;
        same("totals (credited, debited, balances, reserved)", &self.totals(), &other.totals())?;
        let ids = |state: &Self| sorted(state.accounts.ids());
        same("accounts", &ids(self), &ids(other))?;
        for id in ids(self) {
            same("account", &self.accounts.peek(id), &other.accounts.peek(id))?;
        }
        let numbers = |state: &Self| sorted(state.sessions.keys().copied());
        same("sessions", &numbers(self), &numbers(other))?;
        for no in numbers(self) {
            let seen = |state: &Self| state.sessions.get(&no).map(Session::without_queue);
            same("session", &seen(self), &seen(other))?;
        }
        let keys = |state: &Self| sorted(state.session_keys.iter().map(|(key, no)| (*key, *no)));
        same("index of sessions", &keys(self), &keys(other))?;
        let supervised = |state: &Self| sorted(state.supervision.iter().map(|(_, no)| *no));
        same("supervised sessions", &supervised(self), &supervised(other))?;
        same("sessions with a request to send", &self.reauthorise, &other.reauthorise)?;
        same("clients", &self.clients, &other.clients)?;
        same("vouchers", &self.vouchers, &other.vouchers)?;
        same("vouchers on their way", &self.redeeming, &other.redeeming)?;
        same("accounts with money on its way", &self.senders, &other.senders)?;
        same("accounts that something is due for", &self.due_accounts, &other.due_accounts)?;
        same_all("ended sessions", self.closed(), other.closed())?;
        same_all("one-time events", self.events(), other.events())?;
        same_all("credits", self.credits(), other.credits())
    }
}

impl Session {
    fn without_queue(&self) -> Self {
        Self { queued: Timestamp::EPOCH, ..self.clone() }
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<_> = items.collect();
    items.sort_unstable();
    items
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, one: &T, other: &T) -> Result<(), String> {
    if one == other { Ok(()) } else { Err(format!("{what}: {one:?} and {other:?}")) }
}

fn same_all<T: PartialEq + std::fmt::Debug>(
    what: &str,
    one: impl Iterator<Item = T>,
    other: impl Iterator<Item = T>,
) -> Result<(), String> {
    let (mut one, mut other) = (one.fuse(), other.fuse());
    for place in 0usize.. {
        match (one.next(), other.next()) {
            (None, None) => break,
            (one, other) => same(&format!("{what}, place {place}"), &one, &other)?,
        }
    }
    Ok(())
}
