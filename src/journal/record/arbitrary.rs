//! Any event at all, whether or not it could happen: with numbers at the ends of their ranges and empty texts.

mod account;
mod bulk;

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*};

pub(in crate::journal) use self::bulk::{bulk_decisions, bulks, submitted_bulks};

use crate::{
    charging::*,
    few::Few,
    ids::*,
    rating::{Announcement, Attributes, EnvelopeReporting, Publication, Role, RunningSessions, TimeMechanism},
    time::Timestamp,
    units::{Currency, Money, UnitKind},
};

fn u64s() -> BoxedStrategy<u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(127),
        Just(128),
        Just(u64::MAX),
        Just(1 << 63),
        any::<u64>(),
        0..1_000_000_000u64
    ]
    .boxed()
}

fn u32s() -> BoxedStrategy<u32> {
    prop_oneof![Just(0), Just(1), Just(127), Just(128), Just(u32::MAX), any::<u32>()].boxed()
}

fn i64s() -> BoxedStrategy<i64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(-1),
        Just(63),
        Just(64),
        Just(-64),
        Just(-65),
        Just(i64::MAX),
        Just(i64::MIN),
        any::<i64>()
    ]
    .boxed()
}

fn moments() -> BoxedStrategy<Timestamp> {
    u64s().prop_map(Timestamp::from_millis).boxed()
}

fn money() -> BoxedStrategy<Money> {
    i64s().prop_map(Money::from_micros).boxed()
}

fn texts() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), "[a-z ü☎]{1,12}", "[a-z]{120,140}"].boxed()
}

fn names() -> BoxedStrategy<Arc<str>> {
    texts().prop_map(Arc::from).boxed()
}

fn boxed() -> BoxedStrategy<Box<str>> {
    texts().prop_map(Box::from).boxed()
}

fn accounts() -> BoxedStrategy<AccountId> {
    u64s().prop_map(AccountId).boxed()
}

fn sessions() -> BoxedStrategy<SessionNo> {
    u64s().prop_map(SessionNo).boxed()
}

fn bucket_ids() -> BoxedStrategy<BucketId> {
    u32s().prop_map(BucketId).boxed()
}

fn session_ids() -> BoxedStrategy<SessionId> {
    vec(any::<u8>(), 0..40).prop_map(|octets| SessionId::new(&octets)).boxed()
}

fn keys() -> BoxedStrategy<QuotaKey> {
    (option::of(u32s()), option::of(u32s()), u32s())
        .prop_map(|(rating_group, service_identifier, further)| QuotaKey { rating_group, service_identifier, further })
        .boxed()
}

fn unit_kinds() -> BoxedStrategy<UnitKind> {
    prop::sample::select(vec![UnitKind::Octets, UnitKind::Seconds, UnitKind::Events]).boxed()
}

fn measures() -> BoxedStrategy<Measure> {
    prop_oneof![unit_kinds().prop_map(Measure::Units), Just(Measure::Money)].boxed()
}

fn request_kinds() -> BoxedStrategy<RequestKind> {
    use RequestKind::*;
    prop::sample::select(vec![Initial, Update, Termination, Event]).boxed()
}

fn verdicts() -> BoxedStrategy<Verdict> {
    use Verdict::*;
    prop::sample::select(vec![
        Success,
        ServiceDenied,
        CreditLimitReached,
        RatingFailed,
        UserUnknown,
        UnknownSession,
        ResourcesExceeded,
        UnableToComply,
        InvalidValue,
        NotApplicable,
        OtherContext,
        UnitNotRated,
        MoneyNotRated,
        TooBusy,
    ])
    .boxed()
}

fn causes() -> BoxedStrategy<ClosingCause> {
    use ClosingCause::*;
    prop::sample::select(vec![Terminated, Refused, Expired, Lost, MainEnded, ClientRestarted]).boxed()
}

fn states() -> BoxedStrategy<AccountState> {
    use AccountState::*;
    prop::sample::select(vec![Active, Stopped, Suspended, Terminated]).boxed()
}

fn history_kinds() -> BoxedStrategy<HistoryKind> {
    use HistoryKind::*;
    prop::sample::select(vec![Usage, TopUp, Adjustment, Allowance, Opening, Refund]).boxed()
}

fn actions() -> BoxedStrategy<EventAction> {
    use EventAction::*;
    prop::sample::select(vec![Debit, Refund, CheckBalance, PriceEnquiry]).boxed()
}

fn currencies() -> BoxedStrategy<Currency> {
    prop::sample::select(vec!["CNY", "EUR", "AUD", "AED"]).prop_map(|code| code.parse().unwrap()).boxed()
}

fn identities() -> BoxedStrategy<Identity> {
    use IdentityKind::*;
    prop_oneof![
        "[0-9]{1,16}".prop_map(|digits| Identity::new(E164, &digits).unwrap()),
        "[0-9]{1,16}".prop_map(|digits| Identity::new(Imsi, &digits).unwrap()),
        (prop::sample::select(vec![SipUri, Nai, Private]), "[a-z@.ü]{1,30}")
            .prop_map(|(kind, text)| Identity::new(kind, &text).unwrap()),
    ]
    .boxed()
}

fn draws() -> BoxedStrategy<Few<Draw>> {
    let draw = (bucket_ids(), i64s()).prop_map(|(bucket, amount)| Draw { bucket, amount });
    vec(draw, 0..3).prop_map(Few::from).boxed()
}

pub(in crate::journal) use self::account::profiles;

fn buckets() -> BoxedStrategy<Bucket> {
    let given = (u32s(), u32s(), any::<u8>());
    let kinds = prop_oneof![unit_kinds().prop_map(BucketKind::Units), Just(BucketKind::Money)];
    let figures = (i64s(), i64s(), i64s(), u32s());
    (bucket_ids(), kinds, figures, option::of(moments()), vec(names(), 0..3), names(), given)
        .prop_map(|(id, kind, (amount, reserved, initial, priority), expires, services, name, given)| Bucket {
            id,
            kind,
            amount,
            reserved,
            initial,
            priority,
            expires,
            services: services.into(),
            name,
            owner: MemberNo(given.0),
            subscription: given.1,
            rolled: given.2,
        })
        .boxed()
}

fn steps() -> BoxedStrategy<Step> {
    let figures = (u64s(), u64s(), money(), u64s(), u32s(), any::<bool>(), any::<bool>());
    let price = (option::of(names()), option::of(terms()), option::of(u32s()), u64s(), option::of(given()), u32s());
    let price = (price, option::of(account::facts()));
    (keys(), names(), measures(), figures, draws(), draws(), price)
        .prop_map(
            |(
                key,
                service,
                measure,
                (used, rated, charged, granted, validity_secs, final_units, refused),
                debits,
                holds,
                ((tariff, terms, pool, slice, discount, catalog), facts),
            )| {
                Step {
                    key,
                    service,
                    measure,
                    used,
                    rated,
                    charged,
                    debits,
                    holds,
                    granted,
                    validity_secs,
                    final_units,
                    refused,
                    tariff,
                    terms,
                    pool,
                    slice,
                    discount,
                    catalog,
                    facts,
                }
            },
        )
        .boxed()
}

fn terms() -> BoxedStrategy<Arc<Terms>> {
    let changes = (moments(), option::of(names())).prop_map(|(at, tariff)| TariffChange { at, tariff });
    (option::of(names()), option::of(changes), option::of(given()))
        .prop_map(|(tariff, change, discount)| Arc::new(Terms { tariff, change, discount }))
        .boxed()
}

fn given() -> BoxedStrategy<Given> {
    (names(), any::<u16>()).prop_map(|(name, basis_points)| Given { name, basis_points }).boxed()
}

fn attributes() -> BoxedStrategy<Arc<Attributes>> {
    use Role::*;
    let roles = prop::sample::select(vec![Originating, Terminating, Forwarding]);
    let place = (option::of(any::<u8>()), option::of(names()), option::of(u32s()), option::of(u64s()));
    let parties = (option::of(names()), option::of(names()), option::of(roles));
    let rest = (option::of(u32s()), option::of(u64s()), option::of(any::<i16>()), any::<bool>());
    (place, parties, rest)
        .prop_map(
            |(
                (access, serving_network, area, cell),
                (apn, other_party, role),
                (message_type, size, time_zone, emergency),
            )| {
                Arc::new(Attributes {
                    access,
                    serving_network,
                    area,
                    cell,
                    apn,
                    other_party,
                    role,
                    message_type,
                    size,
                    time_zone,
                    emergency,
                })
            },
        )
        .boxed()
}

fn reply_extras() -> BoxedStrategy<Box<ReplyExtras>> {
    let pools = (u32s(), u64s()).prop_map(|(id, multiplier)| PoolShare { id, multiplier });
    let triggers = vec(u32s(), 0..3).prop_map(Box::from);
    let mechanisms =
        (any::<bool>(), u32s()).prop_map(|(continuous, base_secs)| TimeMechanism { continuous, base_secs });
    let envelopes = {
        use EnvelopeReporting::*;
        prop::sample::select(vec![Plain, Volume, Events, Both])
    };
    let announcements = (u32s(), u32s()).prop_map(|(id, before_end_secs)| Announcement { id, before_end_secs });
    let told = (option::of(mechanisms), option::of(envelopes), option::of(announcements));
    (option::of(moments()), option::of(pools), option::of(u32s()), option::of(triggers), told)
        .prop_map(|(tariff_change, pool, consumption_secs, triggers, told)| {
            let (time_mechanism, envelopes, announcement) = told;
            Box::new(ReplyExtras {
                tariff_change,
                pool,
                consumption_secs,
                triggers,
                time_mechanism,
                envelopes,
                announcement,
            })
        })
        .boxed()
}

fn advice() -> BoxedStrategy<Advice> {
    let tariffs = (unit_kinds(), u64s(), u64s(), any::<u8>(), money())
        .prop_map(|(kind, units, digits, scale, setup)| TariffAdvice { kind, units, digits, scale, setup });
    let next = (moments(), tariffs.clone());
    (option::of(money()), option::of(tariffs), option::of(next))
        .prop_map(|(incremental, tariff, next)| Advice { incremental, tariff, next })
        .boxed()
}

fn replies() -> BoxedStrategy<Reply> {
    let grants = (measures(), u64s()).prop_map(|(measure, amount)| Grant { measure, amount });
    let restrictions = (vec(names(), 0..3), vec(names(), 0..3))
        .prop_map(|(rules, filters)| FinalUnits::Restrict { rules: rules.into(), filters: filters.into() });
    let ends = prop_oneof![Just(FinalUnits::Terminate), names().prop_map(FinalUnits::Redirect), restrictions];
    let figures = (u32s(), u32s(), option::of(u32s()));
    (keys(), verdicts(), option::of(grants), figures, option::of(ends), option::of(reply_extras()))
        .prop_map(|(key, verdict, grant, (validity_secs, threshold, holding_secs), final_action, extras)| Reply {
            key,
            verdict,
            grant,
            validity_secs,
            threshold,
            holding_secs,
            final_action,
            extras,
        })
        .boxed()
}

fn answers() -> BoxedStrategy<Arc<Answer>> {
    let flags = (any::<bool>(), option::of(any::<bool>()));
    let extras = (option::of(money()), option::of(any::<bool>()), option::of(advice()), option::of(names())).prop_map(
        |(remaining, low_balance, advice, cost_unit)| {
            Box::new(AnswerExtras { remaining, low_balance, advice, cost_unit })
        },
    );
    (request_kinds(), u32s(), verdicts(), vec(replies(), 0..3), money(), flags, option::of(extras))
        .prop_map(|(kind, number, verdict, replies, cost, (at_command_level, enough_credit), extras)| {
            Arc::new(Answer { kind, number, verdict, replies, at_command_level, cost, enough_credit, extras })
        })
        .boxed()
}

pub(in crate::journal) fn notices() -> BoxedStrategy<Notice> {
    let kinds = prop_oneof![
        (money(), boxed()).prop_map(|(amount, request_id)| NoticeKind::TopUp { amount, request_id }),
        Just(NoticeKind::CreditStop),
        Just(NoticeKind::Reconnect),
        (names(), option::of(bucket_ids())).prop_map(|(name, bucket)| NoticeKind::Threshold { name, bucket }),
        money().prop_map(|excess| NoticeKind::Overdraft { excess }),
        account::limits_and_lives(),
    ];
    (accounts(), moments(), money(), kinds)
        .prop_map(|(account, at, balance, kind)| Notice { account, at, balance, kind })
        .boxed()
}

fn openings() -> BoxedStrategy<Box<Opening>> {
    (session_ids(), u64s(), names(), names(), names(), u32s())
        .prop_map(|(session_id, sub_session, context, origin_host, origin_realm, number)| {
            // Two numbers that have nothing to do with each other.
            let (member, catalog) = (MemberNo(number), number.rotate_left(7));
            Box::new(Opening { session_id, sub_session, context, origin_host, origin_realm, member, catalog })
        })
        .boxed()
}

fn interrogated() -> BoxedStrategy<Event> {
    let when = (moments(), moments(), option::of(moments()));
    let origin = (names(), names()).prop_map(|(host, realm)| Box::new(Origin { host, realm }));
    let ends = (option::of(openings()), option::of(causes()), option::of(origin), option::of(attributes()));
    let others = (
        option::of(u32s()),
        vec(sessions(), 0..3),
        vec(account::counters(), 0..2),
        option::of(u32s()),
        reheld(),
        option::of(u32s()),
        vec(bucket_ids(), 0..3),
    );
    (when, accounts(), sessions(), ends, vec(steps(), 0..4), answers(), vec(notices(), 0..3), others)
        .prop_map(
            |(
                (at, expires, untimely),
                account,
                session,
                (opening, closes, moved_to, attributes),
                steps,
                answer,
                notices,
                others,
            )| {
                let (incarnation, wake, begun, catalog, reheld, member, reached) = others;
                Event::Interrogated(Box::new(Interrogated {
                    at,
                    account,
                    session,
                    opening,
                    steps,
                    answer,
                    expires,
                    closes,
                    notices,
                    moved_to,
                    attributes,
                    incarnation,
                    wake,
                    untimely,
                    begun,
                    member: member.map(MemberNo),
                    reached,
                    reheld,
                    catalog,
                }))
            },
        )
        .boxed()
}

fn reheld() -> BoxedStrategy<Vec<Reheld>> {
    let one = (sessions(), keys(), draws()).prop_map(|(session, key, holds)| Reheld { session, key, holds });
    vec(one, 0..3).boxed()
}

fn event_charged() -> BoxedStrategy<Event> {
    let session = (session_ids(), u64s());
    let halves = || (1..u64::MAX).boxed();
    let debits = (halves(), halves(), u32s())
        .prop_map(|(high, low, number)| DebitRef { key: SessionKey::from_halves(high, low), number });
    let begun = vec(account::counters(), 0..2);
    let conditions = (boxed(), option::of(attributes()), u32s()).prop_map(|(context, attributes, member)| {
        Box::new(Conditions { context, attributes, member: MemberNo(member) })
    });
    let rest = (u32s(), option::of(conditions));
    let refund = (option::of(debits), vec(sessions(), 0..3), option::of(moments()), begun, rest, reheld());
    (moments(), accounts(), session, actions(), vec(steps(), 0..4), answers(), vec(notices(), 0..3), refund)
        .prop_map(|(at, account, (session_id, sub_session), action, steps, answer, notices, refund)| {
            let (refund_of, reauthorise, untimely, begun, (catalog, conditions), reheld) = refund;
            Event::EventCharged(Box::new(EventCharged {
                at,
                account,
                session_id,
                sub_session,
                action,
                steps,
                answer,
                notices,
                refund_of,
                reauthorise,
                untimely,
                begun,
                reheld,
                catalog,
                conditions,
            }))
        })
        .boxed()
}

fn credited() -> BoxedStrategy<Event> {
    let account = (moments(), accounts(), history_kinds());
    let bucket = (bucket_ids(), i64s(), option::of(buckets().prop_map(Box::new)), money());
    let extras = (option::of(account::lives().prop_map(Box::new)), vec(buckets(), 0..3), vec(notices(), 0..3), u32s());
    (account, bucket, boxed(), boxed(), vec(sessions(), 0..20), extras)
        .prop_map(
            |((at, account, kind), (bucket, amount, new_bucket, balance), request_id, reason, reauthorise, extras)| {
                let (life, gifts, notices, catalog) = extras;
                Event::Credited(Box::new(Credited {
                    at,
                    account,
                    kind,
                    bucket,
                    amount,
                    new_bucket,
                    request_id,
                    reason,
                    balance,
                    reauthorise,
                    notices,
                    life,
                    gifts,
                    catalog,
                }))
            },
        )
        .boxed()
}

fn orphan_usage() -> BoxedStrategy<Event> {
    let octets = (u64s(), u64s(), u64s());
    let used = (octets, u64s(), u64s(), money()).prop_map(|((octets, input, output), seconds, events, money)| Used {
        octets,
        input,
        output,
        seconds,
        events,
        money,
    });
    let usage = vec((keys(), used), 0..4);
    let refused = verdicts().prop_filter("orphan usage is never a success", |verdict| *verdict != Verdict::Success);
    let charged = (vec(steps(), 0..3), vec(notices(), 0..2), refused, vec(account::counters(), 0..2), u32s(), reheld());
    let session = (session_ids(), u64s());
    (moments(), option::of(accounts()), session, boxed(), request_kinds(), u32s(), usage, charged)
        .prop_map(|(at, account, (session_id, sub_session), context, kind, number, usage, charged)| {
            let (steps, notices, verdict, begun, catalog, reheld) = charged;
            Event::OrphanUsage(Box::new(OrphanUsage {
                at,
                account,
                session_id,
                sub_session,
                context,
                kind,
                number,
                usage,
                steps,
                verdict,
                notices,
                begun,
                catalog,
                reheld,
            }))
        })
        .boxed()
}

/// Any publication; what is withdrawn is so in snapshots only.
pub(in crate::journal) fn publications() -> BoxedStrategy<Publication> {
    let sessions = prop::sample::select(vec![RunningSessions::Finish, RunningSessions::Change]);
    (u32s(), names(), moments(), moments(), sessions, boxed(), boxed(), boxed())
        .prop_map(|(number, text, published, activates, sessions, by, reason, request_id)| Publication {
            number,
            text,
            published,
            activates,
            sessions,
            by,
            reason,
            request_id,
            withdrawn: None,
        })
        .boxed()
}

/// Any event.
pub(in crate::journal) fn events() -> BoxedStrategy<Event> {
    let subscribers = (boxed(), vec(identities(), 0..4))
        .prop_map(|(id, identities)| Subscriber { id, identities: identities.into() });
    prop_oneof![
        1 => (accounts(), currencies(), money(), any::<bool>(), vec(buckets(), 0..4), moments()).prop_map(
            |(account, currency, credit_limit, never_stop, buckets, at)| {
                Event::AccountCreated { account, currency, credit_limit, never_stop, buckets, at }
            }
        ),
        1 => (accounts(), subscribers, moments())
            .prop_map(|(account, subscriber, at)| Event::SubscriberCreated { account, subscriber, at }),
        1 => (accounts(), states(), boxed(), moments())
            .prop_map(|(account, state, reason, at)| Event::StateChanged { account, state, reason, at }),
        4 => interrogated(),
        2 => event_charged(),
        2 => credited(),
        1 => orphan_usage(),
        2 => account::changed(),
        1 => account::vouchers(),
        1 => (sessions(), causes(), vec(sessions(), 0..3), moments())
            .prop_map(|(session, cause, wake, at)| Event::SessionClosed { session, cause, wake, at }),
        1 => (sessions(), any::<bool>(), option::of(u32s()), moments())
            .prop_map(|(session, wanted, group, at)| Event::ReAuthorise { session, wanted, group, at }),
        1 => (sessions(), any::<bool>(), moments())
            .prop_map(|(session, wanted, at)| Event::Abort { session, wanted, at }),
        1 => (names(), u32s(), moments())
            .prop_map(|(host, state_id, at)| Event::ClientState { host, state_id, at }),
    ]
    .boxed()
}

pub(in crate::journal) fn audits() -> BoxedStrategy<crate::journal::record::Audit> {
    let text = || texts().prop_map(Box::<str>::from);
    let (who, what) = ((text(), text(), text()), (text(), text(), text(), text(), text(), text()));
    let audit = |((name, role, address), (method, target, reason, before, after, refusal), bulk)| {
        crate::journal::record::Audit {
            at: Default::default(),
            name,
            role,
            address,
            method,
            target,
            reason,
            before,
            after,
            refusal,
            bulk,
        }
    };
    (who, what, option::of(bulk::bulk_items())).prop_map(audit).boxed()
}
