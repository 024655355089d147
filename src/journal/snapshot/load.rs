//! From chunks to a partition's state.

use prost::Message as _;

use super::{PartitionHeader, SnapshotError};
use crate::{
    charging::{
        Account, Client, Closed, Detail, Grown, HistoryLine, MemberNo, Pool, Quota, RatedBy, RememberedCredit,
        RememberedEvent, Retention, Session, State, Told,
    },
    ids::{AccountId, BucketId, PartitionId, SessionNo},
    journal::record::{
        RecordError,
        account::read_profile,
        numbers::Numbered,
        proto, rare,
        read::{all, answer, bucket, currency, draws, partition, quota_key, session_id, session_key, step, subscriber},
        voucher,
    },
    time::Timestamp,
    units::Money,
};

/// Rebuilds a partition from its chunks. After an error it is of no use any more.
#[derive(Debug)]
pub struct PartitionLoader {
    state: State,
    header: Option<Header>,
    next_chunk: u64,
    /// Accounts, sessions, ended sessions, events, credits, clients, batches of vouchers, vouchers.
    found: [u64; 8],
}

/// What the first chunk promises.
#[derive(Debug)]
struct Header {
    public: PartitionHeader,
    /// As in [`PartitionLoader::found`].
    counts: [u64; 8],
    /// As in `State::totals`.
    totals: [i128; 4],
}

const COUNTED: [&str; 8] =
    ["accounts", "sessions", "ended sessions", "one-time events", "credits", "clients", "voucher batches", "vouchers"];
const SUMMED: [&str; 4] = ["credited", "debited", "balances", "reserved"];

impl PartitionLoader {
    /// Nothing is loaded yet.
    pub fn new(retention: Retention) -> Self {
        Self { state: State::new(retention), header: None, next_chunk: 0, found: [0; 8] }
    }

    /// Takes in the next chunk.
    ///
    /// # Errors
    /// The chunk is not a snapshot's, or not the one that follows.
    pub fn load_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let chunk = proto::SnapshotChunk::decode(chunk).map_err(RecordError::from)?;
        let (number, expected) = (chunk.number, self.next_chunk);
        if number != expected {
            return Err(SnapshotError::Order { expected, got: number });
        }
        if chunk.outbox_header.is_some() || !chunk.outbox_notices.is_empty() || !chunk.consumers.is_empty() {
            return Err(SnapshotError::Foreign(number));
        }
        match chunk.header {
            Some(wire) if number == 0 => {
                self.state.set_next_session(wire.next_session);
                self.header = Some(header(wire)?);
            }
            None if number > 0 => {}
            _ => return Err(SnapshotError::Header(number)),
        }
        self.next_chunk += 1;
        let counts = [chunk.accounts.len(), chunk.sessions.len(), chunk.closed.len(), chunk.events.len()];
        for (found, count) in self.found.iter_mut().zip(counts.into_iter().chain([
            chunk.credits.len(),
            chunk.clients.len(),
            chunk.voucher_batches.len(),
            chunk.vouchers.len(),
        ])) {
            *found += count as u64;
        }
        chunk.accounts.into_iter().try_for_each(|wire| self.account(wire))?;
        chunk.sessions.into_iter().try_for_each(|wire| self.session(wire))?;
        for wire in chunk.closed {
            self.state.restore_closed(closed(wire)?);
        }
        for wire in chunk.events {
            self.state.restore_event(event(wire)?);
        }
        for wire in chunk.credits {
            self.state.restore_credit(credit(wire)?);
        }
        for wire in chunk.clients {
            let restarted = wire.restarted_ms.map(Timestamp::from_millis);
            self.state.restore_client(wire.host.into(), Client { state_id: wire.state_id, restarted });
        }
        for wire in chunk.voucher_batches {
            let (batch, blocked) = voucher::read_batch(wire);
            self.state.restore_batch(batch, blocked);
        }
        for wire in chunk.vouchers {
            let (key, no, batch, mark) = voucher::read_voucher(wire);
            if !self.state.restore_voucher(key, no, &batch, mark) {
                return Err(RecordError::Missing("batch of a voucher").into());
            }
        }
        Ok(())
    }

    /// Whether as much is there as the header promised.
    pub fn is_complete(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.counts == self.found)
    }

    /// The partition, if it is whole and its sums are right.
    ///
    /// # Errors
    /// Something is missing or too much.
    pub fn finish(self) -> Result<(PartitionHeader, State), SnapshotError> {
        let Some(header) = self.header else { return Err(SnapshotError::Header(0)) };
        for ((what, expected), found) in COUNTED.into_iter().zip(header.counts).zip(self.found) {
            if found != expected {
                return Err(SnapshotError::Count { what, expected, found });
            }
        }
        for ((what, expected), found) in SUMMED.into_iter().zip(header.totals).zip(self.state.totals()) {
            if found != expected {
                return Err(SnapshotError::Total { what, expected, found });
            }
        }
        Ok((header.public, self.state))
    }

    fn account(&mut self, wire: proto::Account) -> Result<(), SnapshotError> {
        let id = AccountId(wire.id);
        let restored = self.state.restore_account(account(wire)?);
        restored.then_some(()).ok_or(SnapshotError::AccountTwice(id))
    }

    fn session(&mut self, wire: proto::Session) -> Result<(), SnapshotError> {
        let (no, account) = (SessionNo(wire.no), AccountId(wire.account));
        if self.state.account(account).is_none() {
            return Err(SnapshotError::NoAccount { session: no, account });
        }
        let restored = self.state.restore_session(session(wire)?);
        restored.then_some(()).ok_or(SnapshotError::SessionTwice(no))
    }
}

fn header(wire: proto::SnapshotHeader) -> Result<Header, RecordError> {
    let wide = |wire: Option<proto::Int128>| {
        let wire = wire.ok_or(RecordError::Missing("total"))?;
        Ok::<_, RecordError>(i128::from(wire.high) << 64 | i128::from(wire.low))
    };
    let totals = wire.totals.ok_or(RecordError::Missing("totals"))?;
    let PartitionId(partitions) = partition(wire.partitions)?;
    Ok(Header {
        public: PartitionHeader { partition: partition(wire.partition)?, partitions, position: wire.position },
        counts: [
            wire.accounts,
            wire.sessions,
            wire.closed,
            wire.events,
            wire.credits,
            wire.clients,
            wire.voucher_batches,
            wire.vouchers,
        ],
        totals: [wide(totals.credited)?, wide(totals.debited)?, wide(totals.balances)?, wide(totals.reserved)?],
    })
}

fn account(wire: proto::Account) -> Result<Account, RecordError> {
    Ok(Account {
        id: AccountId(wire.id),
        currency: currency(wire.currency)?,
        state: Numbered::from_number(wire.state)?,
        credit_stopped: wire.credit_stopped,
        never_stop: wire.never_stop,
        credit_limit: Money::from_micros(wire.credit_limit),
        buckets: all(wire.buckets, bucket)?,
        subscribers: all(wire.subscribers, subscriber)?,
        sessions: Vec::new(),
        credited: Money::from_micros(wire.credited),
        debited: Money::from_micros(wire.debited),
        history: wire.history.into_iter().map(history_line).collect::<Result<_, _>>()?,
        next_bucket: wire.next_bucket,
        opening_allowances: wire.opening_allowances,
        profile: wire.profile.map(read_profile).transpose()?.map(Box::new),
    })
}

/// What is made of parts says so in a form that is known.
fn detail(octets: &[u8]) -> Result<Option<Detail>, RecordError> {
    match Detail::read(octets) {
        None if !octets.is_empty() => Err(RecordError::Missing("form of a detail")),
        detail => Ok(detail),
    }
}

fn history_line(wire: proto::HistoryLine) -> Result<HistoryLine<'static>, RecordError> {
    Ok(HistoryLine {
        at: Timestamp::from_millis(wire.at_ms),
        kind: Numbered::from_number(wire.kind)?,
        amount: Money::from_micros(wire.amount),
        units: wire.units,
        unit_kind: Numbered::from_number(wire.measure)?,
        units_from_allowance: wire.units_from_allowance,
        service: wire.service.into(),
        rating_group: wire.rating_group,
        session_id: wire.session_id.map(Into::into),
        request_id: wire.request_id.into(),
        catalog: wire.catalog,
        detail: detail(&wire.detail)?.map(|_| wire.detail.into()),
    })
}

fn session(wire: proto::Session) -> Result<Session, RecordError> {
    let expires = Timestamp::from_millis(wire.expires_ms);
    let mut session = Session::restored(SessionNo(wire.no), session_id(wire.id), AccountId(wire.account), expires);
    session.context = wire.context.into();
    session.origin_host = wire.origin_host.into();
    session.origin_realm = wire.origin_realm.into();
    session.opened = Timestamp::from_millis(wire.opened_ms);
    session.last_request = Timestamp::from_millis(wire.last_request_ms);
    session.quotas = all(wire.quotas, quota)?;
    session.answers = all(wire.answers, answer)?.into();
    session.highest_update = wire.highest_update;
    session.seen_updates = wire.seen_updates;
    session.reauthorise = wire.reauthorise;
    session.sub_session = wire.sub_session;
    session.attributes = wire.attributes.map(rare::attributes).transpose()?;
    let pool = |wire: proto::Pool| Pool { id: wire.id, holds: draws(wire.holds) };
    session.pools = wire.pools.into_iter().map(pool).collect();
    session.incarnation = wire.incarnation;
    session.abort = wire.abort;
    session.reauthorise_group = wire.reauthorise_group;
    session.woken = Timestamp::from_millis(wire.woken_ms);
    session.reported = wire.reported;
    session.member = MemberNo(wire.member);
    session.catalog = wire.catalog;
    Ok(session)
}

fn quota(wire: proto::Quota) -> Result<Quota, RecordError> {
    Ok(Quota {
        key: quota_key(wire.rating_group, wire.service_identifier, wire.further),
        service: wire.service.into(),
        measure: Numbered::from_number(wire.measure)?,
        granted: wire.granted,
        holds: draws(wire.holds),
        used: wire.used,
        rated: wire.rated,
        from_allowance: wire.from_allowance,
        charged: Money::from_micros(wire.charged),
        validity_secs: wire.validity_secs,
        final_units: wire.final_units,
        refused: wire.refused,
        rated_by: rated_by(wire.rated_by),
        terms: wire.terms.map(rare::terms).transpose()?,
        pool: wire.pool,
        breakdown: match detail(&wire.detail)? {
            Some(Detail::Charge(breakdown)) => Some(Box::new(breakdown)),
            Some(_) => return Err(RecordError::Missing("parts of a quota")),
            None => None,
        },
        grown: wire.grown.map(|wire| Box::new(Grown { slice: wire.slice, at: Timestamp::from_millis(wire.at_ms) })),
        catalog: wire.catalog,
        without_terms: wire.without_terms,
        told: wire.told.map(|wire| {
            Box::new(Told {
                used: wire.used,
                rated: wire.rated,
                rated_by: rated_by(wire.rated_by),
                from_allowance: wire.from_allowance,
                charged: Money::from_micros(wire.charged),
            })
        }),
    })
}

fn rated_by(wire: Vec<proto::RatedBy>) -> Vec<RatedBy> {
    wire.into_iter().map(|wire| RatedBy { tariff: wire.tariff.into(), units: wire.units }).collect()
}

fn closed(wire: proto::Closed) -> Result<Closed, RecordError> {
    let answer = wire.answer.map(answer).transpose()?;
    let (account, at) = (AccountId(wire.account), Timestamp::from_millis(wire.at_ms));
    let closed = Closed::new(session_key(wire.key)?, account, at, answer.as_ref());
    Ok(closed.with_updates(wire.highest_update, wire.seen_updates))
}

fn event(wire: proto::RememberedEvent) -> Result<RememberedEvent, RecordError> {
    let answer = answer(wire.answer.ok_or(RecordError::Missing("answer"))?)?;
    let (account, at) = (AccountId(wire.account), Timestamp::from_millis(wire.at_ms));
    let left = all(wire.left, step)?;
    Ok(RememberedEvent::restored(session_key(wire.key)?, account, at, &answer, wire.refunded, left))
}

fn credit(wire: proto::RememberedCredit) -> Result<RememberedCredit, RecordError> {
    Ok(RememberedCredit {
        account: AccountId(wire.account),
        request_id: wire.request_id.into(),
        at: Timestamp::from_millis(wire.at_ms),
        kind: Numbered::from_number(wire.kind)?,
        amount: wire.amount,
        allowance: wire.allowance.into(),
        balance: Money::from_micros(wire.balance),
        bucket: BucketId(wire.bucket),
    })
}
