//! Recorded usage that is charged once more by the catalog that it was charged by comes to the same sum, to the micro-unit:
//! any price list, any honest client, one session at a time.

use tollgate::{
    charging::{CreditKind, RequestKind, ServiceRequest},
    units::{Money, UnitKind},
};

use super::{
    dice::Dice,
    generate::{self, Features},
    list::{Kind, List},
    setting,
};
use crate::what_if::{World, report, used};

const CASES: u64 = 60;
const DATA: &str = "32251@3gpp.org";
const PLAIN: Features =
    Features { tariffs: false, counters: false, uplink: false, discounts: false, caps: false, limits: false };

const fn unit(kind: Kind) -> UnitKind {
    match kind {
        Kind::Octets => UnitKind::Octets,
        Kind::Seconds => UnitKind::Seconds,
        Kind::Events => UnitKind::Events,
    }
}

/// A session of one service or two, whose client uses no more than it was granted, in so many requests. Returns whether
/// anything was used.
fn session(world: &mut World, dice: &mut Dice, list: &List, secs: u64, up: bool) -> bool {
    let mut groups: Vec<u32> = list.services.iter().map(|service| service.group).collect();
    // Which of two services was first to take from an allowance, or to be counted, is in no record.
    let shares = !list.allowances.is_empty() || list.services.iter().any(|service| service.price.counter.is_some());
    let most = if shares { 1 } else { 2 };
    while groups.len() > most || groups.len() > 1 && dice.chance(50) {
        groups.remove(dice.number(0, groups.len() as u64 - 1) as usize);
    }
    let (mut talk, mut answer) = world.open(1, DATA, groups.iter().map(|group| report(*group, None, true)).collect());
    let (mut any, requests) = (false, dice.number(1, 6));
    for number in 1..=requests {
        if secs > 0 {
            world.clock.advance_secs(dice.number(0, secs));
        }
        let is_last = number == requests;
        let mut services: Vec<ServiceRequest> = Vec::new();
        for reply in &answer.replies {
            let group = reply.key.rating_group.unwrap();
            let granted = reply.grant.map_or(0, |grant| grant.amount);
            let units = if dice.chance(60) { granted } else { dice.number(0, granted) };
            any |= units > 0;
            let kind = unit(list.service(group).kind);
            let input = if up { dice.number(0, units) } else { 0 };
            services.push(report(group, (units > 0).then(|| used(kind, units, input)), !is_last));
        }
        let kind = if is_last { RequestKind::Termination } else { RequestKind::Update };
        answer = world.say(&mut talk, kind, services);
    }
    any
}

fn life(seed: u64, on: Features, secs: u64) -> (bool, i128) {
    let mut dice = Dice::new(seed);
    let mut list = generate::list(&mut dice, on);
    // What runs out in the middle of a session is not the same for one that reports at its end.
    list.allowances.iter_mut().for_each(|allowance| allowance.validity = None);
    if on.uplink {
        // Which direction an allowance paid for is in no record.
        list.allowances.clear();
        // Nor is the direction of what was free.
        let prices = list.services.iter_mut().filter_map(|service| service.price.up.as_mut());
        prices.for_each(|up| up.mantissa = up.mantissa.max(1));
    }
    let text = list.text();
    let mut world = World::new(&text, true);
    // Where directions have prices, a grant is reserved for the dearer one: what little money was enough for depends on the
    // order of use.
    let ample = on.uplink || dice.chance(50);
    world.account(1, if ample { 1_000_000_000_000_000 } else { dice.magnitude(20_000_000) as i64 });
    let mut any = false;
    for _ in 0..dice.number(3, 12) {
        world.clock.advance_secs(dice.number(0, 20_000));
        match dice.number(0, 9) {
            0 | 1 if !list.allowances.is_empty() => {
                let name = dice.one(&list.allowances).name;
                world.credit(1, CreditKind::Allowance(&name));
            }
            2 => world.credit(1, CreditKind::TopUp(Money::from_micros(1 + dice.magnitude(5_000_000) as i64))),
            3 | 4 => {
                let group = dice.one(&list.services).group;
                world.event(1, DATA, report(group, None, true), None);
            }
            _ => any |= session(&mut world, &mut dice, &list, secs, on.uplink),
        }
    }
    let came = world.what_if(&text);
    let [recorded, baseline, new] = came.total;
    let story = || format!("seed {seed}\n{text}\n{came:#?}");
    assert_eq!(baseline, recorded, "{}", story());
    assert_eq!(new, recorded, "{}", story());
    assert_eq!((came.refused, came.left_out), ([0, 0], 0), "{}", story());
    (any, recorded.earned)
}

fn lives(on: Features, secs: u64) {
    let from = setting("TOLLGATE_ORACLE_SEED", 1);
    let (mut used, mut paid) = (0, 0);
    let cases = setting("TOLLGATE_ORACLE_CASES", CASES);
    for seed in from..from + cases {
        let (any, earned) = life(seed, on, secs);
        used += u64::from(any);
        paid += u64::from(earned > 0);
    }
    assert!(used * 2 > cases && paid * 3 > cases, "{used} and {paid} of {cases}: too little was tested");
}

#[test]
fn what_if_of_the_same_prices_and_allowances_comes_to_what_was_recorded() {
    lives(PLAIN, 50);
}

#[test]
fn what_if_of_the_same_tiers_by_day_and_cycle_comes_to_what_was_recorded() {
    lives(Features { counters: true, ..PLAIN }, 0);
}

#[test]
fn what_if_of_the_same_prices_by_direction_comes_to_what_was_recorded() {
    lives(Features { uplink: true, ..PLAIN }, 50);
}
