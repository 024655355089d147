//! An independent slow oracle: random price lists and random lives of an account go through the engine, and through a model
//! that was written from the documentation alone. It counts unit by unit, with exact fractions, in structures of its own.
//! They must agree to the last micro-unit, after every step.
//!
//! `TOLLGATE_ORACLE_CASES=100000 cargo test --test it oracle` runs more cases, `TOLLGATE_ORACLE_SEED=7` begins at another
//! seed. A case that fails is cut short, and told with its seed, its catalog and its life: a story for
//! `tests/it/charging_tables`.

mod clock;
mod dice;
mod generate;
mod life;
mod list;
mod meter;
mod model;
mod properties;
mod what_if;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::{dice::Dice, life::Life, list::List, world::World};

/// Cases of an ordinary run.
const CASES: u64 = 250;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The first step at which both do not agree, and why; or what was compared.
fn run(list: &List, life: &Life) -> (Result<world::Seen, (usize, String)>, String) {
    let mut world = World::new(list, life);
    for (index, step) in life.steps.iter().enumerate() {
        let found = catch_unwind(AssertUnwindSafe(|| world.step(step)));
        let found = found.unwrap_or_else(|panic| {
            let literal = panic.downcast_ref::<&str>().copied();
            Err(format!("a panic: {}", panic.downcast_ref::<String>().map_or(literal.unwrap_or("?"), |text| text)))
        });
        if let Err(why) = found {
            return (Err((index, why)), world.story);
        }
    }
    (Ok(world.seen), world.story)
}

/// A shorter life that fails too.
fn cut_short(list: &List, mut life: Life, failing: usize) -> Life {
    life.steps.truncate(failing + 1);
    let mut length = life.steps.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at + length <= life.steps.len() {
            let mut shorter = life.clone();
            shorter.steps.drain(at..at + length);
            match run(list, &shorter).0 {
                Err((failing, _)) => {
                    life = shorter;
                    life.steps.truncate(failing + 1);
                }
                Ok(_) => at += length,
            }
        }
        length /= 2;
    }
    life
}

fn told(seed: u64, list: &List, life: Life, failing: usize) -> String {
    let life = cut_short(list, life, failing);
    let (found, story) = run(list, &life);
    let why = found.err().map_or_else(|| "it agrees now".into(), |(_, why)| why);
    format!("seed {seed}: {why}\n\n{}\n= Seed {seed}\n{story}", list.text())
}

#[test]
fn the_engine_agrees_with_the_oracle() {
    let (cases, first) = (setting("TOLLGATE_ORACLE_CASES", CASES), setting("TOLLGATE_ORACLE_SEED", 1));
    let (mut all, mut failed) = (Vec::new(), Vec::new());
    for seed in first..first + cases {
        let mut dice = Dice::new(seed);
        let list = generate::list(&mut dice, generate::ON);
        let life = life::life(&mut dice, &list);
        match run(&list, &life).0 {
            Ok(seen) => all.push(seen),
            Err((failing, _)) => failed.push(told(seed, &list, life, failing)),
        }
        if failed.len() >= 3 {
            break;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n----\n"));
    let sum = |part: fn(&world::Seen) -> u64| all.iter().map(part).sum::<u64>();
    let seen = world::Seen {
        steps: sum(|seen| seen.steps),
        charges: sum(|seen| seen.charges),
        from_allowances: sum(|seen| seen.from_allowances),
        by_tariff: sum(|seen| seen.by_tariff),
        grants: sum(|seen| seen.grants),
        cut_grants: sum(|seen| seen.cut_grants),
        refusals: sum(|seen| seen.refusals),
        overuse: sum(|seen| seen.overuse),
        counters: sum(|seen| seen.counters),
        explained: sum(|seen| seen.explained),
    };
    println!("{cases} cases: {seen:?}");
    // A generator that finds nothing to charge proves nothing.
    let least = [
        seen.explained,
        seen.charges,
        seen.from_allowances,
        seen.by_tariff,
        seen.cut_grants,
        seen.refusals,
        seen.overuse,
    ];
    assert!(least.iter().all(|count| *count >= cases / 4), "{seen:?}");
}
