//! From chunks to a partition's state.

use prost::Message as _;

use super::{PartitionHeader, SnapshotError, account::AccountReader};
use crate::{
    charging::{
        Client, Closed, Detail, Grown, MemberNo, Pool, Quota, RatedBy, RememberedCredit, RememberedEvent, Retention,
        Session, State, Told,
    },
    ids::{AccountId, BucketId, PartitionId, SessionNo},
    journal::record::{
        RecordError,
        fields::Fields,
        numbers::Numbered,
        proto, rare,
        read::{all, answer, draws, partition, quota_key, session_id, session_key, step},
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
    accounts: AccountReader,
    /// In the order of [`ITEMS`].
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

/// The fields of a chunk that are counted.
const ITEMS: [u32; 8] = [4, 5, 6, 7, 8, 20, 30, 31];
/// Those of the outbox.
const OUTBOX: [u32; 3] = [3, 9, 10];
/// As in [`ITEMS`].
const COUNTED: [&str; 8] =
    ["accounts", "sessions", "ended sessions", "one-time events", "credits", "clients", "voucher batches", "vouchers"];
const SUMMED: [&str; 4] = ["credited", "debited", "balances", "reserved"];

impl PartitionLoader {
    /// Nothing is loaded yet.
    pub fn new(retention: Retention) -> Self {
        Self {
            state: State::new(retention),
            header: None,
            next_chunk: 0,
            accounts: AccountReader::default(),
            found: [0; 8],
        }
    }

    /// Takes in the next chunk.
    ///
    /// # Errors
    /// The chunk is not a snapshot's, or not the one that follows.
    pub fn load_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let mut items = Vec::new();
        let (mut number, mut promised, mut fields) = (0, None, Fields(chunk));
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => number = value.number()?,
                2 => promised = Some(proto::SnapshotHeader::decode(value.octets()?).map_err(RecordError::from)?),
                _ => items.push((field, value.octets()?)),
            }
        }
        let expected = self.next_chunk;
        if number != expected {
            return Err(SnapshotError::Order { expected, got: number });
        }
        if items.iter().any(|(field, _)| OUTBOX.contains(field)) {
            return Err(SnapshotError::Foreign(number));
        }
        match promised {
            Some(wire) if number == 0 => {
                self.state.set_next_session(wire.next_session);
                self.header = Some(header(wire)?);
            }
            None if number > 0 => {}
            _ => return Err(SnapshotError::Header(number)),
        }
        self.next_chunk += 1;
        items.into_iter().try_for_each(|(field, octets)| self.item(field, octets))
    }

    fn item(&mut self, field: u32, octets: &[u8]) -> Result<(), SnapshotError> {
        let Some(kind) = ITEMS.iter().position(|number| *number == field) else { return Ok(()) };
        if let Some(found) = self.found.get_mut(kind) {
            *found += 1;
        }
        match field {
            4 => return self.account(octets),
            5 => return self.session(decoded(octets)?),
            6 => self.state.restore_closed(closed(decoded(octets)?)?),
            7 => self.state.restore_event(event(decoded(octets)?)?),
            8 => self.state.restore_credit(credit(decoded(octets)?)?),
            20 => {
                let wire: proto::Client = decoded(octets)?;
                let restarted = wire.restarted_ms.map(Timestamp::from_millis);
                self.state.restore_client(wire.host.into(), Client { state_id: wire.state_id, restarted });
            }
            30 => {
                let (batch, blocked) = voucher::read_batch(decoded(octets)?);
                self.state.restore_batch(batch, blocked);
            }
            _ => {
                let (key, no, batch, mark) = voucher::read_voucher(decoded(octets)?);
                if !self.state.restore_voucher(key, no, &batch, mark) {
                    return Err(RecordError::Missing("batch of a voucher").into());
                }
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

    fn account(&mut self, octets: &[u8]) -> Result<(), SnapshotError> {
        let account = self.accounts.read(octets)?;
        let (id, restored) = (account.id, self.state.restore_account(&account));
        self.accounts.give_back(account);
        restored.then_some(()).ok_or(SnapshotError::AccountTwice(id))
    }

    fn session(&mut self, wire: proto::Session) -> Result<(), SnapshotError> {
        let (no, account) = (SessionNo(wire.no), AccountId(wire.account));
        if !self.state.has_account(account) {
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

fn decoded<M: prost::Message + Default>(octets: &[u8]) -> Result<M, RecordError> {
    M::decode(octets).map_err(RecordError::from)
}

/// What is made of parts says so in a form that is known.
pub(super) fn detail(octets: &[u8]) -> Result<Option<Detail>, RecordError> {
    match Detail::read(octets) {
        None if !octets.is_empty() => Err(RecordError::Missing("form of a detail")),
        detail => Ok(detail),
    }
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
