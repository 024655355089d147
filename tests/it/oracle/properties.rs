//! What holds for any price list and any life, whatever the figures are.

use tollgate::{
    charging::{Bucket, Counter},
    rating::{BasisPoints, Catalog},
    units::Money,
};

use super::{
    dice::Dice,
    generate::{self, Features},
    life::{self, Life, Line, SLOTS, Step, Talk, Use},
    list::{List, Then},
    setting,
    world::World,
};

const CASES: u64 = 120;

fn cases() -> impl Iterator<Item = (u64, Dice)> {
    let first = setting("TOLLGATE_ORACLE_SEED", 1);
    (first..first + setting("TOLLGATE_ORACLE_CASES", CASES)).map(|seed| (seed, Dice::new(seed)))
}

/// More never costs less, at whatever part of the price; and nothing costs nothing.
// tests: C-57
#[test]
fn prices_are_monotonic() {
    for (seed, mut dice) in cases() {
        let list = generate::list(&mut dice, generate::ON);
        let catalog = Catalog::from_toml(&list.text()).unwrap();
        for service in catalog.services() {
            let tariffs = service.tariffs().iter().map(|tariff| &tariff.price);
            for price in std::iter::once(&service.price).chain(tariffs) {
                let keep = BasisPoints::new(dice.number(0, 10_000) as u16).unwrap();
                let mut last = Money::ZERO;
                for total in 0..dice.number(50, 1_500) {
                    let cost = price.cost_at(total, keep).unwrap();
                    assert!(cost >= last, "seed {seed}, {}: {total} units cost {cost}, fewer {last}", service.name);
                    assert!(total > 0 || cost == Money::ZERO);
                    last = cost;
                }
            }
        }
    }
}

fn usage(group: u32, units: u64, up: Option<u64>) -> Step {
    let line = Line { group, used: Some(Use::Units(units)), cut: None, up, wants: false };
    Step::Talk(Talk { slot: 1, lines: vec![line], ends: false, told: false, late: 0, access: None })
}

/// What each bucket has, and each quota has cost: everything that usage leaves behind.
fn left_behind(world: &World) -> Vec<(String, i64)> {
    let account = world.account();
    let buckets = account.buckets.iter().map(|bucket| (format!("{:?} {}", bucket.id, bucket.name), bucket.amount));
    let counters = account.profile.iter().flat_map(|profile| &profile.counters);
    let counters = counters.map(|counter| (counter.name.to_string(), counter.used));
    let quotas = world.session("S1").unwrap().quotas.iter();
    let quotas = quotas.map(|quota| (format!("{:?}", quota.key), quota.charged.micros()));
    buckets.filter(|(_, amount)| *amount != 0).chain(counters).chain(quotas).collect()
}

/// The same usage in the same order costs the same, and is paid from the same buckets, however it is cut into reports.
// tests: C-57
#[test]
fn charges_add_up_over_any_cut_into_reports() {
    for (seed, mut dice) in cases() {
        let list = generate::list(&mut dice, generate::ON);
        // Time that passes by itself lies before its report: there, cuts at one moment are other usage.
        let timed = |group: u32| list.service(group).continuous && !list.service(group).tariffs.is_empty();
        let groups: Vec<u32> = list.services.iter().map(|it| it.group).filter(|group| !timed(*group)).collect();
        if groups.is_empty() {
            continue;
        }
        let uses: Vec<(u32, u64)> =
            (0..dice.number(1, 6)).map(|_| (dice.one(&groups), 1 + dice.magnitude(400))).collect();
        let up = dice.one(&[None, Some(0), Some(100)]);
        let mut whole: Vec<Step> = (0..list.allowances.len()).map(|allowance| Step::Give { allowance }).collect();
        let mut cut = whole.clone();
        for (group, units) in uses {
            whole.push(usage(group, units, up));
            let mut left = units;
            while left > 0 {
                let most = dice.one(&[1, 7, 50, 400]);
                let part = dice.number(1, left.min(most));
                cut.push(usage(group, part, up));
                left -= part;
            }
        }
        let balance = if dice.chance(50) { 1_000_000_000 } else { dice.magnitude(20_000_000) as i64 };
        let life = |steps| Life { balance, credit_limit: 0, never_stop: false, cycle_day: 1, steps };
        let played = |life: Life| {
            let mut world = World::new(&list, &life);
            for step in &life.steps {
                world.step(step).unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}\n{}", list.text(), world.story));
            }
            world
        };
        let (whole, cut) = (played(life(whole)), played(life(cut)));
        assert_eq!(left_behind(&whole), left_behind(&cut), "seed {seed}\n{}\n{}", list.text(), cut.story);
    }
}

/// A client that uses no more than it was granted, as long as it may, of one service or two in a request.
fn honest(dice: &mut Dice, list: &List) -> Step {
    let group = dice.one(&list.services).group;
    match dice.number(0, 9) {
        0 => Step::Event { group, units: 1 + dice.magnitude(100) },
        1 => Step::Wait { secs: dice.number(1, 50) },
        2 if !list.allowances.is_empty() => {
            Step::Give { allowance: dice.number(0, list.allowances.len() as u64 - 1) as usize }
        }
        3 if dice.chance(20) => Step::TopUp { micros: 1 + dice.magnitude(2_000_000) as i64 },
        _ => {
            let mut groups = vec![group];
            let other = dice.one(&list.services).group;
            if other != group && dice.chance(40) {
                groups.push(other);
            }
            let mut line = |group| {
                let used = Some(Use::OfGrant(dice.one(&[0, 1, 30, 77, 99, 100, 100, 100])));
                Line { group, used, cut: None, up: dice.one(&[None, Some(100), Some(40)]), wants: true }
            };
            let lines = groups.into_iter().map(&mut line).collect();
            let (slot, ends) = (dice.number(1, SLOTS), dice.chance(5));
            Step::Talk(Talk { slot, lines, ends, told: true, late: 0, access: None })
        }
    }
}

/// What is granted to several sessions at once can be paid, all of it, whatever they use of it and in whatever order: a
/// prepaid balance never falls below zero, nor below what is held; and a limit that refuses is never exceeded.
// tests: C-16
#[test]
fn no_money_is_spent_twice() {
    let on = Features { tariffs: false, ..generate::ON };
    let (mut exhausted, mut held) = (0, 0);
    for (seed, mut dice) in cases() {
        let mut list = generate::list(&mut dice, on);
        // Nothing expires, and no grant is kept too long.
        list.services.iter_mut().for_each(|service| service.validity = 7_200);
        list.allowances.iter_mut().for_each(|allowance| allowance.validity = None);
        let (balance, length) = (dice.magnitude(20_000_000) as i64, dice.number(20, 90));
        let steps: Vec<Step> = (0..length).map(|_| honest(&mut dice, &list)).collect();
        let life = Life { balance, credit_limit: 0, never_stop: false, cycle_day: 1, steps };
        let mut world = World::new(&list, &life);
        for step in &life.steps {
            world.step(step).unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}\n{}", list.text(), world.story));
            check_funds(&world, seed, &list);
            held += u64::from(world.account().reserved() > Money::ZERO);
        }
        // All of them use all they have.
        for slot in 1..=SLOTS {
            for group in list.services.iter().map(|service| service.group) {
                let used = Some(Use::OfGrant(100));
                let lines = vec![Line { group, used, cut: None, up: None, wants: false }];
                let talk = Talk { slot, lines, ends: false, told: true, late: 0, access: None };
                world.step(&Step::Talk(talk)).unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}", world.story));
                check_funds(&world, seed, &list);
            }
        }
        exhausted += u64::from(world.account().balance() < Money::from_micros(10_000));
    }
    assert!(exhausted > 5 && held > 100, "{exhausted} accounts used up, {held} times something was held");
}

fn check_funds(world: &World, seed: u64, list: &List) {
    let told = || format!("seed {seed}\n{}\n{}", list.text(), world.story);
    for Bucket { name, amount, reserved, .. } in &world.account().buckets {
        assert!(amount >= reserved && *reserved >= 0, "{amount} of {name}, and {reserved} held\n{}", told());
    }
    let counters = world.account().profile.iter().flat_map(|profile| &profile.counters);
    for Counter { name, used, reserved, .. } in counters {
        let limit = list.limits.iter().find(|limit| limit.name == **name && limit.then == Then::Refuse);
        let within = limit.is_none_or(|limit| used + reserved <= limit.amount);
        assert!(within, "{name} has counted {used}, and {reserved} may come\n{}", told());
    }
}

/// In whatever order a request names its services, the same comes of it.
// tests: C-16
#[test]
fn the_order_of_services_in_a_request_does_not_matter() {
    let mut compared = 0;
    for (seed, mut dice) in cases() {
        let list = generate::list(&mut dice, generate::ON);
        let straight = life::life(&mut dice, &list);
        let mut reversed = straight.clone();
        let talks = reversed.steps.iter_mut().filter_map(|step| match step {
            Step::Talk(talk) => Some(talk),
            _ => None,
        });
        talks.for_each(|talk| talk.lines.reverse());
        let (mut one, mut other) = (World::new(&list, &straight), World::new(&list, &reversed));
        for (step, mirrored) in straight.steps.iter().zip(&reversed.steps) {
            for (world, step) in [(&mut one, step), (&mut other, mirrored)] {
                world.step(step).unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}\n{}", list.text(), world.story));
            }
            compared += u64::from(matches!(step, Step::Talk(talk) if talk.lines.len() > 1));
            let balances = |world: &World| -> Vec<_> {
                let buckets = world.account().buckets.iter();
                buckets.map(|it| (it.name.to_string(), it.amount, it.reserved)).collect()
            };
            assert_eq!(balances(&one), balances(&other), "seed {seed}\n{}\n{}", list.text(), one.story);
        }
    }
    assert!(compared > 100, "{compared} requests had several services");
}
