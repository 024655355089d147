//! Changes of accounts, and what accounts have beside their buckets: written by hand like the rest, read from the generated
//! messages.

use std::sync::Arc;

use super::{
    RecordError, facts,
    numbers::Numbered as _,
    proto,
    read::{self, all, narrow, sessions as read_sessions},
    write::{self, sessions},
    writer::Writer,
};
use crate::{
    charging::{
        AccountChanged, Asked, Counter, Cycle, Entry, Life, Member, MemberLimit, MemberNo, NoticeKind, Profile,
        Statement, Subscription, Transfer,
    },
    ids::{AccountId, BucketId},
    rating::Period,
    time::Timestamp,
    units::Money,
};

type Result<T> = std::result::Result<T, RecordError>;

pub(super) fn changed(w: &mut Writer<'_>, event: &AccountChanged) {
    w.uint(1, event.account.0);
    if let Some(asked) = &event.asked {
        w.message(2, |w| {
            w.bytes(1, asked.request_id.as_bytes());
            w.bytes(2, asked.what.as_bytes());
            w.sint(3, asked.balance.micros());
        });
    }
    w.bytes(3, event.reason.as_bytes());
    for entry in &event.entries {
        w.message(4, |w| {
            w.uint(1, entry.kind.number());
            w.uint(2, entry.bucket.0);
            w.sint(3, entry.amount);
            w.bytes(4, entry.name.as_bytes());
            w.uint(70, facts::fee_number(entry.fee));
        });
    }
    event.buckets.iter().for_each(|each| w.message(5, |w| write::bucket(w, each)));
    numbers(w, 6, event.removed_buckets.iter().map(|bucket| bucket.0));
    event.begun.iter().for_each(|each| w.message(7, |w| counter(w, each)));
    w.uint(8, event.state.map_or(0, |state| state.number()));
    w.optional_sint(9, event.credit_limit.map(Money::micros));
    if let Some(plan) = &event.plan {
        w.present(10, plan.as_deref().unwrap_or_default().as_bytes());
    }
    w.optional(11, event.cycle_day.map(u32::from));
    if let Some(each) = &event.life {
        w.message(12, |w| life(w, each));
    }
    if let Some(each) = &event.cycles {
        w.message(13, |w| cycles(w, each.0.as_ref(), each.1.as_ref()));
    }
    event.subscriptions.iter().for_each(|each| w.message(14, |w| subscription(w, each)));
    numbers(w, 15, event.removed_subscriptions.iter().copied());
    event.members.iter().for_each(|each| w.message(16, |w| member(w, each)));
    numbers(w, 17, event.removed_members.iter().map(|member| member.0));
    event.sent.iter().for_each(|each| w.message(18, |w| transfer(w, each)));
    event.settled.iter().for_each(|each| w.present(19, each.as_bytes()));
    if let Some(each) = &event.statement {
        w.message(20, |w| statement(w, each));
    }
    sessions(w, 21, &event.closes);
    sessions(w, 22, &event.reauthorise);
    event.notices.iter().for_each(|each| w.message(23, |w| write::notice(w, each)));
    w.optional(30, event.never_stop);
    w.uint(70, event.catalog);
    if let Some(period) = &event.period {
        w.message(71, |w| facts::write_period(w, period));
    }
    numbers(w, 90, event.spans_ended.iter().map(|counter| counter.0));
}

pub(super) fn read_changed(wire: proto::AccountChanged, at: Timestamp) -> Result<AccountChanged> {
    let asked = |wire: proto::Asked| {
        let balance = Money::from_micros(wire.balance);
        Box::new(Asked { request_id: wire.request_id.into(), what: wire.what.into(), balance })
    };
    let entry = |wire: proto::Entry| {
        let kind = super::numbers::Numbered::from_number(wire.kind)?;
        let fee = facts::fee(wire.fee)?;
        Ok(Entry { kind, bucket: BucketId(wire.bucket), amount: wire.amount, name: wire.name.into(), fee })
    };
    let plan = |plan: String| Some(Arc::from(plan)).filter(|plan: &Arc<str>| !plan.is_empty());
    Ok(AccountChanged {
        at,
        account: AccountId(wire.account),
        asked: wire.asked.map(asked),
        reason: wire.reason.into(),
        entries: all(wire.entries, entry)?,
        buckets: all(wire.buckets, read::bucket)?,
        removed_buckets: wire.removed_buckets.into_iter().map(BucketId).collect(),
        begun: all(wire.begun, read_counter)?,
        state: match wire.state {
            0 => None,
            state => Some(super::numbers::Numbered::from_number(state)?),
        },
        credit_limit: wire.credit_limit.map(Money::from_micros),
        never_stop: wire.never_stop,
        plan: wire.plan.map(plan),
        cycle_day: wire.cycle_day.map(|day| narrow(day, "cycle day")).transpose()?,
        life: wire.life.map(|wire| Box::new(read_life(wire))),
        cycles: wire.cycles.map(|wire| Box::new(read_cycles(wire))),
        subscriptions: wire.subscriptions.into_iter().map(read_subscription).collect(),
        removed_subscriptions: wire.removed_subscriptions,
        members: all(wire.members, read_member)?,
        removed_members: wire.removed_members.into_iter().map(MemberNo).collect(),
        sent: wire.sent.into_iter().map(read_transfer).collect(),
        settled: wire.settled.into_iter().map(Into::into).collect(),
        statement: wire.statement.map(|wire| Box::new(read_statement(wire))),
        closes: read_sessions(wire.closes),
        reauthorise: read_sessions(wire.reauthorise),
        notices: all(wire.notices, read::notice)?,
        spans_ended: wire.spans_ended.into_iter().map(BucketId).collect(),
        period: wire.period.map(facts::read_period),
        catalog: wire.catalog,
    })
}

/// The kinds of notices that are about more than a balance.
pub(super) fn notice(w: &mut Writer<'_>, kind: &NoticeKind) {
    match kind {
        NoticeKind::Limit { name, percent, member, step } => w.message(20, |w| {
            w.bytes(1, name.as_bytes());
            w.uint(2, u32::from(*percent));
            w.uint(3, member.0);
            w.uint(4, step.number());
        }),
        NoticeKind::Product { product, subscription, step } => w.message(21, |w| {
            w.bytes(1, product.as_bytes());
            w.uint(2, *subscription);
            w.uint(3, step.number());
        }),
        NoticeKind::Life { step, until } => w.message(22, |w| {
            w.uint(1, step.number());
            w.optional(2, until.map(Timestamp::millis));
        }),
        NoticeKind::CycleClosed { starts, ends, usage, fees } => w.message(23, |w| {
            let told = Statement { starts: *starts, ends: *ends, usage: *usage, fees: *fees, ..Statement::default() };
            statement(w, &told);
        }),
        // Written by `write::notice`.
        NoticeKind::TopUp { .. }
        | NoticeKind::CreditStop
        | NoticeKind::Reconnect
        | NoticeKind::Threshold { .. }
        | NoticeKind::Overdraft { .. } => {}
    }
}

pub(super) fn read_notice(wire: proto::notice::Kind) -> Result<NoticeKind> {
    use super::numbers::Numbered as N;
    use proto::notice::Kind as Wire;
    Ok(match wire {
        Wire::Limit(wire) => NoticeKind::Limit {
            name: wire.name.into(),
            percent: narrow(wire.percent, "percent")?,
            member: MemberNo(wire.member),
            step: N::from_number(wire.step)?,
        },
        Wire::Product(wire) => NoticeKind::Product {
            product: wire.product.into(),
            subscription: wire.subscription,
            step: N::from_number(wire.step)?,
        },
        Wire::Life(wire) => {
            NoticeKind::Life { step: N::from_number(wire.step)?, until: wire.until_ms.map(Timestamp::from_millis) }
        }
        Wire::CycleClosed(wire) => {
            let Statement { starts, ends, usage, fees, .. } = read_statement(wire);
            NoticeKind::CycleClosed { starts, ends, usage, fees }
        }
        // Read by `read::notice`.
        Wire::TopUp(_) | Wire::CreditStop(_) | Wire::Reconnect(_) | Wire::Threshold(_) | Wire::Overdraft(_) => {
            return Err(RecordError::Missing("kind of notice"));
        }
    })
}

pub(in crate::journal) fn write_profile(w: &mut Writer<'_>, profile: &Profile) {
    if let Some(plan) = &profile.plan {
        w.present(1, plan.as_bytes());
    }
    w.uint(2, u32::from(profile.cycle_day));
    if profile.life != Life::default() {
        w.message(3, |w| life(w, &profile.life));
    }
    if profile.cycle.is_some() || profile.previous.is_some() {
        w.message(4, |w| cycles(w, profile.cycle.as_ref(), profile.previous.as_ref()));
    }
    profile.subscriptions.iter().for_each(|each| w.message(5, |w| subscription(w, each)));
    w.uint(6, profile.next_subscription);
    profile.members.iter().for_each(|each| w.message(7, |w| member(w, each)));
    w.uint(8, profile.next_member);
    profile.counters.iter().for_each(|each| w.message(9, |w| counter(w, each)));
    profile.transfers.iter().for_each(|each| w.message(10, |w| transfer(w, each)));
}

pub(in crate::journal) fn read_profile(wire: proto::Profile) -> Result<Profile> {
    let (cycle, previous) = wire.cycles.map_or((None, None), read_cycles);
    Ok(Profile {
        plan: wire.plan.map(Arc::from),
        cycle_day: narrow(wire.cycle_day, "cycle day")?,
        life: wire.life.map(read_life).unwrap_or_default(),
        cycle,
        previous,
        subscriptions: wire.subscriptions.into_iter().map(read_subscription).collect(),
        next_subscription: wire.next_subscription,
        members: all(wire.members, read_member)?,
        next_member: wire.next_member,
        counters: all(wire.counters, read_counter)?,
        transfers: wire.transfers.into_iter().map(read_transfer).collect(),
    })
}

pub(super) fn counter(w: &mut Writer<'_>, counter: &Counter) {
    w.uint(1, counter.id.0);
    w.bytes(2, counter.name.as_bytes());
    w.uint(3, counter.member.0);
    w.uint(4, counter.measure.number());
    w.uint(5, counter.starts.millis());
    w.uint(6, counter.ends.millis());
    w.uint(7, counter.closes.millis());
    w.sint(8, counter.used);
    w.sint(9, counter.reserved);
    w.bool(90, counter.refused);
}

pub(super) fn read_counter(wire: proto::Counter) -> Result<Counter> {
    Ok(Counter {
        id: BucketId(wire.id),
        name: wire.name.into(),
        member: MemberNo(wire.member),
        measure: super::numbers::Numbered::from_number(wire.measure)?,
        starts: Timestamp::from_millis(wire.starts_ms),
        ends: Timestamp::from_millis(wire.ends_ms),
        closes: Timestamp::from_millis(wire.closes_ms),
        used: wire.used,
        reserved: wire.reserved,
        refused: wire.refused,
    })
}

pub(super) fn life(w: &mut Writer<'_>, life: &Life) {
    w.optional(1, life.activated.map(Timestamp::millis));
    w.optional(2, life.valid_until.map(Timestamp::millis));
    w.optional(3, life.remind_at.map(Timestamp::millis));
    w.bool(4, life.lapsed);
    w.optional(5, life.ends.map(Timestamp::millis));
}

pub(super) fn read_life(wire: proto::Life) -> Life {
    let moment = |millis: Option<u64>| millis.map(Timestamp::from_millis);
    Life {
        activated: moment(wire.activated_ms),
        valid_until: moment(wire.valid_until_ms),
        remind_at: moment(wire.remind_at_ms),
        lapsed: wire.lapsed,
        ends: moment(wire.ends_ms),
    }
}

fn cycles(w: &mut Writer<'_>, current: Option<&Cycle>, previous: Option<&Cycle>) {
    for (field, cycle) in [(1, current), (2, previous)] {
        let Some(cycle) = cycle else { continue };
        w.message(field, |w| {
            w.uint(1, cycle.starts.millis());
            w.uint(2, cycle.ends.millis());
            w.uint(3, cycle.closes.millis());
            w.sint(4, cycle.opening.micros());
            w.sint(5, cycle.fees.micros());
            w.sint(6, cycle.credits.micros());
            w.sint(7, cycle.floor.micros());
        });
    }
}

fn read_cycles(wire: proto::Cycles) -> (Option<Cycle>, Option<Cycle>) {
    let cycle = |wire: proto::Cycle| Cycle {
        starts: Timestamp::from_millis(wire.starts_ms),
        ends: Timestamp::from_millis(wire.ends_ms),
        closes: Timestamp::from_millis(wire.closes_ms),
        opening: Money::from_micros(wire.opening),
        fees: Money::from_micros(wire.fees),
        credits: Money::from_micros(wire.credits),
        floor: Money::from_micros(wire.floor),
    };
    (wire.current.map(cycle), wire.previous.map(cycle))
}

fn statement(w: &mut Writer<'_>, statement: &Statement) {
    w.uint(1, statement.starts.millis());
    w.uint(2, statement.ends.millis());
    let amounts = [statement.opening, statement.usage, statement.fees, statement.credits, statement.closing];
    for (field, amount) in (3..).zip(amounts) {
        w.sint(field, amount.micros());
    }
    w.sint(70, statement.floor.micros());
}

fn read_statement(wire: proto::Statement) -> Statement {
    Statement {
        starts: Timestamp::from_millis(wire.starts_ms),
        ends: Timestamp::from_millis(wire.ends_ms),
        opening: Money::from_micros(wire.opening),
        usage: Money::from_micros(wire.usage),
        fees: Money::from_micros(wire.fees),
        credits: Money::from_micros(wire.credits),
        closing: Money::from_micros(wire.closing),
        floor: Money::from_micros(wire.floor),
    }
}

fn subscription(w: &mut Writer<'_>, subscription: &Subscription) {
    w.uint(1, subscription.no);
    w.bytes(2, subscription.product.as_bytes());
    w.uint(3, subscription.member.0);
    w.uint(4, subscription.bought.millis());
    w.uint(5, subscription.starts.millis());
    w.optional(6, subscription.renews.map(Timestamp::millis));
    w.optional(7, subscription.ends.map(Timestamp::millis));
    w.optional(8, subscription.trial_until.map(Timestamp::millis));
    w.bool(9, subscription.paused);
    if let Some(becomes) = &subscription.becomes {
        w.present(10, becomes.as_bytes());
    }
    w.bool(11, subscription.begun);
    w.optional(12, subscription.retry.map(Timestamp::millis));
    w.bool(90, subscription.of_plan);
}

fn read_subscription(wire: proto::Subscription) -> Subscription {
    let moment = |millis: Option<u64>| millis.map(Timestamp::from_millis);
    Subscription {
        no: wire.no,
        product: wire.product.into(),
        member: MemberNo(wire.member),
        bought: Timestamp::from_millis(wire.bought_ms),
        starts: Timestamp::from_millis(wire.starts_ms),
        renews: moment(wire.renews_ms),
        ends: moment(wire.ends_ms),
        trial_until: moment(wire.trial_until_ms),
        paused: wire.paused,
        becomes: wire.becomes.map(Arc::from),
        retry: moment(wire.retry_ms),
        begun: wire.begun,
        of_plan: wire.of_plan,
    }
}

fn member(w: &mut Writer<'_>, member: &Member) {
    w.uint(1, member.no.0);
    w.bytes(2, member.subscriber.as_bytes());
    w.uint(3, member.order.number());
    for limit in &member.limits {
        w.message(4, |w| {
            w.message(1, |w| period(w, limit.period));
            w.uint(2, limit.measure.number());
            w.sint(3, limit.amount);
        });
    }
}

fn read_member(wire: proto::Member) -> Result<Member> {
    let limit = |wire: proto::MemberLimit| {
        Ok(MemberLimit {
            period: read_period(wire.period.ok_or(RecordError::Missing("period"))?)?,
            measure: super::numbers::Numbered::from_number(wire.measure)?,
            amount: wire.amount,
        })
    };
    Ok(Member {
        no: MemberNo(wire.no),
        subscriber: wire.subscriber.into(),
        order: super::numbers::Numbered::from_number(wire.order)?,
        limits: all(wire.limits, limit)?,
    })
}

fn period(w: &mut Writer<'_>, period: Period) {
    let (kind, seconds) = match period {
        Period::Day => (proto::PeriodKind::Day, 0),
        Period::Week => (proto::PeriodKind::Week, 0),
        Period::Cycle => (proto::PeriodKind::Cycle, 0),
        Period::Seconds(seconds) => (proto::PeriodKind::Window, seconds),
    };
    w.uint(1, kind as u32);
    w.uint(2, seconds);
}

fn read_period(wire: proto::Period) -> Result<Period> {
    Ok(match proto::PeriodKind::try_from(wire.kind) {
        Ok(proto::PeriodKind::Day) => Period::Day,
        Ok(proto::PeriodKind::Week) => Period::Week,
        Ok(proto::PeriodKind::Cycle) => Period::Cycle,
        Ok(proto::PeriodKind::Window) => Period::Seconds(wire.seconds),
        Err(_) => return Err(RecordError::BadValue { field: "period", value: i64::from(wire.kind) }),
    })
}

fn transfer(w: &mut Writer<'_>, transfer: &Transfer) {
    w.bytes(1, transfer.request_id.as_bytes());
    w.uint(2, transfer.to.0);
    w.sint(3, transfer.amount.micros());
    w.uint(4, transfer.at.millis());
}

fn read_transfer(wire: proto::Transfer) -> Transfer {
    Transfer {
        request_id: wire.request_id.into(),
        to: AccountId(wire.to),
        amount: Money::from_micros(wire.amount),
        at: Timestamp::from_millis(wire.at_ms),
    }
}

/// Packed numbers, if there are any.
pub(super) fn numbers(w: &mut Writer<'_>, field: u32, numbers: impl ExactSizeIterator<Item = u32>) {
    if numbers.len() > 0 {
        w.message(field, |w| numbers.for_each(|number| w.packed(u64::from(number))));
    }
}
