//! Any change of an account, and any profile.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    accounts, boxed, bucket_ids, buckets, history_kinds, i64s, measures, moments, money, names, notices, sessions,
    states, u32s, u64s,
};
use crate::{charging::*, ids::VoucherKey, rating::Period};

fn members() -> BoxedStrategy<MemberNo> {
    u32s().prop_map(MemberNo).boxed()
}

pub(super) fn counters() -> BoxedStrategy<Counter> {
    (bucket_ids(), names(), members(), measures(), [moments(), moments(), moments()], i64s(), i64s(), any::<bool>())
        .prop_map(|(id, name, member, measure, [starts, ends, closes], used, reserved, refused)| Counter {
            id,
            name,
            member,
            measure,
            starts,
            ends,
            closes,
            used,
            reserved,
            refused,
        })
        .boxed()
}

pub(super) fn lives() -> BoxedStrategy<Life> {
    let moment = || option::of(moments());
    (moment(), moment(), moment(), any::<bool>(), moment())
        .prop_map(|(activated, valid_until, remind_at, lapsed, ends)| Life {
            activated,
            valid_until,
            remind_at,
            lapsed,
            ends,
        })
        .boxed()
}

fn cycles() -> BoxedStrategy<Cycle> {
    ([moments(), moments(), moments()], [money(), money(), money(), money()])
        .prop_map(|([starts, ends, closes], [opening, fees, credits, floor])| Cycle {
            starts,
            ends,
            closes,
            opening,
            fees,
            credits,
            floor,
        })
        .boxed()
}

fn subscriptions() -> BoxedStrategy<Subscription> {
    let moment = || option::of(moments());
    let times = (moments(), moments(), moment(), moment(), moment(), moment());
    ((u32s(), names(), members()), times, any::<bool>(), option::of(names()), any::<(bool, bool)>())
        .prop_map(
            |((no, product, member), (bought, starts, renews, ends, trial_until, retry), paused, becomes, flags)| {
                let (begun, of_plan) = flags;
                Subscription {
                    no,
                    product,
                    member,
                    bought,
                    starts,
                    renews,
                    ends,
                    trial_until,
                    paused,
                    becomes,
                    begun,
                    retry,
                    of_plan,
                }
            },
        )
        .boxed()
}

fn some_members() -> BoxedStrategy<Member> {
    let orders = select(vec![PayOrder::OwnFirst, PayOrder::SharedFirst, PayOrder::OwnOnly, PayOrder::SharedOnly]);
    let periods =
        prop_oneof![Just(Period::Day), Just(Period::Week), Just(Period::Cycle), u32s().prop_map(Period::Seconds)];
    let limits =
        (periods, measures(), i64s()).prop_map(|(period, measure, amount)| MemberLimit { period, measure, amount });
    (members(), boxed(), orders, vec(limits, 0..3))
        .prop_map(|(no, subscriber, order, limits)| Member { no, subscriber, order, limits })
        .boxed()
}

fn transfers() -> BoxedStrategy<Transfer> {
    (boxed(), accounts(), money(), moments())
        .prop_map(|(request_id, to, amount, at)| Transfer { request_id, to, amount, at })
        .boxed()
}

/// What charges go by.
pub(super) fn facts() -> BoxedStrategy<Box<Facts>> {
    let limit = (names(), members(), measures(), [i64s(), i64s(), i64s()], option::of(any::<u16>())).prop_map(
        |(name, member, measure, [used, added, amount], part)| LimitFact {
            name,
            member,
            measure,
            used,
            added,
            amount,
            part,
        },
    );
    let left = (u64s(), money()).prop_map(|(rated, charged)| Left { rated, charged });
    (option::of(u64s()), vec(limit, 0..3), any::<bool>(), members(), option::of(left))
        .prop_map(|(counted, limits, emergency, member, left)| {
            Box::new(Facts { counted, limits, emergency, member, left })
        })
        .boxed()
}

fn statements() -> BoxedStrategy<Statement> {
    ([moments(), moments()], [money(), money(), money(), money(), money(), money()])
        .prop_map(|([starts, ends], [opening, usage, fees, credits, closing, floor])| Statement {
            starts,
            ends,
            opening,
            usage,
            fees,
            credits,
            closing,
            floor,
        })
        .boxed()
}

/// A name with something in it: a plan without one is none.
fn plans() -> BoxedStrategy<Option<Arc<str>>> {
    option::of("[a-z]{1,12}".prop_map(Arc::from)).boxed()
}

pub(super) fn limits_and_lives() -> BoxedStrategy<NoticeKind> {
    let limit = select(vec![LimitStep::Told, LimitStep::Reached, LimitStep::Suspended]);
    let product = select(vec![ProductStep::Bought, ProductStep::Renewed, ProductStep::Paused, ProductStep::Ended]);
    let life = select(vec![
        LifeStep::Activated,
        LifeStep::EndsSoon,
        LifeStep::Lapsed,
        LifeStep::Revived,
        LifeStep::Ended,
        LifeStep::Suspended,
    ]);
    prop_oneof![
        (names(), any::<u8>(), members(), limit).prop_map(|(name, percent, member, step)| NoticeKind::Limit {
            name,
            percent,
            member,
            step
        }),
        (names(), u32s(), product).prop_map(|(product, subscription, step)| NoticeKind::Product {
            product,
            subscription,
            step
        }),
        (life, option::of(moments())).prop_map(|(step, until)| NoticeKind::Life { step, until }),
        (moments(), moments(), money(), money()).prop_map(|(starts, ends, usage, fees)| NoticeKind::CycleClosed {
            starts,
            ends,
            usage,
            fees
        }),
    ]
    .boxed()
}

pub(super) fn changed() -> BoxedStrategy<Event> {
    let fees = select(vec![FeeKind::Untold, FeeKind::Setup, FeeKind::Period, FeeKind::Floor]);
    let entry = (history_kinds(), bucket_ids(), i64s(), names(), fees)
        .prop_map(|(kind, bucket, amount, name, fee)| Entry { kind, bucket, amount, name, fee });
    let period = (names(), moments(), option::of(moments()), u64s(), u64s())
        .prop_map(|(product, from, until, days, of)| Box::new(PeriodPart { product, from, until, days, of }));
    let asked = (boxed(), boxed(), money())
        .prop_map(|(request_id, what, balance)| Box::new(Asked { request_id, what, balance }));
    let account = (moments(), accounts(), option::of(asked), boxed());
    let money = (vec(entry, 0..3), vec(buckets(), 0..3), vec(bucket_ids(), 0..3), vec(counters(), 0..2));
    let terms = (option::of(states()), option::of(super::money()), option::of(plans()), option::of(any::<u8>()));
    let terms = (terms, option::of(any::<bool>()));
    let life = (option::of(lives()), option::of((option::of(cycles()), option::of(cycles()))));
    let held = (vec(subscriptions(), 0..3), vec(u32s(), 0..3), vec(some_members(), 0..3), vec(members(), 0..3));
    let sent = (vec(transfers(), 0..2), vec(boxed(), 0..2), option::of(statements()));
    let others = (
        vec(sessions(), 0..3),
        vec(sessions(), 0..3),
        vec(notices(), 0..3),
        vec(bucket_ids(), 0..3),
        option::of(period),
        u32s(),
    );
    (account, money, terms, life, held, sent, others)
        .prop_map(|(account, money, terms, life, held, sent, others)| {
            let (at, account, asked, reason) = account;
            let (entries, buckets, removed_buckets, begun) = money;
            let ((state, credit_limit, plan, cycle_day), never_stop) = terms;
            let (life, cycles) = life;
            let (subscriptions, removed_subscriptions, members, removed_members) = held;
            let (sent, settled, statement) = sent;
            let (closes, reauthorise, notices, spans_ended, period, catalog) = others;
            Event::AccountChanged(Box::new(AccountChanged {
                at,
                account,
                asked,
                reason,
                entries,
                buckets,
                removed_buckets,
                begun,
                state,
                credit_limit,
                never_stop,
                plan,
                cycle_day,
                life: life.map(Box::new),
                cycles: cycles.map(Box::new),
                subscriptions,
                removed_subscriptions,
                members,
                removed_members,
                sent,
                settled,
                statement: statement.map(Box::new),
                closes,
                reauthorise,
                notices,
                spans_ended,
                period,
                catalog,
            }))
        })
        .boxed()
}

pub(in crate::journal) fn profiles() -> BoxedStrategy<Profile> {
    let own = (plans(), any::<u8>(), lives(), option::of(cycles()), option::of(cycles()));
    let held = (vec(subscriptions(), 0..3), u32s(), vec(some_members(), 0..3), u32s());
    (own, held, vec(counters(), 0..3), vec(transfers(), 0..2))
        .prop_map(|((plan, cycle_day, life, cycle, previous), held, counters, transfers)| {
            let (subscriptions, next_subscription, members, next_member) = held;
            Profile {
                plan,
                cycle_day,
                life,
                cycle,
                previous,
                subscriptions,
                next_subscription,
                members,
                next_member,
                counters,
                transfers,
            }
        })
        .boxed()
}

pub(super) fn vouchers() -> BoxedStrategy<Event> {
    let keys = || (any::<u64>(), any::<u64>()).prop_map(|(high, low)| VoucherKey(high, low));
    let value = prop_oneof![money().prop_map(VoucherValue::Money), names().prop_map(VoucherValue::Allowance)];
    let batch = (names(), value, moments())
        .prop_map(|(name, value, valid_until)| Box::new(VoucherBatch { name, value, valid_until }));
    let by = || {
        (accounts(), boxed(), moments())
            .prop_map(|(account, request_id, at)| Box::new(Redeemer { account, request_id, at }))
    };
    let mark = prop_oneof![
        Just(VoucherMark::Open),
        by().prop_map(VoucherMark::OnTheWay),
        by().prop_map(VoucherMark::Redeemed)
    ];
    prop_oneof![
        (batch, any::<bool>(), vec((u32s(), keys()), 0..4), moments())
            .prop_map(|(batch, blocked, vouchers, at)| Event::VouchersCreated { batch, blocked, vouchers, at }),
        (keys(), mark, moments()).prop_map(|(key, mark, at)| Event::VoucherMarked { key, mark, at }),
        (names(), any::<bool>(), moments()).prop_map(|(batch, blocked, at)| Event::VouchersBlocked {
            batch,
            blocked,
            at
        }),
    ]
    .boxed()
}
