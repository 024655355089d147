use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..300, any::<u64>(), Just(u64::MAX)]
}

fn names() -> impl Strategy<Value = Arc<str>> {
    ".{0,12}".prop_map(Arc::from)
}

fn measures() -> impl Strategy<Value = Measure> {
    let kinds = [UnitKind::Octets, UnitKind::Seconds, UnitKind::Events];
    prop_oneof![select(kinds.to_vec()).prop_map(Measure::Units), Just(Measure::Money)]
}

fn limits() -> impl Strategy<Value = LimitFact> {
    let amounts = [any::<i64>(), any::<i64>(), any::<i64>()];
    (names(), any::<u32>(), measures(), amounts, option::of(any::<u16>())).prop_map(
        |(name, member, measure, [used, added, amount], part)| LimitFact {
            name,
            member: MemberNo(member),
            measure,
            used,
            added,
            amount,
            part,
        },
    )
}

fn parts() -> impl Strategy<Value = Part> {
    let given = (names(), any::<u16>()).prop_map(|(name, basis_points)| Given { name, basis_points });
    let left =
        (numbers(), any::<i64>()).prop_map(|(rated, charged)| Left { rated, charged: Money::from_micros(charged) });
    let terms = (select(vec![0, 1, u32::MAX]), select(vec!["", "a", "internet"]), measures(), option::of(names()));
    let figures = ([numbers(), numbers(), numbers(), numbers()], any::<i64>());
    let rest = (option::of(given), vec(limits(), 0..3), [any::<bool>(), any::<bool>()], option::of(left));
    (terms, figures, rest, any::<u32>(), numbers(), numbers()).prop_map(
        |(terms, ([from, used, rated, from_allowance], charged), rest, reports, first, last)| {
            let (catalog, service, measure, tariff) = terms;
            let (discount, limits, [counted, emergency], left) = rest;
            Part {
                catalog,
                service: service.into(),
                measure,
                tariff,
                from,
                counted,
                used,
                rated,
                from_allowance,
                charged: Money::from_micros(charged),
                discount,
                limits,
                emergency,
                left,
                reports,
                first: Timestamp::from_millis(first),
                last: Timestamp::from_millis(last),
            }
        },
    )
}

fn details() -> impl Strategy<Value = Detail> {
    let money = || any::<i64>().prop_map(Money::from_micros);
    let moment = || numbers().prop_map(Timestamp::from_millis);
    let periods = || {
        (names(), moment(), option::of((0..u64::MAX).prop_map(Timestamp::from_millis)), numbers(), numbers())
            .prop_map(|(product, from, until, days, of)| PeriodPart { product, from, until, days, of })
    };
    let kinds = measures().prop_map(|measure| match measure {
        Measure::Money => BucketKind::Money,
        Measure::Units(kind) => BucketKind::Units(kind),
    });
    let paid =
        (any::<u32>(), names(), kinds, any::<u32>(), any::<i64>()).prop_map(|(bucket, name, kind, owner, amount)| {
            Paid { bucket: BucketId(bucket), name, kind, owner: MemberNo(owner), amount }
        });
    let rest = prop_oneof![
        Just(Rest::default()),
        (numbers(), numbers(), money()).prop_map(|(used, rated, charged)| Rest { used, rated, charged })
    ];
    let breakdown =
        (any::<u32>(), vec(parts(), 0..4), vec(paid, 0..4), rest).prop_map(|(member, parts, paid, rest)| {
            Detail::Charge(Breakdown { member: MemberNo(member), parts, paid, rest })
        });
    let fees = select(vec![FeeKind::Untold, FeeKind::Setup, FeeKind::Period, FeeKind::Floor]);
    prop_oneof![
        breakdown,
        (fees, periods()).prop_map(|(kind, period)| Detail::Fee(kind, period)),
        (moment(), moment(), money(), money()).prop_map(|(starts, ends, floor, usage)| Detail::Floor {
            starts,
            ends,
            floor,
            usage
        }),
        periods().prop_map(Detail::Given),
        money().prop_map(Detail::Gift),
    ]
}

proptest! {
    #[test]
    fn details_come_back_as_they_were_and_never_in_part(detail in details()) {
        let octets = detail.write();
        prop_assert_eq!(Detail::read(&octets), Some(detail.clone()));
        // A breakdown without its rest is one, too: what was cut off shows.
        for end in 0..octets.len() {
            prop_assert_ne!(Detail::read(&octets[..end]), Some(detail.clone()));
        }
    }

    #[test]
    fn whatever_is_read_does_no_harm(octets in vec(any::<u8>(), 0..200)) {
        let _ = Detail::read(&octets);
    }
}

#[test]
fn lists_of_any_length_come_back() {
    let name: Arc<str> = "bundle".into();
    let (kind, owner) = (BucketKind::Units(UnitKind::Octets), MemberNo::SHARED);
    let payer = |id| Paid { bucket: BucketId(id), name: name.clone(), kind, owner, amount: 1 };
    let limits = vec![
        LimitFact {
            name: "l".into(),
            member: MemberNo::SHARED,
            measure: Measure::Money,
            used: 0,
            added: 0,
            amount: 0,
            part: None,
        };
        1_001
    ];
    let parts = vec![Part { limits, ..Part::default() }; 1_001];
    let paid = (1..=1_001).map(payer).collect();
    let detail = Detail::Charge(Breakdown { parts, paid, ..Breakdown::default() });
    assert_eq!(Detail::read(&detail.write()), Some(detail));
}

#[test]
fn a_charge_from_an_allowance_takes_few_octets() {
    let part = Part {
        catalog: 3,
        service: "internet".into(),
        used: 5_000_000,
        from_allowance: 5_000_000,
        reports: 2,
        first: Timestamp::from_secs(1_790_000_000),
        last: Timestamp::from_secs(1_790_000_600),
        ..Part::default()
    };
    let paid = Paid {
        bucket: BucketId(2),
        name: "bundle".into(),
        kind: BucketKind::Units(UnitKind::Octets),
        owner: MemberNo::SHARED,
        amount: 5_000_000,
    };
    let breakdown = Breakdown { parts: vec![part], paid: vec![paid], ..Breakdown::default() };
    assert!(Detail::Charge(breakdown).write().len() < 60);
}
