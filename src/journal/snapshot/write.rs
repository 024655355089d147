//! From a partition's state to chunks. The numbers of fields are those of `journal.proto`.

use super::{PartitionHeader, chunks::Chunks};
use crate::{
    charging::{
        Account, AccountsCopy, Client, Closed, HistoryLine, Quota, RatedBy, RememberedCredit, RememberedEvent, Session,
        State,
    },
    journal::record::{
        account::write_profile,
        numbers::Numbered as _,
        rare, voucher,
        write::{answer, bucket, draw, quota_key, session_key, step, subscriber},
        writer::Writer,
    },
    time::Timestamp,
};

/// A partition as it was at a moment.
#[derive(Debug)]
pub struct PartitionCopy {
    /// The field of a chunk that the header is.
    header: Vec<u8>,
    accounts: AccountsCopy,
    /// The fields of all that comes after the accounts, and where each ends.
    items: Vec<u8>,
    ends: Vec<usize>,
}

/// Copies a partition, which is all that needs its lock: accounts at rest, which are most of it, as the octets that they are.
pub fn copy_partition(state: &State, header: &PartitionHeader) -> PartitionCopy {
    let (mut head, mut items, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    Writer::new(&mut head).message(2, |w| write_header(w, state, header));
    let mut item = |field: u32, body: &dyn Fn(&mut Writer<'_>)| {
        Writer::new(&mut items).message(field, body);
        ends.push(items.len());
    };
    // By number, which is the order in which they opened: so that accounts need not list theirs.
    let mut sessions: Vec<_> = state.sessions().collect();
    sessions.sort_unstable_by_key(|session| session.no);
    sessions.into_iter().for_each(|each| item(5, &|w| session(w, each)));
    state.closed().for_each(|each| item(6, &|w| closed(w, each)));
    state.events().for_each(|each| item(7, &|w| event(w, each)));
    state.credits().for_each(|each| item(8, &|w| credit(w, each)));
    state.clients().for_each(|each| item(20, &|w| client(w, each)));
    state.voucher_batches().for_each(|each| item(30, &|w| voucher::known_batch(w, each)));
    state.vouchers().for_each(|each| item(31, &|w| voucher::voucher(w, each)));
    PartitionCopy { header: head, accounts: state.copy_accounts(), items, ends }
}

impl PartitionCopy {
    /// Writes it as chunks of about [`super::CHUNK_OCTETS`], in the order in which they must be loaded.
    ///
    /// # Errors
    /// Those of `emit`.
    pub fn write<E>(&self, emit: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut chunks = Chunks::new(emit);
        chunks.field(&self.header)?;
        self.accounts.try_for_each(|each| chunks.item(4, |w| account(w, each)))?;
        let mut start = 0;
        for end in &self.ends {
            chunks.field(self.items.get(start..*end).unwrap_or_default())?;
            start = *end;
        }
        chunks.finish()
    }
}

/// Copies a partition and writes it, for those who hold no lock.
///
/// # Errors
/// Those of `emit`.
pub fn write_partition<E>(
    state: &State,
    header: &PartitionHeader,
    emit: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    copy_partition(state, header).write(emit)
}

fn write_header(w: &mut Writer<'_>, state: &State, header: &PartitionHeader) {
    w.uint(1, header.partition.0);
    w.uint(2, header.partitions);
    w.uint(3, header.position);
    w.uint(4, state.next_session());
    w.message(5, |w| {
        for (field, total) in (1..).zip(state.totals()) {
            w.message(field, |w| {
                w.sint(1, (total >> 64) as i64);
                w.uint(2, total as u64);
            });
        }
    });
    let (accounts, sessions, _) = state.sizes();
    let counts = [accounts, sessions];
    for (field, count) in (6..).zip(counts.into_iter().chain(state.remembered())) {
        w.uint(field, count as u64);
    }
    w.uint(20, state.clients().count() as u64);
    w.uint(30, state.voucher_batches().len() as u64);
    w.uint(31, state.vouchers().len() as u64);
}

fn client(w: &mut Writer<'_>, (host, client): (&str, &Client)) {
    w.bytes(1, host.as_bytes());
    w.uint(2, client.state_id);
    w.optional(3, client.restarted.map(Timestamp::millis));
}

fn account(w: &mut Writer<'_>, account: &Account) {
    w.uint(1, account.id.0);
    w.uint(2, account.currency.number());
    w.uint(3, account.state.number());
    w.bool(4, account.never_stop);
    w.sint(5, account.credit_limit.micros());
    account.buckets.iter().for_each(|each| w.message(6, |w| bucket(w, each)));
    account.subscribers.iter().for_each(|each| w.message(7, |w| subscriber(w, each)));
    w.sint(8, account.credited.micros());
    w.sint(9, account.debited.micros());
    account.history.iter().for_each(|each| w.message(10, |w| history_line(w, &each)));
    w.uint(11, account.next_bucket);
    w.bool(12, account.credit_stopped);
    w.uint(13, account.opening_allowances);
    if let Some(profile) = &account.profile {
        w.message(20, |w| write_profile(w, profile));
    }
}

fn history_line(w: &mut Writer<'_>, line: &HistoryLine<'_>) {
    w.uint(1, line.at.millis());
    w.uint(2, line.kind.number());
    w.sint(3, line.amount.micros());
    w.uint(4, line.units);
    w.uint(5, line.unit_kind.number());
    w.uint(6, line.units_from_allowance);
    w.bytes(7, line.service.as_bytes());
    w.uint(8, line.rating_group);
    if let Some(session_id) = &line.session_id {
        w.present(9, session_id);
    }
    w.bytes(10, line.request_id.as_bytes());
    w.uint(40, line.catalog);
    w.bytes(70, line.detail.as_deref().unwrap_or_default());
}

fn session(w: &mut Writer<'_>, session: &Session) {
    w.uint(1, session.no.0);
    w.bytes(2, session.id.as_bytes());
    w.uint(3, session.account.0);
    w.bytes(4, session.context.as_bytes());
    w.bytes(5, session.origin_host.as_bytes());
    w.bytes(6, session.origin_realm.as_bytes());
    w.uint(7, session.opened.millis());
    w.uint(8, session.last_request.millis());
    w.uint(9, session.expires.millis());
    session.quotas.iter().for_each(|each| w.message(10, |w| quota(w, each)));
    session.answers.iter().for_each(|each| w.message(11, |w| answer(w, each)));
    w.uint(12, session.highest_update);
    w.uint(13, session.seen_updates);
    w.bool(14, session.reauthorise);
    w.uint(15, session.sub_session);
    if let Some(attributes) = &session.attributes {
        w.message(16, |w| rare::write_attributes(w, attributes));
    }
    for pool in &session.pools {
        w.message(17, |w| {
            w.uint(1, pool.id);
            pool.holds.iter().for_each(|each| w.message(2, |w| draw(w, each)));
        });
    }
    w.uint(30, session.incarnation);
    w.bool(31, session.abort);
    w.optional(32, session.reauthorise_group);
    w.uint(33, session.woken.millis());
    w.uint(34, session.reported);
    w.uint(40, session.catalog);
    w.uint(50, session.member.0);
}

fn quota(w: &mut Writer<'_>, quota: &Quota) {
    quota_key(w, quota.key);
    w.bytes(3, quota.service.as_bytes());
    w.uint(4, quota.measure.number());
    w.uint(5, quota.granted);
    quota.holds.iter().for_each(|each| w.message(6, |w| draw(w, each)));
    w.uint(7, quota.used);
    w.uint(8, quota.rated);
    w.uint(9, quota.from_allowance);
    w.sint(10, quota.charged.micros());
    w.uint(11, quota.validity_secs);
    w.bool(12, quota.final_units);
    w.bool(13, quota.refused);
    w.uint(14, quota.key.further);
    rated_by(w, 15, &quota.rated_by);
    if let Some(terms) = &quota.terms {
        w.message(16, |w| rare::write_terms(w, terms));
    }
    w.optional(17, quota.pool);
    if let Some(grown) = &quota.grown {
        w.message(30, |w| {
            w.uint(1, grown.slice);
            w.uint(2, grown.at.millis());
        });
    }
    w.uint(40, quota.catalog);
    if let Some(breakdown) = &quota.breakdown {
        w.bytes(70, &breakdown.write());
    }
    w.bool(90, quota.without_terms);
    if let Some(told) = &quota.told {
        w.message(91, |w| {
            w.uint(1, told.used);
            w.uint(2, told.rated);
            w.uint(3, told.from_allowance);
            w.sint(4, told.charged.micros());
            rated_by(w, 5, &told.rated_by);
        });
    }
}

fn rated_by(w: &mut Writer<'_>, field: u32, all: &[RatedBy]) {
    for rated in all {
        w.message(field, |w| {
            w.bytes(1, rated.tariff.as_bytes());
            w.uint(2, rated.units);
        });
    }
}

fn closed(w: &mut Writer<'_>, closed: &Closed) {
    w.uint(2, closed.account.0);
    w.uint(3, closed.at.millis());
    if let Some(last) = closed.answer() {
        w.message(4, |w| answer(w, &last));
    }
    session_key(w, 5, closed.key());
    w.uint(6, closed.highest_update);
    w.uint(7, closed.seen_updates);
}

fn event(w: &mut Writer<'_>, event: &RememberedEvent) {
    w.uint(3, event.at.millis());
    w.message(4, |w| answer(w, &event.answer()));
    session_key(w, 5, event.key);
    w.uint(6, event.account.0);
    w.bool(7, event.is_refunded());
    event.items().iter().for_each(|each| w.message(8, |w| step(w, each)));
}

fn credit(w: &mut Writer<'_>, credit: &RememberedCredit) {
    w.uint(1, credit.account.0);
    w.bytes(2, credit.request_id.as_bytes());
    w.uint(3, credit.at.millis());
    w.sint(4, credit.amount);
    w.bytes(5, credit.allowance.as_bytes());
    w.sint(6, credit.balance.micros());
    w.uint(7, credit.bucket.0);
    w.uint(8, credit.kind.number());
}
