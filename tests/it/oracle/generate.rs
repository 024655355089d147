//! Random price lists, within what the catalog documents.

use super::{
    dice::Dice,
    list::{Allowance, Amount, Discount, Kind, Limit, List, Period, Price, Service, Tariff, Then, Tier, Window},
};

/// What price lists may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    /// Prices under conditions.
    pub(super) tariffs: bool,
    /// Tiers that go on from session to session.
    pub(super) counters: bool,
    /// Prices by direction.
    pub(super) uplink: bool,
    pub(super) discounts: bool,
    /// Limits after which usage is free or costs less.
    pub(super) caps: bool,
    /// Limits that tell, or refuse.
    pub(super) limits: bool,
}

/// What the engine has.
pub(super) const ON: Features =
    Features { tariffs: true, counters: true, uplink: true, discounts: true, caps: true, limits: true };

const BLOCKS: [u64; 8] = [1, 1, 2, 3, 5, 7, 10, 60];
/// No tier begins behind so many units, as lives are short.
const TIERS_END: u64 = 900;

fn amount(dice: &mut Dice) -> Amount {
    let scale = dice.one(&[0, 2, 2, 3, 4, 5, 6, 7, 9, 12]);
    // Up to 2.00 of the currency, and fine fractions.
    Amount { mantissa: dice.magnitude((2 * 10u64.pow(scale)).min(9_999_999)), scale }
}

fn common_multiple(a: u64, b: u64) -> u64 {
    (1..).map(|n| a * n).find(|multiple| multiple % b == 0).unwrap()
}

fn price(dice: &mut Dice, kind: Kind, on: Features, counter: &str) -> Price {
    let per = dice.one(&[1, 1, 3, 7, 10, 60, 100, 1_000]);
    let block = dice.one(&BLOCKS);
    let mut price = Price {
        free: dice.chance(6),
        amount: amount(dice),
        per,
        block,
        setup: 0,
        minimum: 0,
        free_units: 0,
        tiers: Vec::new(),
        counter: None,
        up: None,
    };
    if price.free {
        return price;
    }
    if dice.chance(25) {
        price.setup = dice.magnitude(300_000) as i64;
    }
    if dice.chance(25) {
        price.minimum = dice.magnitude(500_000) as i64;
    }
    if dice.chance(25) {
        price.free_units = block * dice.number(1, 1 + 100 / block);
    }
    let (mut from, mut last) = (price.free_units, block);
    while dice.chance(45) && price.tiers.len() < 4 {
        let (per, block) = (dice.one(&[1, 3, 10, 1_000]), dice.one(&BLOCKS));
        let step = common_multiple(last, block);
        from = (from / step + dice.number(1, 1 + 150 / step)) * step;
        if from > TIERS_END {
            break;
        }
        price.tiers.push(Tier { from, amount: amount(dice), per, block });
        last = block;
    }
    if on.counters && dice.chance(50) && (price.free_units > 0 || !price.tiers.is_empty()) {
        (price.setup, price.minimum) = (0, 0);
        let period = dice.one(&[Period::Day, Period::Week, Period::Cycle]);
        price.counter = Some((counter.into(), period));
    }
    if on.uplink && kind == Kind::Octets && dice.chance(40) {
        price.up = Some(amount(dice));
    }
    price
}

fn window(dice: &mut Dice, holidays: bool) -> Window {
    let step = dice.one(&[1, 15, 60]);
    let from = dice.number(0, 1_439 / step) * step;
    let to = loop {
        let to = dice.number(1, 1_440 / step) * step;
        if to != from {
            break to;
        }
    };
    let days = dice.number(1, if holidays { 255 } else { 127 }) as u8;
    Window { from, to, days: dice.chance(40).then_some(days) }
}

fn service(dice: &mut Dice, group: u32, holidays: bool, on: Features, shared: &mut Shared) -> Service {
    let kind = dice.one(&[Kind::Octets, Kind::Octets, Kind::Seconds, Kind::Events]);
    let name = format!("s{group}");
    let mut own = price(dice, kind, on, &name);
    let mut tariffs = Vec::new();
    for n in 0..if on.tariffs { dice.one(&[0, 0, 1, 1, 2, 3]) } else { 0 } {
        let access = dice.chance(25).then(|| dice.one(&[2, 6]));
        let window = (access.is_none() || dice.chance(50)).then(|| window(dice, holidays));
        let price = price(dice, kind, on, &format!("{name}t{n}"));
        tariffs.push(Tariff { name: format!("t{n}"), price, window, access });
    }
    for price in std::iter::once(&mut own).chain(tariffs.iter_mut().map(|tariff| &mut tariff.price)) {
        shared.share(dice, kind, price);
    }
    let slice = dice.number(1, 250);
    Service {
        name,
        group,
        kind,
        price: own,
        tariffs,
        slice,
        minimum_grant: if dice.chance(15) { dice.number(1, slice) } else { 0 },
        validity: dice.one(&[60, 600, 3_600, 7_200]),
        continuous: kind == Kind::Seconds && dice.chance(75),
        counted: dice.chance(80),
    }
}

/// One counter for each unit, which several prices may share.
#[derive(Default)]
struct Shared(Vec<(Kind, Period)>);

impl Shared {
    fn share(&mut self, dice: &mut Dice, kind: Kind, price: &mut Price) {
        let Some((name, period)) = &mut price.counter else { return };
        if !dice.chance(60) {
            return;
        }
        let known = self.0.iter().position(|known| known.0 == kind);
        let place = known.unwrap_or_else(|| {
            self.0.push((kind, *period));
            self.0.len() - 1
        });
        (*name, *period) = (format!("shared{place}"), self.0[place].1);
    }
}

fn some_services(dice: &mut Dice, services: &[Service], fits: impl Fn(&Service) -> bool) -> Vec<String> {
    if dice.chance(40) {
        return Vec::new();
    }
    let chosen = services.iter().filter(|service| fits(service) && !service.is_free() && dice.chance(60));
    chosen.map(|service| service.name.clone()).collect()
}

/// A price list.
pub(super) fn list(dice: &mut Dice, on: Features) -> List {
    let holidays: Vec<i64> = if dice.chance(40) { vec![57, 58, 60] } else { Vec::new() };
    let mut shared = Shared::default();
    let count = dice.number(1, 4) as u32;
    let services: Vec<Service> =
        (1..=count).map(|group| service(dice, group, !holidays.is_empty(), on, &mut shared)).collect();
    let mut allowances = Vec::new();
    for n in 0..dice.number(0, 3) {
        let kind = dice.one(&services).kind;
        let scope = some_services(dice, &services, |service| service.kind == kind);
        allowances.push(Allowance {
            name: format!("a{n}"),
            kind,
            amount: dice.number(1, 400),
            services: scope,
            validity: dice.chance(60).then(|| dice.one(&[300, 3_600, 86_400])),
            priority: dice.one(&[10, 10, 20, 100, 1_000, 2_000]),
        });
    }
    let mut discounts = Vec::new();
    for n in 0..if on.discounts { dice.number(0, 2) } else { 0 } {
        discounts.push(Discount {
            name: format!("d{n}"),
            points: dice.one(&[1, 333, 1_000, 2_550, 5_000, 9_999, 10_000]),
            services: some_services(dice, &services, |_| true),
            window: dice.chance(60).then(|| window(dice, !holidays.is_empty())),
        });
    }
    let limits = limits(dice, &services, on);
    List {
        zone_hours: dice.one(&[0, 0, 2, -5, 8]),
        holidays,
        allowances,
        discounts,
        plan_limits: dice.number(0, limits.len() as u64) as usize,
        limits,
        late_usage: dice.one(&[0, 0, 300, 3_600]),
        services,
    }
}

fn limits(dice: &mut Dice, services: &[Service], on: Features) -> Vec<Limit> {
    let mut limits = Vec::new();
    for n in 0..dice.number(0, 3) {
        let then = match dice.number(0, 4) {
            0 if on.limits => Then::Notify,
            1 if on.limits => Then::Refuse,
            2 if on.caps => Then::Charge(0),
            3 | 4 if on.caps => Then::Charge(dice.number(1, 9_999)),
            _ => continue,
        };
        limits.push(Limit {
            name: format!("l{n}"),
            period: dice.one(&[Period::Day, Period::Week, Period::Cycle, Period::Secs(600), Period::Secs(7_200)]),
            amount: 1 + dice.magnitude(30_000_000) as i64,
            services: some_services(dice, services, |_| true),
            then,
        });
    }
    limits
}
