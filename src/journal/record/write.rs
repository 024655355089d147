//! Events and their parts, field by field. The numbers are those of `journal.proto`.

use super::{account, facts, numbers::Numbered as _, rare, voucher, writer::Writer};
use crate::{
    charging::{
        Answer, Bucket, Credited, Draw, Event, EventCharged, FinalUnits, Interrogated, Notice, NoticeKind, OrphanUsage,
        Reheld, Reply, Step, Subscriber, Used,
    },
    ids::{Identity, PartitionId, QuotaKey, SessionKey, SessionNo},
    time::Timestamp,
};

pub(super) fn event(w: &mut Writer<'_>, partition: PartitionId, event: &Event) {
    w.uint(1, partition.0);
    w.uint(2, at(event).millis());
    match event {
        Event::AccountCreated { account, currency, credit_limit, never_stop, buckets, .. } => w.message(3, |w| {
            w.uint(1, account.0);
            w.uint(2, currency.number());
            w.sint(3, credit_limit.micros());
            w.bool(4, *never_stop);
            buckets.iter().for_each(|each| w.message(5, |w| bucket(w, each)));
        }),
        Event::SubscriberCreated { account, subscriber: new, .. } => w.message(4, |w| {
            w.uint(1, account.0);
            w.message(2, |w| subscriber(w, new));
        }),
        Event::StateChanged { account, state, reason, .. } => w.message(5, |w| {
            w.uint(1, account.0);
            w.uint(2, state.number());
            w.bytes(3, reason.as_bytes());
        }),
        Event::Interrogated(event) => w.message(6, |w| interrogated(w, event)),
        Event::EventCharged(event) => w.message(7, |w| event_charged(w, event)),
        Event::Credited(event) => w.message(8, |w| credited(w, event)),
        Event::OrphanUsage(event) => w.message(9, |w| orphan_usage(w, event)),
        Event::SessionClosed { session, cause, wake, .. } => w.message(10, |w| {
            w.uint(1, session.0);
            w.uint(2, cause.number());
            sessions(w, 20, wake);
        }),
        Event::ReAuthorise { session, wanted, group, .. } => w.message(11, |w| {
            w.uint(1, session.0);
            w.bool(2, *wanted);
            w.optional(20, *group);
        }),
        Event::Abort { session, wanted, .. } => w.message(14, |w| {
            w.uint(1, session.0);
            w.bool(2, *wanted);
        }),
        Event::VouchersCreated { batch, blocked, vouchers, .. } => {
            w.message(30, |w| voucher::created(w, batch, *blocked, vouchers));
        }
        Event::VoucherMarked { key, mark, .. } => w.message(31, |w| voucher::marked(w, *key, mark)),
        Event::VouchersBlocked { batch, blocked, .. } => w.message(32, |w| {
            w.bytes(1, batch.as_bytes());
            w.bool(2, *blocked);
        }),
        Event::AccountChanged(event) => w.message(16, |w| account::changed(w, event)),
        Event::ClientState { host, state_id, .. } => w.message(15, |w| {
            w.bytes(1, host.as_bytes());
            w.uint(2, *state_id);
        }),
    }
}

pub(super) fn acknowledged(w: &mut Writer<'_>, consumer: &str, cursor: u64, at: Timestamp) {
    w.uint(2, at.millis());
    w.message(12, |w| {
        w.bytes(1, consumer.as_bytes());
        w.uint(2, cursor);
    });
}

pub(super) fn forgotten(w: &mut Writer<'_>, consumer: &str, at: Timestamp) {
    w.uint(2, at.millis());
    w.message(13, |w| w.bytes(1, consumer.as_bytes()));
}

pub(super) fn call_refused(w: &mut Writer<'_>, at: Timestamp) {
    w.uint(2, at.millis());
    w.message(25, |_| {});
}

fn at(event: &Event) -> Timestamp {
    match event {
        Event::AccountCreated { at, .. }
        | Event::SubscriberCreated { at, .. }
        | Event::StateChanged { at, .. }
        | Event::SessionClosed { at, .. }
        | Event::ReAuthorise { at, .. }
        | Event::Abort { at, .. }
        | Event::ClientState { at, .. }
        | Event::VouchersCreated { at, .. }
        | Event::VoucherMarked { at, .. }
        | Event::VouchersBlocked { at, .. } => *at,
        Event::Interrogated(event) => event.at,
        Event::EventCharged(event) => event.at,
        Event::Credited(event) => event.at,
        Event::OrphanUsage(event) => event.at,
        Event::AccountChanged(event) => event.at,
    }
}

fn interrogated(w: &mut Writer<'_>, event: &Interrogated) {
    w.uint(1, event.account.0);
    w.uint(2, event.session.0);
    if let Some(opening) = &event.opening {
        w.message(3, |w| {
            w.bytes(1, opening.session_id.as_bytes());
            w.bytes(2, opening.context.as_bytes());
            w.bytes(3, opening.origin_host.as_bytes());
            w.bytes(4, opening.origin_realm.as_bytes());
            w.uint(5, opening.sub_session);
            w.uint(20, opening.member.0);
            w.uint(40, opening.catalog);
        });
    }
    event.steps.iter().for_each(|each| w.message(4, |w| step(w, each)));
    w.message(5, |w| answer(w, &event.answer));
    // Wraps, so that every pair of moments survives.
    w.sint(6, event.expires.millis().wrapping_sub(event.at.millis()) as i64);
    w.uint(7, event.closes.map_or(0, |cause| cause.number()));
    event.notices.iter().for_each(|each| w.message(8, |w| notice(w, each)));
    if let Some(origin) = &event.moved_to {
        w.message(9, |w| {
            w.bytes(1, origin.host.as_bytes());
            w.bytes(2, origin.realm.as_bytes());
        });
    }
    if let Some(attributes) = &event.attributes {
        w.message(10, |w| rare::write_attributes(w, attributes));
    }
    w.optional(16, event.untimely.map(Timestamp::millis));
    w.optional(20, event.incarnation);
    sessions(w, 21, &event.wake);
    event.begun.iter().for_each(|each| w.message(22, |w| account::counter(w, each)));
    w.optional(40, event.catalog);
    event.reheld.iter().for_each(|each| w.message(90, |w| reheld(w, each)));
    w.optional(91, event.member.map(|member| member.0));
    account::numbers(w, 92, event.reached.iter().map(|counter| counter.0));
}

pub(super) fn sessions(w: &mut Writer<'_>, field: u32, sessions: &[SessionNo]) {
    if !sessions.is_empty() {
        w.message(field, |w| sessions.iter().for_each(|session| w.packed(session.0)));
    }
}

fn event_charged(w: &mut Writer<'_>, event: &EventCharged) {
    w.uint(1, event.account.0);
    w.bytes(2, event.session_id.as_bytes());
    w.uint(3, event.action.number());
    event.steps.iter().for_each(|each| w.message(4, |w| step(w, each)));
    w.message(5, |w| answer(w, &event.answer));
    event.notices.iter().for_each(|each| w.message(6, |w| notice(w, each)));
    w.uint(7, event.sub_session);
    w.optional(16, event.untimely.map(Timestamp::millis));
    if let Some(debit) = event.refund_of {
        w.message(20, |w| {
            session_key(w, 1, debit.key);
            w.uint(2, debit.number);
        });
    }
    sessions(w, 21, &event.reauthorise);
    event.begun.iter().for_each(|each| w.message(22, |w| account::counter(w, each)));
    w.uint(40, event.catalog);
    if let Some(conditions) = &event.conditions {
        w.message(80, |w| rare::write_conditions(w, conditions));
    }
    event.reheld.iter().for_each(|each| w.message(90, |w| reheld(w, each)));
}

pub(in crate::journal) fn session_key(w: &mut Writer<'_>, field: u32, key: SessionKey) {
    let (high, low) = key.halves();
    w.message(field, |w| {
        w.fixed64(1, high);
        w.fixed64(2, low);
    });
}

fn credited(w: &mut Writer<'_>, event: &Credited) {
    w.uint(1, event.account.0);
    w.uint(2, event.kind.number());
    w.uint(3, event.bucket.0);
    w.sint(4, event.amount);
    if let Some(new) = &event.new_bucket {
        w.message(5, |w| bucket(w, new));
    }
    w.bytes(6, event.request_id.as_bytes());
    w.bytes(7, event.reason.as_bytes());
    w.sint(8, event.balance.micros());
    sessions(w, 9, &event.reauthorise);
    event.notices.iter().for_each(|each| w.message(10, |w| notice(w, each)));
    if let Some(life) = &event.life {
        w.message(30, |w| account::life(w, life));
    }
    event.gifts.iter().for_each(|each| w.message(31, |w| bucket(w, each)));
    w.uint(70, event.catalog);
}

fn orphan_usage(w: &mut Writer<'_>, event: &OrphanUsage) {
    w.optional(1, event.account.map(|account| account.0));
    w.bytes(2, event.session_id.as_bytes());
    w.bytes(3, event.context.as_bytes());
    w.uint(4, event.kind.number());
    w.uint(5, event.number);
    for (key, used) in &event.usage {
        let Used { octets, input, output, seconds, events, money } = used;
        w.message(6, |w| {
            quota_key(w, *key);
            w.uint(3, *octets);
            w.uint(4, *seconds);
            w.uint(5, *events);
            w.sint(6, money.micros());
            w.uint(7, key.further);
            w.uint(30, *input);
            w.uint(31, *output);
        });
    }
    w.uint(20, event.sub_session);
    event.steps.iter().for_each(|each| w.message(21, |w| step(w, each)));
    w.uint(22, event.verdict.number());
    event.notices.iter().for_each(|each| w.message(23, |w| notice(w, each)));
    event.begun.iter().for_each(|each| w.message(24, |w| account::counter(w, each)));
    w.uint(40, event.catalog);
    event.reheld.iter().for_each(|each| w.message(90, |w| reheld(w, each)));
}

#[inline]
pub(in crate::journal) fn quota_key(w: &mut Writer<'_>, key: QuotaKey) {
    w.optional(1, key.rating_group);
    w.optional(2, key.service_identifier);
}

#[inline]
pub(in crate::journal) fn step(w: &mut Writer<'_>, step: &Step) {
    quota_key(w, step.key);
    w.bytes(3, step.service.as_bytes());
    w.uint(4, step.measure.number());
    w.uint(5, step.used);
    w.uint(6, step.rated);
    w.sint(7, step.charged.micros());
    step.debits.iter().for_each(|each| w.message(8, |w| draw(w, each)));
    step.holds.iter().for_each(|each| w.message(9, |w| draw(w, each)));
    w.uint(10, step.granted);
    w.uint(11, step.validity_secs);
    w.bool(12, step.final_units);
    w.bool(13, step.refused);
    w.uint(14, step.key.further);
    if let Some(tariff) = &step.tariff {
        w.present(15, tariff.as_bytes());
    }
    if let Some(terms) = &step.terms {
        w.message(16, |w| rare::write_terms(w, terms));
    }
    w.optional(17, step.pool);
    w.uint(30, step.slice);
    if let Some(given) = &step.discount {
        w.message(31, |w| rare::write_given(w, given));
    }
    w.uint(40, step.catalog);
    if let Some(facts) = &step.facts {
        w.message(70, |w| facts::write(w, facts));
    }
}

fn reheld(w: &mut Writer<'_>, reheld: &Reheld) {
    w.uint(1, reheld.session.0);
    w.optional(2, reheld.key.rating_group);
    w.optional(3, reheld.key.service_identifier);
    w.uint(4, reheld.key.further);
    reheld.holds.iter().for_each(|each| w.message(5, |w| draw(w, each)));
}

#[inline]
pub(in crate::journal) fn draw(w: &mut Writer<'_>, draw: &Draw) {
    w.uint(1, draw.bucket.0);
    w.sint(2, draw.amount);
}

pub(in crate::journal) fn answer(w: &mut Writer<'_>, answer: &Answer) {
    w.uint(1, answer.kind.number());
    w.uint(2, answer.number);
    w.uint(3, answer.verdict.number());
    answer.replies.iter().for_each(|each| w.message(4, |w| reply(w, each)));
    w.bool(5, answer.at_command_level);
    w.sint(6, answer.cost.micros());
    w.optional(7, answer.enough_credit);
    if let Some(extras) = &answer.extras {
        w.message(8, |w| rare::write_answer_extras(w, extras));
    }
}

#[inline]
fn reply(w: &mut Writer<'_>, reply: &Reply) {
    quota_key(w, reply.key);
    w.uint(3, reply.verdict.number());
    if let Some(grant) = reply.grant {
        w.message(4, |w| {
            w.uint(1, grant.measure.number());
            w.uint(2, grant.amount);
        });
    }
    w.uint(5, reply.validity_secs);
    w.uint(6, reply.threshold);
    w.optional(7, reply.holding_secs);
    if let Some(action) = &reply.final_action {
        w.message(8, |w| match action {
            FinalUnits::Terminate => {}
            FinalUnits::Redirect(address) => w.present(1, address.as_bytes()),
            FinalUnits::Restrict { rules, filters } => w.message(2, |w| {
                rules.iter().for_each(|rule| w.present(1, rule.as_bytes()));
                filters.iter().for_each(|filter| w.present(2, filter.as_bytes()));
            }),
        });
    }
    w.uint(9, reply.key.further);
    if let Some(extras) = &reply.extras {
        w.message(10, |w| rare::write_reply_extras(w, extras));
    }
}

pub(in crate::journal) fn notice(w: &mut Writer<'_>, notice: &Notice) {
    w.uint(1, notice.account.0);
    w.uint(2, notice.at.millis());
    w.sint(3, notice.balance.micros());
    match &notice.kind {
        NoticeKind::TopUp { amount, request_id } => w.message(4, |w| {
            w.sint(1, amount.micros());
            w.bytes(2, request_id.as_bytes());
        }),
        NoticeKind::CreditStop => w.message(5, |_| {}),
        NoticeKind::Reconnect => w.message(6, |_| {}),
        NoticeKind::Threshold { name, bucket } => w.message(7, |w| {
            w.bytes(1, name.as_bytes());
            w.optional(2, bucket.map(|bucket| bucket.0));
        }),
        NoticeKind::Overdraft { excess } => w.message(8, |w| w.sint(1, excess.micros())),
        other => account::notice(w, other),
    }
}

pub(in crate::journal) fn bucket(w: &mut Writer<'_>, bucket: &Bucket) {
    w.uint(1, bucket.id.0);
    w.uint(2, bucket.kind.number());
    w.sint(3, bucket.amount);
    w.sint(4, bucket.reserved);
    w.sint(5, bucket.initial);
    w.uint(6, bucket.priority);
    w.optional(7, bucket.expires.map(Timestamp::millis));
    bucket.services.iter().for_each(|name| w.present(8, name.as_bytes()));
    w.bytes(9, bucket.name.as_bytes());
    w.uint(20, bucket.owner.0);
    w.uint(21, bucket.subscription);
    w.uint(22, u32::from(bucket.rolled));
}

pub(in crate::journal) fn subscriber(w: &mut Writer<'_>, subscriber: &Subscriber) {
    w.bytes(1, subscriber.id.as_bytes());
    for identity in &subscriber.identities {
        w.message(2, |w| match identity {
            Identity::Packed(packed) => w.fixed64(1, *packed),
            Identity::Text(kind, text) => w.message(2, |w| {
                w.uint(1, kind.subscription_id_type());
                w.bytes(2, text.as_bytes());
            }),
        });
    }
}
