//! Random lives of an account: sessions side by side, events, top-ups, and time that passes. A step makes sense whatever
//! came before it, so that a failing life can be cut short.

use super::{
    dice::Dice,
    list::{List, Price, Tariff},
};

/// Sessions that run at once.
pub(super) const SLOTS: u64 = 3;

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A session's next request: it opens if it does not run.
    Talk(Talk),
    Event {
        group: u32,
        units: u64,
    },
    TopUp {
        micros: i64,
    },
    Give {
        allowance: usize,
    },
    /// Money that is used before the main balance, or after it, and may expire.
    Bonus {
        micros: i64,
        priority: u32,
        validity: Option<u64>,
    },
    Wait {
        secs: u64,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Talk {
    pub(super) slot: u64,
    pub(super) lines: Vec<Line>,
    pub(super) ends: bool,
    /// The client can be told of a change of tariff.
    pub(super) told: bool,
    /// How long ago it happened, in seconds.
    pub(super) late: u64,
    pub(super) access: Option<u8>,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) group: u32,
    pub(super) used: Option<Use>,
    /// How much of it was before a change, in percent: said so by the client.
    pub(super) cut: Option<u64>,
    /// How much of it came from the user, in percent.
    pub(super) up: Option<u64>,
    pub(super) wants: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    /// So much of the grant, in percent.
    OfGrant(u64),
    Units(u64),
}

#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Micro-units.
    pub(super) balance: i64,
    pub(super) credit_limit: i64,
    pub(super) never_stop: bool,
    pub(super) cycle_day: u8,
    pub(super) steps: Vec<Step>,
}

fn line(dice: &mut Dice, group: u32, uplink: bool) -> Line {
    let used = match dice.number(0, 9) {
        0..=1 => None,
        2..=6 => Some(Use::OfGrant(dice.one(&[0, 1, 10, 50, 80, 99, 100, 100, 130]))),
        _ => Some(Use::Units(dice.magnitude(500))),
    };
    let mut line = Line {
        group,
        cut: used.and_then(|_| dice.chance(15).then(|| dice.number(0, 100))),
        up: (uplink && dice.chance(70)).then(|| dice.number(0, 110)),
        wants: used.is_none() || dice.chance(80),
        used,
    };
    if line.cut.is_some() {
        line.up = None;
    }
    line
}

fn talk(dice: &mut Dice, list: &List) -> Talk {
    let has_up = |group: u32| {
        let service = list.service(group);
        let tariffs = service.tariffs.iter().map(|tariff: &Tariff| &tariff.price);
        std::iter::once(&service.price).chain(tariffs).any(|price: &Price| price.up.is_some())
    };
    let mut groups: Vec<u32> = list.services.iter().map(|service| service.group).collect();
    let mut lines = Vec::new();
    for _ in 0..dice.one(&[1, 1, 1, 2, 3]) {
        if !groups.is_empty() {
            let group = groups.remove(dice.number(0, groups.len() as u64 - 1) as usize);
            lines.push(line(dice, group, has_up(group)));
        }
    }
    Talk {
        slot: dice.number(1, SLOTS),
        lines,
        ends: dice.chance(12),
        told: dice.chance(50),
        late: if dice.chance(20) { dice.number(1, 1_200) } else { 0 },
        access: dice.chance(30).then(|| dice.one(&[2, 6])),
    }
}

fn step(dice: &mut Dice, list: &List) -> Step {
    match dice.number(0, 99) {
        0..=54 => Step::Talk(talk(dice, list)),
        55..=64 => Step::Event { group: dice.one(&list.services).group, units: 1 + dice.magnitude(200) },
        65..=68 => Step::TopUp { micros: 1 + dice.magnitude(50_000_000) as i64 },
        69..=70 => Step::Bonus {
            micros: 1 + dice.magnitude(5_000_000) as i64,
            priority: dice.one(&[10, 50, 1_000, 3_000]),
            validity: dice.chance(50).then(|| dice.one(&[300, 3_600, 86_400])),
        },
        71..=76 if !list.allowances.is_empty() => {
            Step::Give { allowance: dice.number(0, list.allowances.len() as u64 - 1) as usize }
        }
        _ => {
            let most = dice.one(&[30, 300, 1_000, 3_600, 20_000, 86_400, 400_000]);
            Step::Wait { secs: dice.number(1, most) }
        }
    }
}

/// A life with this price list.
pub(super) fn life(dice: &mut Dice, list: &List) -> Life {
    let length = dice.number(5, 45);
    Life {
        balance: if dice.chance(60) { dice.number(1_000_000, 300_000_000) } else { dice.magnitude(50_000_000) } as i64,
        credit_limit: if dice.chance(20) { dice.magnitude(1_000_000) as i64 } else { 0 },
        never_stop: dice.chance(10),
        cycle_day: dice.number(1, 28) as u8,
        steps: (0..length).map(|_| step(dice, list)).collect(),
    }
}
