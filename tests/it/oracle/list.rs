//! The oracle's own price list: plain figures, and the catalog's text that says the same. Nothing here is read by the
//! engine's compiler but the text.

use std::fmt::Write as _;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Octets,
    Seconds,
    Events,
}

impl Kind {
    /// A quantity as the catalog writes it.
    pub(super) fn text(self, amount: u64) -> String {
        let unit = match self {
            Self::Octets => "B",
            Self::Seconds => "s",
            Self::Events => "events",
        };
        format!("{amount} {unit}")
    }
}

/// `mantissa / 10^scale` of the currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) mantissa: u64,
    pub(super) scale: u32,
}

impl Amount {
    fn text(self) -> String {
        let unit = 10u64.pow(self.scale);
        let (whole, fraction) = (self.mantissa / unit, self.mantissa % unit);
        if self.scale == 0 {
            whole.to_string()
        } else {
            format!("{whole}.{fraction:0width$}", width = self.scale as usize)
        }
    }
}

/// Micro-units as people write money.
pub(super) fn money(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Period {
    Day,
    Week,
    Cycle,
    Secs(u64),
}

impl Period {
    fn text(self) -> String {
        match self {
            Self::Day => "day".into(),
            Self::Week => "week".into(),
            Self::Cycle => "cycle".into(),
            Self::Secs(secs) => format!("{secs} s"),
        }
    }
}

/// Some of the units that a price is for, from `from` on.
#[derive(Debug, Clone)]
pub(super) struct Tier {
    pub(super) from: u64,
    pub(super) amount: Amount,
    pub(super) per: u64,
    pub(super) block: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Price {
    /// `free = true`, and nothing else.
    pub(super) free: bool,
    pub(super) amount: Amount,
    pub(super) per: u64,
    pub(super) block: u64,
    /// Micro-units.
    pub(super) setup: i64,
    pub(super) minimum: i64,
    pub(super) free_units: u64,
    pub(super) tiers: Vec<Tier>,
    /// The counter of its tiers, if they go on from session to session.
    pub(super) counter: Option<(String, Period)>,
    pub(super) up: Option<Amount>,
}

/// A window of time; minutes of the day, days from Monday, and holidays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Bit 0 is Monday, bit 7 is a holiday; `None` = all days.
    pub(super) days: Option<u8>,
}

#[derive(Debug, Clone)]
pub(super) struct Tariff {
    pub(super) name: String,
    pub(super) price: Price,
    pub(super) window: Option<Window>,
    /// 3GPP-RAT-Type.
    pub(super) access: Option<u8>,
}

#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) group: u32,
    pub(super) kind: Kind,
    pub(super) price: Price,
    pub(super) tariffs: Vec<Tariff>,
    pub(super) slice: u64,
    pub(super) minimum_grant: u64,
    pub(super) validity: u64,
    /// Of time only: it passes whether or not anything is done with it.
    pub(super) continuous: bool,
    pub(super) counted: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Allowance {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) amount: u64,
    pub(super) services: Vec<String>,
    pub(super) validity: Option<u64>,
    pub(super) priority: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Discount {
    pub(super) name: String,
    /// Hundredths of a percent.
    pub(super) points: u64,
    pub(super) services: Vec<String>,
    pub(super) window: Option<Window>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Notify,
    Refuse,
    /// What is charged beyond it, in hundredths of a percent.
    Charge(u64),
}

#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub(super) name: String,
    pub(super) period: Period,
    pub(super) amount: i64,
    pub(super) services: Vec<String>,
    pub(super) then: Then,
}

/// All of it. The account has a product with all discounts and some limits, and a plan with the other limits.
#[derive(Debug, Clone)]
pub(super) struct List {
    /// East of Greenwich.
    pub(super) zone_hours: i64,
    /// Days since 1970-01-01.
    pub(super) holidays: Vec<i64>,
    pub(super) services: Vec<Service>,
    pub(super) allowances: Vec<Allowance>,
    pub(super) discounts: Vec<Discount>,
    pub(super) limits: Vec<Limit>,
    /// How many of the limits the plan has.
    pub(super) plan_limits: usize,
    /// The plan's, in seconds.
    pub(super) late_usage: u64,
}

const DAYS: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"];

fn names(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

impl List {
    pub(super) fn service(&self, group: u32) -> &Service {
        self.services.iter().find(|service| service.group == group).unwrap()
    }

    /// Whether discounts or limits are sold, so that an account needs a profile.
    pub(super) fn has_offers(&self) -> bool {
        !self.discounts.is_empty() || !self.limits.is_empty()
    }

    /// The catalog.
    pub(super) fn text(&self) -> String {
        let mut out = String::from("currency = \"EUR\"\n");
        if self.zone_hours != 0 {
            // Etc/GMT-2 is two hours ahead.
            let _ = writeln!(out, "time_zone = \"Etc/GMT{:+}\"", -self.zone_hours);
        }
        if !self.holidays.is_empty() {
            let dates: Vec<String> = self.holidays.iter().map(|day| super::clock::date(*day)).collect();
            let _ = writeln!(out, "holidays = {}", names(&dates));
        }
        out += "[[context]]\nname = \"data\"\nservice_context_id = [\"32251@3gpp.org\", \"32274@3gpp.org\"]\ndefault_service = \"";
        let _ = writeln!(out, "{}\"", self.services[0].name);
        for service in &self.services {
            service.write(&mut out);
        }
        for Allowance { name, kind, amount, services, validity, priority } in &self.allowances {
            let _ = writeln!(out, "[[allowance]]\nname = \"{name}\"\namount = \"{}\"", kind.text(*amount));
            let _ = writeln!(out, "priority = {priority}");
            write_scope(&mut out, services);
            if let Some(secs) = validity {
                let _ = writeln!(out, "validity = \"{secs} s\"");
            }
        }
        self.write_offers(&mut out);
        out
    }

    fn write_offers(&self, out: &mut String) {
        for Limit { name, period, amount, services, then } in &self.limits {
            let _ = writeln!(out, "[[limit]]\nname = \"{name}\"\nperiod = \"{}\"", period.text());
            let _ = writeln!(out, "amount = \"{}\"", money(*amount));
            write_scope(out, services);
            let _ = match then {
                Then::Notify => writeln!(out, "then = \"notify\""),
                Then::Refuse => writeln!(out, "then = \"refuse\""),
                Then::Charge(0) => writeln!(out, "then = \"free\""),
                Then::Charge(part) => writeln!(out, "then = \"reduced\"\nreduced_percent = \"{}\"", percent(*part)),
            };
        }
        for Discount { name, points, services, window } in &self.discounts {
            let _ = writeln!(out, "[[discount]]\nname = \"{name}\"\npercent = \"{}\"", percent(*points));
            write_scope(out, services);
            write_window(out, window);
        }
        if self.has_offers() {
            let limits: Vec<String> = self.limits.iter().map(|limit| limit.name.clone()).collect();
            let discounts: Vec<String> = self.discounts.iter().map(|discount| discount.name.clone()).collect();
            let (of_plan, of_product) = limits.split_at(self.plan_limits);
            let mut section = |head: &str, lists: &[(&str, &[String])]| {
                let _ = writeln!(out, "{head}");
                for (key, listed) in lists.iter().filter(|(_, listed)| !listed.is_empty()) {
                    let _ = writeln!(out, "{key} = {}", names(listed));
                }
            };
            section(
                "[[product]]\nname = \"bundle\"\nfee = \"1.00\"",
                &[("discounts", &discounts), ("limits", of_product)],
            );
            section("[[plan]]\nname = \"plan\"", &[("limits", of_plan)]);
            let _ = writeln!(out, "late_usage = \"{} s\"", self.late_usage);
        }
    }
}

impl Service {
    fn write(&self, out: &mut String) {
        let Self { name, group, kind, slice, .. } = self;
        let _ = writeln!(out, "[[service]]\nname = \"{name}\"\ncontext = \"data\"\nrating_group = {group}");
        self.price.write(out, *kind);
        let _ = writeln!(out, "slice = \"{}\"\nvalidity = \"{} s\"", kind.text(*slice), self.validity);
        if self.minimum_grant > 0 {
            let _ = writeln!(out, "minimum_grant = \"{}\"", kind.text(self.minimum_grant));
        }
        if *kind == Kind::Seconds && !self.continuous {
            out.push_str("continuous = false\n");
        }
        if !self.counted {
            out.push_str("counted = false\n");
        }
        for tariff in &self.tariffs {
            let _ = writeln!(out, "[[tariff]]\nservice = \"{name}\"\nname = \"{}\"", tariff.name);
            tariff.price.write(out, *kind);
            write_window(out, &tariff.window);
            if let Some(access) = tariff.access {
                let _ = writeln!(out, "access = [{access}]");
            }
        }
    }

    /// Whether it never costs anything, by whichever price.
    pub(super) fn is_free(&self) -> bool {
        let up = |price: &Price| price.up.is_some_and(|up| up.mantissa > 0);
        let mut prices = std::iter::once(&self.price).chain(self.tariffs.iter().map(|tariff| &tariff.price));
        prices.all(|price| price.is_free() && !up(price))
    }

    pub(super) fn tariff(&self, name: Option<&str>) -> &Price {
        match name {
            None => &self.price,
            Some(name) => &self.tariffs.iter().find(|tariff| tariff.name == name).unwrap().price,
        }
    }
}

impl Price {
    /// Whether no use ever costs anything by it.
    pub(super) fn is_free(&self) -> bool {
        let nothing = |amount: &Amount| amount.mantissa == 0;
        let tiers = self.tiers.iter().all(|tier| nothing(&tier.amount));
        self.free || nothing(&self.amount) && self.setup == 0 && self.minimum == 0 && tiers
    }

    fn write(&self, out: &mut String, kind: Kind) {
        if self.free {
            // A free service has no `per` from which its unit is known: the slice says it.
            out.push_str("free = true\n");
            return;
        }
        let _ = writeln!(out, "price = \"{}\"\nper = \"{}\"", self.amount.text(), kind.text(self.per));
        let _ = writeln!(out, "block = \"{}\"", kind.text(self.block));
        for (key, micros) in [("setup", self.setup), ("minimum", self.minimum)] {
            if micros > 0 {
                let _ = writeln!(out, "{key} = \"{}\"", money(micros));
            }
        }
        if self.free_units > 0 {
            let _ = writeln!(out, "free_units = \"{}\"", kind.text(self.free_units));
        }
        let tiers: Vec<String> = self.tiers.iter().map(|tier| tier.text(kind)).collect();
        if !tiers.is_empty() {
            let _ = writeln!(out, "tiers = [{}]", tiers.join(", "));
        }
        if let Some((name, period)) = &self.counter {
            let _ = writeln!(out, "tier_counter = \"{name}\"\ntier_period = \"{}\"", period.text());
        }
        if let Some(up) = self.up {
            let _ = writeln!(out, "price_up = \"{}\"", up.text());
        }
    }
}

impl Tier {
    fn text(&self, kind: Kind) -> String {
        let Self { from, amount, per, block } = self;
        let [from, per, block] = [from, per, block].map(|amount| kind.text(*amount));
        format!("{{ from = \"{from}\", price = \"{}\", per = \"{per}\", block = \"{block}\" }}", amount.text())
    }
}

fn percent(points: u64) -> String {
    format!("{}.{:02}", points / 100, points % 100)
}

fn write_scope(out: &mut String, services: &[String]) {
    if !services.is_empty() {
        let _ = writeln!(out, "services = {}", names(services));
    }
}

fn write_window(out: &mut String, window: &Option<Window>) {
    let Some(Window { from, to, days }) = window else { return };
    let clock = |minutes: u64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let _ = writeln!(out, "from = \"{}\"\nto = \"{}\"", clock(*from), clock(*to));
    if let Some(days) = days {
        let days: Vec<String> = (0..8).filter(|day| days & (1 << day) != 0).map(|day| DAYS[day].to_string()).collect();
        let _ = writeln!(out, "days = {}", names(&days));
    }
}
