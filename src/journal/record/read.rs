//! From the generated messages to what they stand for. Everything is checked; nothing is repaired.

use std::sync::Arc;

use super::{Entry, RecordError, account, bulk, catalogs, facts, numbers::Numbered, proto, rare, voucher};
use crate::{
    charging::{
        Answer, Bucket, ClosingCause, Credited, DebitRef, Draw, Event, EventCharged, FinalUnits, Grant, Interrogated,
        MemberNo, Notice, NoticeKind, Opening, Origin, OrphanUsage, Reheld, Reply, Step, Subscriber, Used, Verdict,
    },
    few::Few,
    ids::{AccountId, BucketId, Identity, IdentityKind, PartitionId, QuotaKey, SessionId, SessionKey, SessionNo},
    time::Timestamp,
    units::{Currency, Money},
};

type Result<T> = std::result::Result<T, RecordError>;

pub(super) fn entry(record: proto::Record) -> Result<Entry> {
    use proto::record::Event as Wire;
    let partition = partition(record.partition)?;
    let at = Timestamp::from_millis(record.at_ms);
    let event = match record.event.ok_or(RecordError::UnknownEvent)? {
        Wire::AccountCreated(wire) => Event::AccountCreated {
            account: AccountId(wire.account),
            currency: currency(wire.currency)?,
            credit_limit: Money::from_micros(wire.credit_limit),
            never_stop: wire.never_stop,
            buckets: all(wire.buckets, bucket)?,
            at,
        },
        Wire::SubscriberCreated(wire) => Event::SubscriberCreated {
            account: AccountId(wire.account),
            subscriber: subscriber(wire.subscriber.ok_or(RecordError::Missing("subscriber"))?)?,
            at,
        },
        Wire::StateChanged(wire) => Event::StateChanged {
            account: AccountId(wire.account),
            state: Numbered::from_number(wire.state)?,
            reason: wire.reason.into(),
            at,
        },
        Wire::Interrogated(wire) => Event::Interrogated(Box::new(interrogated(wire, at)?)),
        Wire::EventCharged(wire) => Event::EventCharged(Box::new(event_charged(wire, at)?)),
        Wire::Credited(wire) => Event::Credited(Box::new(credited(wire, at)?)),
        Wire::OrphanUsage(wire) => Event::OrphanUsage(Box::new(orphan_usage(wire, at)?)),
        Wire::SessionClosed(wire) => Event::SessionClosed {
            session: SessionNo(wire.session),
            cause: ClosingCause::from_number(wire.cause)?,
            wake: sessions(wire.wake),
            at,
        },
        Wire::ReAuthorise(wire) => {
            Event::ReAuthorise { session: SessionNo(wire.session), wanted: wire.wanted, group: wire.group, at }
        }
        Wire::Abort(wire) => Event::Abort { session: SessionNo(wire.session), wanted: wire.wanted, at },
        Wire::VouchersCreated(wire) => {
            let (batch, blocked, vouchers) = voucher::read_created(wire)?;
            Event::VouchersCreated { batch, blocked, vouchers, at }
        }
        Wire::VoucherMarked(wire) => {
            let (key, mark) = voucher::read_marked(wire);
            Event::VoucherMarked { key, mark, at }
        }
        Wire::VouchersBlocked(wire) => Event::VouchersBlocked { batch: wire.batch.into(), blocked: wire.blocked, at },
        Wire::AccountChanged(wire) => Event::AccountChanged(Box::new(account::read_changed(wire, at)?)),
        Wire::ClientState(wire) => Event::ClientState { host: wire.host.into(), state_id: wire.state_id, at },
        Wire::ConsumerAcknowledged(wire) => {
            return Ok(Entry::Acknowledged { consumer: wire.consumer.into(), cursor: wire.cursor, at });
        }
        Wire::BulkSubmitted(wire) => return Ok(Entry::BulkSubmitted(Box::new(bulk::read_submitted(wire, at)?))),
        Wire::BulkDecided(wire) => {
            let (bulk, decision) = bulk::read_decided(wire, at)?;
            return Ok(Entry::BulkDecided { bulk, decision: Box::new(decision) });
        }
        Wire::BulkItemEnded(_) => return Ok(Entry::BulkItemEnded { at }),
        Wire::CallRefused(_) => return Ok(Entry::CallRefused { at }),
        Wire::ConsumerForgotten(wire) => return Ok(Entry::Forgotten { consumer: wire.consumer.into(), at }),
        Wire::CatalogPublished(wire) => return Ok(Entry::Published(catalogs::publication(wire, at)?)),
        Wire::CatalogWithdrawn(wire) => return Ok(Entry::Withdrawn { number: wire.number, at }),
    };
    Ok(Entry::Charging { partition, event })
}

fn interrogated(wire: proto::Interrogated, at: Timestamp) -> Result<Interrogated> {
    Ok(Interrogated {
        at,
        account: AccountId(wire.account),
        session: SessionNo(wire.session),
        opening: wire.opening.map(opening),
        steps: all(wire.steps, step)?,
        answer: required_answer(wire.answer)?,
        expires: Timestamp::from_millis(at.millis().wrapping_add(wire.expires_after_ms as u64)),
        closes: match wire.closes {
            0 => None,
            cause => Some(Numbered::from_number(cause)?),
        },
        notices: all(wire.notices, notice)?,
        moved_to: wire.moved_to.map(|to| Box::new(Origin { host: to.host.into(), realm: to.realm.into() })),
        attributes: wire.attributes.map(rare::attributes).transpose()?,
        incarnation: wire.incarnation,
        wake: sessions(wire.wake),
        untimely: wire.untimely_ms.map(Timestamp::from_millis),
        begun: all(wire.begun, account::read_counter)?,
        member: wire.member.map(MemberNo),
        reached: wire.reached.into_iter().map(BucketId).collect(),
        reheld: wire.reheld.into_iter().map(reheld).collect(),
        catalog: wire.catalog,
    })
}

fn opening(wire: proto::Opening) -> Box<Opening> {
    Box::new(Opening {
        session_id: session_id(wire.session_id),
        sub_session: wire.sub_session,
        context: wire.context.into(),
        origin_host: wire.origin_host.into(),
        origin_realm: wire.origin_realm.into(),
        member: MemberNo(wire.member),
        catalog: wire.catalog,
    })
}

fn event_charged(wire: proto::EventCharged, at: Timestamp) -> Result<EventCharged> {
    Ok(EventCharged {
        at,
        account: AccountId(wire.account),
        session_id: session_id(wire.session_id),
        sub_session: wire.sub_session,
        action: Numbered::from_number(wire.action)?,
        steps: all(wire.steps, step)?,
        answer: required_answer(wire.answer)?,
        notices: all(wire.notices, notice)?,
        refund_of: wire.refund_of.map(debit_ref).transpose()?,
        reauthorise: sessions(wire.reauthorise),
        untimely: wire.untimely_ms.map(Timestamp::from_millis),
        begun: all(wire.begun, account::read_counter)?,
        reheld: wire.reheld.into_iter().map(reheld).collect(),
        catalog: wire.catalog,
        conditions: wire.conditions.map(rare::conditions).transpose()?.map(Box::new),
    })
}

fn reheld(wire: proto::Reheld) -> Reheld {
    let key = quota_key(wire.rating_group, wire.service_identifier, wire.further);
    Reheld { session: SessionNo(wire.session), key, holds: draws(wire.holds) }
}

fn debit_ref(wire: proto::DebitRef) -> Result<DebitRef> {
    Ok(DebitRef { key: session_key(wire.key)?, number: wire.number })
}

pub(in crate::journal) fn session_key(wire: Option<proto::SessionKey>) -> Result<SessionKey> {
    let wire = wire.ok_or(RecordError::Missing("key of a Session-Id"))?;
    Ok(SessionKey::from_halves(wire.high, wire.low))
}

pub(super) fn sessions(wire: Vec<u64>) -> Vec<SessionNo> {
    wire.into_iter().map(SessionNo).collect()
}

fn credited(wire: proto::Credited, at: Timestamp) -> Result<Credited> {
    Ok(Credited {
        at,
        account: AccountId(wire.account),
        kind: Numbered::from_number(wire.kind)?,
        bucket: BucketId(wire.bucket),
        amount: wire.amount,
        new_bucket: wire.new_bucket.map(bucket).transpose()?.map(Box::new),
        request_id: wire.request_id.into(),
        reason: wire.reason.into(),
        balance: Money::from_micros(wire.balance),
        reauthorise: sessions(wire.reauthorise),
        notices: all(wire.notices, notice)?,
        life: wire.life.map(|wire| Box::new(account::read_life(wire))),
        gifts: all(wire.gifts, bucket)?,
        catalog: wire.catalog,
    })
}

fn orphan_usage(wire: proto::OrphanUsage, at: Timestamp) -> Result<OrphanUsage> {
    let usage = |wire: proto::Usage| {
        let proto::Usage { octets, input, output, seconds, events, money, .. } = wire;
        let used = Used { octets, input, output, seconds, events, money: Money::from_micros(money) };
        (quota_key(wire.rating_group, wire.service_identifier, wire.further), used)
    };
    Ok(OrphanUsage {
        at,
        account: wire.account.map(AccountId),
        session_id: session_id(wire.session_id),
        context: wire.context.into(),
        kind: Numbered::from_number(wire.kind)?,
        number: wire.number,
        usage: wire.usage.into_iter().map(usage).collect(),
        sub_session: wire.sub_session,
        steps: all(wire.steps, step)?,
        // Older records do not say it: there was no other.
        verdict: match Numbered::from_number(wire.verdict)? {
            Verdict::Success => Verdict::UnknownSession,
            verdict => verdict,
        },
        notices: all(wire.notices, notice)?,
        begun: all(wire.begun, account::read_counter)?,
        catalog: wire.catalog,
        reheld: wire.reheld.into_iter().map(reheld).collect(),
    })
}

pub(in crate::journal) fn step(wire: proto::Step) -> Result<Step> {
    Ok(Step {
        key: quota_key(wire.rating_group, wire.service_identifier, wire.further),
        service: wire.service.into(),
        measure: Numbered::from_number(wire.measure)?,
        used: wire.used,
        rated: wire.rated,
        charged: Money::from_micros(wire.charged),
        debits: draws(wire.debits),
        holds: draws(wire.holds),
        granted: wire.granted,
        validity_secs: wire.validity_secs,
        final_units: wire.final_units,
        refused: wire.refused,
        tariff: wire.tariff.map(Arc::from),
        terms: wire.terms.map(rare::terms).transpose()?,
        pool: wire.pool,
        slice: wire.slice,
        discount: wire.discount.map(rare::given).transpose()?,
        catalog: wire.catalog,
        facts: wire.facts.map(facts::read).transpose()?,
    })
}

fn required_answer(wire: Option<proto::Answer>) -> Result<Arc<Answer>> {
    answer(wire.ok_or(RecordError::Missing("answer"))?)
}

pub(in crate::journal) fn answer(wire: proto::Answer) -> Result<Arc<Answer>> {
    Ok(Arc::new(Answer {
        kind: Numbered::from_number(wire.kind)?,
        number: wire.number,
        verdict: Numbered::from_number(wire.verdict)?,
        replies: all(wire.replies, reply)?,
        at_command_level: wire.at_command_level,
        cost: Money::from_micros(wire.cost),
        enough_credit: wire.enough_credit,
        extras: wire.extras.map(rare::answer_extras).transpose()?,
    }))
}

fn reply(wire: proto::Reply) -> Result<Reply> {
    let grant =
        |wire: proto::Grant| Numbered::from_number(wire.measure).map(|measure| Grant { measure, amount: wire.amount });
    Ok(Reply {
        key: quota_key(wire.rating_group, wire.service_identifier, wire.further),
        verdict: Numbered::from_number(wire.verdict)?,
        grant: wire.grant.map(grant).transpose()?,
        validity_secs: wire.validity_secs,
        threshold: wire.threshold,
        holding_secs: wire.holding_secs,
        final_action: wire.final_units.map(|wire| match (wire.redirect_to, wire.restriction) {
            (Some(address), _) => FinalUnits::Redirect(address.into()),
            (None, Some(wire)) => FinalUnits::Restrict { rules: texts(wire.rules), filters: texts(wire.filters) },
            (None, None) => FinalUnits::Terminate,
        }),
        extras: wire.extras.map(rare::reply_extras).transpose()?,
    })
}

pub(in crate::journal) fn notice(wire: proto::Notice) -> Result<Notice> {
    use proto::notice::Kind as Wire;
    let kind = match wire.kind.ok_or(RecordError::Missing("kind of notice"))? {
        Wire::TopUp(wire) => {
            NoticeKind::TopUp { amount: Money::from_micros(wire.amount), request_id: wire.request_id.into() }
        }
        Wire::CreditStop(_) => NoticeKind::CreditStop,
        Wire::Reconnect(_) => NoticeKind::Reconnect,
        Wire::Threshold(wire) => NoticeKind::Threshold { name: wire.name.into(), bucket: wire.bucket.map(BucketId) },
        Wire::Overdraft(wire) => NoticeKind::Overdraft { excess: Money::from_micros(wire.excess) },
        other => account::read_notice(other)?,
    };
    Ok(Notice {
        account: AccountId(wire.account),
        at: Timestamp::from_millis(wire.at_ms),
        balance: Money::from_micros(wire.balance),
        kind,
    })
}

pub(in crate::journal) fn bucket(wire: proto::Bucket) -> Result<Bucket> {
    Ok(Bucket {
        id: BucketId(wire.id),
        kind: Numbered::from_number(wire.kind)?,
        amount: wire.amount,
        reserved: wire.reserved,
        initial: wire.initial,
        priority: wire.priority,
        expires: wire.expires_ms.map(Timestamp::from_millis),
        services: wire.services.into_iter().map(Arc::from).collect(),
        name: wire.name.into(),
        owner: MemberNo(wire.owner),
        subscription: wire.subscription,
        rolled: narrow(wire.rolled, "rolled")?,
    })
}

/// A number of one octet.
pub(in crate::journal) fn narrow(number: u32, field: &'static str) -> Result<u8> {
    u8::try_from(number).map_err(|_| RecordError::BadValue { field, value: i64::from(number) })
}

pub(in crate::journal) fn subscriber(wire: proto::Subscriber) -> Result<Subscriber> {
    let identities = all(wire.identities, identity)?.into();
    Ok(Subscriber { id: wire.id.into(), identities })
}

fn identity(wire: proto::Identity) -> Result<Identity> {
    use proto::identity::Form;
    match wire.form.ok_or(RecordError::Missing("identity"))? {
        Form::Packed(packed) => packed_identity(packed),
        Form::Text(wire) => text_identity(wire.kind, &wire.text),
    }
}

/// Digits in their normal form only: the identity index finds no other.
pub(in crate::journal) fn packed_identity(packed: u64) -> Result<Identity> {
    let (length, digits) = ((packed >> 58 & 0x1f) as u32, packed & ((1 << 58) - 1));
    let fits = (1..=16).contains(&length) && digits < 10u64.pow(length);
    fits.then_some(Identity::Packed(packed)).ok_or(RecordError::BadIdentity)
}

/// Another identity, in its normal form only.
pub(in crate::journal) fn text_identity(kind: u32, text: &str) -> Result<Identity> {
    IdentityKind::from_subscription_id_type(kind)
        .and_then(|kind| Identity::new(kind, text).ok())
        .filter(|identity| matches!(identity, Identity::Text(..)))
        .ok_or(RecordError::BadIdentity)
}

pub(in crate::journal) fn currency(number: u32) -> Result<Currency> {
    Currency::from_number(number).ok_or(RecordError::BadCurrency(number))
}

pub(in crate::journal) fn partition(number: u32) -> Result<PartitionId> {
    let too_big = |_| RecordError::BadValue { field: "partition", value: i64::from(number) };
    u16::try_from(number).map(PartitionId).map_err(too_big)
}

pub(in crate::journal) fn quota_key(
    rating_group: Option<u32>,
    service_identifier: Option<u32>,
    further: u32,
) -> QuotaKey {
    QuotaKey { rating_group, service_identifier, further }
}

fn texts(wire: Vec<String>) -> Arc<[Arc<str>]> {
    wire.into_iter().map(Arc::from).collect()
}

pub(in crate::journal) fn session_id(octets: Vec<u8>) -> SessionId {
    SessionId(octets.into())
}

pub(in crate::journal) fn draws(wire: Vec<proto::Draw>) -> Few<Draw> {
    wire.into_iter().map(|wire| Draw { bucket: BucketId(wire.bucket), amount: wire.amount }).collect()
}

pub(in crate::journal) fn all<W, T>(wire: Vec<W>, one: impl Fn(W) -> Result<T>) -> Result<Vec<T>> {
    wire.into_iter().map(one).collect()
}
