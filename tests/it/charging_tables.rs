//! Charging as text tables that a charging engineer can read: each command, and below it, indented, what came of it.
//!
//! The tables are in `tests/it/charging_tables`; one with a catalog beside it of its own name is charged by that. A line
//! `catalog NAME at 60s sessions finish` publishes `charging_tables/versions/NAME.toml`, to come into force in a minute.
//! `UPDATE_TABLES=1 cargo test charging_tables` writes what came of each command into the files; read the difference before
//! you keep it.

mod change;
mod many_parts;

use std::{fmt::Write as _, fs, path::Path, sync::Arc};

use tollgate::{
    charging::{
        AccountChanged, AccountSpec, AccountState, AdviceWanted, AnswerExtras, BucketKind, ClientNeeds, ClosingCause,
        Command, Counter, CreditCommand, CreditKind, Event, EventAction, EventRequest, Extension, Interrogation, Life,
        Manage, ManageCommand, Measure, Member, MemberLimit, MemberNo, NoticeKind, Outcome, PayOrder, Profile,
        ReplyExtras, RequestKind, Retention, ServiceRequest, State, Subscriber, SubscriberSpec, Subscription,
        TariffAdvice, Used, Verdict, Want, WantedUnits, begins_use, decide_by, version_for,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, RefundToken, SessionKey, SessionNo},
    rating::{Attributes, Catalog, Catalogs, ContextId, Period, Publication, Role, RunningSessions, Version},
    time::Timestamp,
    units::{Money, UnitKind},
};

use crate::{explained, survival};

struct Table {
    /// The catalog as it is written.
    source: String,
    catalogs: Catalogs,
    /// The switches of the client whose requests follow.
    client: ClientNeeds,
    retention: Retention,
    state: State,
    now: Timestamp,
    events: Vec<Event>,
}

fn version(number: u32, source: &str, activates: Timestamp, sessions: RunningSessions) -> Version {
    let publication = Publication {
        number,
        text: source.into(),
        published: activates,
        activates,
        sessions,
        by: "table".into(),
        reason: "".into(),
        request_id: "".into(),
        withdrawn: None,
    };
    Version::compile(publication).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The parts of a service in a command: `rg=1 used=10MB want`.
fn services(words: &[&str]) -> Vec<ServiceRequest> {
    let mut services: Vec<ServiceRequest> = Vec::new();
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if matches!(name, "rg" | "none") {
            services.push(ServiceRequest::default());
        }
        let Some(service) = services.last_mut() else { panic!("`{word}` belongs to no service") };
        match name {
            "rg" => service.key.rating_group = Some(value.parse().unwrap()),
            "none" => {}
            "si" => service.key.service_identifier = Some(value.parse().unwrap()),
            "used" => service.used = Some(used(value)),
            // The part of it that came from the user.
            "up" => service.used.get_or_insert_default().input = used(value).octets,
            "before" => service.split.get_or_insert_default().before = Some(used(value)),
            "after" => service.split.get_or_insert_default().after = Some(used(value)),
            "either" => service.split.get_or_insert_default().either = Some(used(value)),
            "in" => service.currency = Some(value.parse().unwrap()),
            "its-rat" => service.access = Some(value.parse().unwrap()),
            "want" if value.is_empty() => service.want = Some(Want::Any),
            "want" => service.want = Some(wanted(value)),
            // Refund-Information: `E1.0`, with `!` if nobody has been told of it.
            "debit" => {
                let (session, number) = value.trim_end_matches('!').split_once('.').unwrap();
                let secret = [u64::from(value.ends_with('!')), 0];
                service.refund = Some(RefundToken::new(session_key(session), number.parse().unwrap(), secret));
            }
            "state" | "may-refund" => {}
            _ => panic!("`{word}` is not understood"),
        }
    }
    services
}

/// `S1/2` is sub-session 2 of S1.
fn session(text: &str) -> (&str, u64) {
    text.split_once('/').map_or((text, 0), |(id, sub)| (id, sub.parse().unwrap()))
}

fn session_key(text: &str) -> SessionKey {
    let (id, sub_session) = session(text);
    SessionKey::of_sub_session(id.as_bytes(), sub_session)
}

/// The conditions in a command, `rat=6 net=26201`, and the words that are none.
fn conditions<'w>(words: &[&'w str]) -> (Option<Box<Attributes>>, Vec<&'w str>) {
    let mut told = Attributes::default();
    let rest = words.iter().copied().filter(|word| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "rat" => told.access = Some(value.parse().unwrap()),
            "net" => told.serving_network = Some(value.into()),
            "cell" => told.cell = Some(value.parse().unwrap()),
            "zone" => told.time_zone = Some(value.parse().unwrap()),
            "other" => told.other_party = Some(value.into()),
            "type" => told.message_type = Some(value.parse().unwrap()),
            "size" => told.size = Some(value.parse().unwrap()),
            "role" => {
                told.role = Some(match value {
                    "originating" => Role::Originating,
                    "terminating" => Role::Terminating,
                    _ => Role::Forwarding,
                });
            }
            "emergency" => told.emergency = true,
            _ => return true,
        }
        false
    });
    let rest = rest.collect();
    (Some(Box::new(told)).filter(|told| **told != Attributes::default()), rest)
}

/// `19:50` or `19:50:30`, in seconds.
fn time_of_day(text: &str) -> u64 {
    text.split(':').map(|part| part.parse::<u64>().unwrap()).zip([3_600, 60, 1]).map(|(part, unit)| part * unit).sum()
}

/// `30d`, `1h` or a number of seconds.
fn duration(text: &str) -> u64 {
    match amount(text) {
        (days, "d") => days * 86_400,
        (hours, "h") => hours * 3_600,
        (secs, _) => secs,
    }
}

/// `by=2`: the member who uses it.
fn member_by(words: &[&str]) -> MemberNo {
    let no = words.iter().find_map(|word| word.strip_prefix("by="));
    MemberNo(no.map_or(0, |no| no.parse().unwrap()))
}

fn amount(text: &str) -> (u64, &str) {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    (number.parse().unwrap_or_else(|_| panic!("`{text}` is not an amount")), unit)
}

fn used(text: &str) -> Used {
    match amount(text) {
        (n, "KiB") => Used { octets: n << 10, ..Used::default() },
        (n, "MiB") => Used { octets: n << 20, ..Used::default() },
        (n, "MB") => Used { octets: n * 1_000_000, ..Used::default() },
        (n, "kB") => Used { octets: n * 1_000, ..Used::default() },
        (n, "B") => Used { octets: n, ..Used::default() },
        (n, "s") => Used { seconds: n, ..Used::default() },
        (n, "micros") => Used { money: Money::from_micros(n as i64), ..Used::default() },
        (n, _) => Used { events: n, ..Used::default() },
    }
}

fn wanted(text: &str) -> Want {
    let used = used(text);
    if used.money != Money::ZERO || text.ends_with("micros") {
        return Want::Money(used.money);
    }
    let some = |n: u64| Some(n).filter(|n| *n > 0);
    Want::Units(WantedUnits { octets: some(used.octets), seconds: some(used.seconds), events: some(used.events) })
}

/// `day:money=1.00`, `cycle:octets=5MB`.
fn member_limit(text: &str) -> MemberLimit {
    let (span, amount) = text.split_once('=').unwrap();
    let (period, measure) = span.split_once(':').unwrap();
    let period = match period {
        "day" => Period::Day,
        "week" => Period::Week,
        "cycle" => Period::Cycle,
        secs => Period::Seconds(secs.trim_end_matches('s').parse().unwrap()),
    };
    let measure = match measure {
        "money" => Measure::Money,
        "octets" => Measure::Units(UnitKind::Octets),
        "seconds" => Measure::Units(UnitKind::Seconds),
        _ => Measure::Units(UnitKind::Events),
    };
    let amount = match measure {
        Measure::Money => amount.parse::<Money>().unwrap().micros(),
        measure => i64::try_from(used(amount).amount(measure)).unwrap(),
    };
    MemberLimit { period, measure, amount }
}

impl Table {
    fn new(source: &str) -> Self {
        let now = Timestamp::from_secs(1_000_000);
        Self {
            source: source.into(),
            catalogs: Catalogs::new(version(1, source, now, RunningSessions::Change)),
            client: ClientNeeds::default(),
            retention: Retention::default(),
            state: State::new(Retention::default()),
            now,
            events: Vec::new(),
        }
    }

    /// Runs one command and tells what came of it, a line for each thing.
    fn run(&mut self, line: &str) -> String {
        let line = line.split('#').next().unwrap_or("");
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(told) = self.run_change(&words) {
            return told;
        }
        match words.as_slice() {
            [] => String::new(),
            ["account", id, money, rest @ ..] => {
                let limit = rest.iter().find_map(|word| word.strip_prefix("limit="));
                let command = Command::CreateAccount(AccountSpec {
                    id: AccountId(id.parse().unwrap()),
                    currency: self.catalog().currency(),
                    balance: money.parse().unwrap(),
                    credit_limit: limit.unwrap_or("0").parse().unwrap(),
                    never_stop: rest.contains(&"never-stop"),
                    allowances: Vec::new(),
                });
                self.execute(&command)
            }
            [kind @ ("ccr-i" | "ccr-u" | "ccr-t"), name, account, number, rest @ ..] => {
                let (named, rest) = self.member(account, rest);
                let rest = &rest[..];
                let at_command_level = rest.contains(&"none");
                let kind = match *kind {
                    "ccr-i" => RequestKind::Initial,
                    "ccr-u" => RequestKind::Update,
                    _ => RequestKind::Termination,
                };
                let state = rest.iter().find_map(|word| word.strip_prefix("state="));
                let (attributes, rest) = conditions(rest);
                let is_switch =
                    |word: &str| word == "told" || ["event=", "ago=", "by="].iter().any(|key| word.starts_with(key));
                let (switches, rest): (Vec<_>, Vec<_>) = rest.iter().partition(|word| is_switch(word));
                let command = Command::Interrogate(Interrogation {
                    session_id: session(name).0.as_bytes(),
                    sub_session: session(name).1,
                    key: session_key(name),
                    incarnation: state.map_or(0, |id| id.parse().unwrap()),
                    account: account.parse().ok().map(AccountId),
                    kind,
                    number: number.strip_prefix('#').unwrap_or(number).parse().unwrap(),
                    context: self.context(session_key(name), kind, "32251@3gpp.org"),
                    context_name: "32251@3gpp.org",
                    origin_host: "pgw.example",
                    origin_realm: "example",
                    services: services(&rest),
                    at_command_level,
                    short_validity: false,
                    client: ClientNeeds { tariff_time_change: switches.contains(&"told"), ..self.client },
                    attributes,
                    happened: switches.iter().find_map(|word| self.happened(word)),
                    member: named.max(member_by(&switches)),
                });
                self.execute(&command)
            }
            ["ccr-e", name, account, number, action, rest @ ..] => {
                let (named, rest) = self.member(account, rest);
                let (attributes, rest) = conditions(&rest);
                let (by, rest): (Vec<_>, Vec<_>) = rest.iter().partition(|word| word.starts_with("by="));
                let command = Command::ChargeEvent(EventRequest {
                    member: named.max(member_by(&by)),
                    session_id: session(name).0.as_bytes(),
                    sub_session: session(name).1,
                    key: session_key(name),
                    unlinked_refunds: rest.contains(&"may-refund"),
                    number: number.parse().unwrap(),
                    account: account.parse().ok().map(AccountId),
                    action: match *action {
                        "debit" => EventAction::Debit,
                        "refund" => EventAction::Refund,
                        "check" => EventAction::CheckBalance,
                        _ => EventAction::PriceEnquiry,
                    },
                    context: self.context(session_key(name), RequestKind::Event, "32274@3gpp.org"),
                    services: services(&rest),
                    at_command_level: rest.contains(&"none"),
                    client: self.client,
                    attributes,
                    ..EventRequest::default()
                });
                self.execute(&command)
            }
            [kind @ ("topup" | "adjust" | "give"), account, what, id] => {
                let kind = match *kind {
                    "topup" => CreditKind::TopUp(what.parse().unwrap()),
                    "adjust" => CreditKind::Adjustment(what.parse().unwrap(), "table"),
                    _ => CreditKind::Allowance(what),
                };
                let (account, currency) = (AccountId(account.parse().unwrap()), Some(self.catalog().currency()));
                let command = Command::Credit(CreditCommand { account, kind, currency, request_id: id });
                self.execute(&command)
            }
            ["explain", account, latest] => {
                let account = self.state.account(AccountId(account.parse().unwrap())).unwrap();
                let versions = |number| Some(&*self.catalogs.get(number)?.catalog);
                explained::told(&self.state, account, latest.parse().unwrap(), &versions)
            }
            [kind @ ("topup" | "give"), account, what, id, "for", subscriber] => {
                let kind = match *kind {
                    "topup" => CreditKind::MemberTopUp { subscriber, amount: what.parse().unwrap() },
                    _ => CreditKind::MemberAllowance { subscriber, allowance: what },
                };
                let account = AccountId(account.parse().unwrap());
                self.execute(&Command::Credit(CreditCommand { account, kind, currency: None, request_id: id }))
            }
            ["subscriber", account, id, identity] => {
                let identities = [Identity::new(IdentityKind::E164, identity).unwrap()].into();
                let (account, subscriber) =
                    (AccountId(account.parse().unwrap()), Subscriber { id: (*id).into(), identities });
                self.execute(&Command::CreateSubscriber(SubscriberSpec { account, subscriber }))
            }
            ["set-member", account, id, subscriber, order, limits @ ..] => {
                let order = match *order {
                    "own-first" => PayOrder::OwnFirst,
                    "shared-first" => PayOrder::SharedFirst,
                    "own-only" => PayOrder::OwnOnly,
                    "shared-only" => PayOrder::SharedOnly,
                    _ => panic!("`{order}` is no order"),
                };
                let limits = limits.iter().map(|limit| member_limit(limit)).collect();
                self.manage(account, &[id], Manage::SetMember { subscriber, order, limits })
            }
            ["remove-member", account, id, subscriber] => {
                self.manage(account, &[id], Manage::RemoveMember { subscriber })
            }
            ["remove-subscriber", account, id, subscriber] => {
                self.manage(account, &[id], Manage::RemoveSubscriber { subscriber })
            }
            ["state", account, state] => {
                let state = match *state {
                    "active" => AccountState::Active,
                    "suspended" => AccountState::Suspended,
                    "stopped" => AccountState::Stopped,
                    _ => AccountState::Terminated,
                };
                let account = AccountId(account.parse().unwrap());
                self.execute(&Command::SetState { account, state, reason: "table" })
            }
            ["plan", account, plan, rest @ ..] => {
                self.manage(account, rest, Manage::SetPlan(Some(*plan).filter(|plan| *plan != "none")))
            }
            ["limit", account, limit, rest @ ..] => {
                self.manage(account, rest, Manage::SetCreditLimit(limit.parse().unwrap()))
            }
            ["red-list", account, on, rest @ ..] => self.manage(account, rest, Manage::SetNeverStop(*on == "on")),
            ["extend", account, "by", time, rest @ ..] => {
                self.manage(account, rest, Manage::ExtendValidity(Extension::By(duration(time))))
            }
            // Counted from now.
            ["extend", account, "until", time, rest @ ..] => {
                let until = self.now.plus_secs(duration(time));
                self.manage(account, rest, Manage::ExtendValidity(Extension::Until(until)))
            }
            // What the background does.
            ["catch-up", account] => {
                let done = self.catch_up(AccountId(account.parse().unwrap()), false);
                if done.is_empty() { "  nothing is due\n".into() } else { done }
            }
            // What the account has from now on, by what the plan and the products say of usage. `until` = in so many seconds.
            ["has-plan", account, name] => self.change(account, |event, _| event.plan = Some(Some((*name).into()))),
            ["product", account, name, rest @ ..] => self.change(account, |event, profile| {
                let secs = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
                event.subscriptions.push(Subscription {
                    no: profile.next_subscription.max(1),
                    product: (*name).into(),
                    member: member_by(rest),
                    starts: event.at,
                    ends: secs("until=").map(|secs| event.at.plus_secs(secs)),
                    begun: true,
                    ..Subscription::default()
                });
            }),
            ["drop-product", account, no] => {
                self.change(account, |event, _| event.removed_subscriptions.push(no.parse().unwrap()))
            }
            // `day:2.00` or `day:5MB`: what it may take of what is shared.
            ["member", account, no, limits @ ..] => self.change(account, |event, _| {
                let no = MemberNo(no.parse().unwrap());
                let limits = limits.iter().map(|word| member_limit(word)).collect();
                event.members.push(Member { no, subscriber: format!("m{}", no.0).into(), limits, ..Member::default() });
            }),
            ["lapse", account] => self.change(account, |event, _| {
                event.life = Some(Box::new(Life { lapsed: true, ..Life::default() }));
            }),
            ["counters", account] => self.counters(account.parse().unwrap()),
            ["catalog-says", what, instead] => {
                assert!(self.source.contains(what), "the catalog does not say {what}");
                self.source = self.source.replace(what, instead);
                let source = self.source.clone();
                self.publish(&source, 0, "change")
            }
            ["charge-late-usage"] => {
                self.retention.charge_late_usage = true;
                self.state = State::new(self.retention);
                String::new()
            }
            ["restart", host, state_id] => {
                self.execute(&Command::ClientState { host, state_id: state_id.parse().unwrap() })
            }
            ["abort", name] => self.execute(&Command::Abort(session_key(name))),
            ["reauthorise", name] => self.execute(&Command::ReAuthorise(session_key(name), None)),
            ["reauthorise", name, group] => {
                self.execute(&Command::ReAuthorise(session_key(name), Some(group.parse().unwrap())))
            }
            ["lost", name] => self.execute(&Command::SessionLost(session_key(name))),
            // What clients are to be asked.
            ["requests"] => {
                let mut out = String::new();
                for session in self.state.waiting_for_reauthorisation() {
                    let what = if session.abort { "asr" } else { "rar" };
                    let group = session.reauthorise_group.map_or_else(String::new, |group| format!(" rg={group}"));
                    let _ = writeln!(out, "  {what} {}{group}", told_session(session));
                }
                out
            }
            ["wait", secs] => {
                self.now = self.now.plus_secs(duration(secs));
                let mut out = String::new();
                for no in self.state.due(self.now, usize::MAX) {
                    let id = self.state.session(no).unwrap().id.clone();
                    self.execute(&Command::ExpireSession(no));
                    let _ = writeln!(out, "  {id} expired");
                }
                let start = (Timestamp::EPOCH, SessionNo(0));
                for no in self.state.left_behind(start, usize::MAX, self.now).0 {
                    let id = told_session(self.state.session(no).unwrap());
                    let _ = writeln!(out, "  {id} left behind");
                    self.execute(&Command::CloseLeftBehind(no));
                }
                out
            }
            // Another price list, where the services of a pool are in another one.
            ["move-pool", from, to] => {
                self.source = self.source.replace(&format!("\npool = {from}\n"), &format!("\npool = {to}\n"));
                let source = self.source.clone();
                self.publish(&source, 0, "change")
            }
            // Another version of the price list, from so many seconds on.
            ["catalog", name, "at", secs, "sessions", sessions] => {
                let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/charging_tables/versions");
                let source = fs::read_to_string(directory.join(name).with_extension("toml")).unwrap();
                self.publish(&source, secs.trim_end_matches('s').parse().unwrap(), sessions)
            }
            ["switches", switches @ ..] => {
                self.client = ClientNeeds::default();
                switches.iter().for_each(|word| switch(&mut self.client, word));
                String::new()
            }
            ["clock", time] => {
                // Forward to when the clock shows this, in UTC.
                let then = self.today(time);
                self.now = if then < self.now { then.plus_secs(86_400) } else { then };
                format!("  {}\n", self.now)
            }
            ["show", account] => self.show(account.parse().unwrap()),
            _ => panic!("`{line}` is not understood"),
        }
    }

    /// `event=19:50`, or `ago=90` in seconds.
    fn happened(&self, word: &str) -> Option<Timestamp> {
        let ago = word.strip_prefix("ago=").map(|secs| self.now.millis() - secs.parse::<u64>().unwrap() * 1_000);
        ago.map(Timestamp::from_millis).or_else(|| Some(self.today(word.strip_prefix("event=")?)))
    }

    /// The member that a request is of, `as NAME`, and the other words.
    fn member<'w>(&self, account: &str, words: &[&'w str]) -> (MemberNo, Vec<&'w str>) {
        let mut rest = words.to_vec();
        let Some(place) = words.iter().position(|word| *word == "as") else { return (MemberNo::SHARED, rest) };
        let name = rest.drain(place..place + 2).nth(1).unwrap();
        let account = self.state.account(AccountId(account.parse().unwrap())).unwrap();
        let subscriber = account.subscribers.iter().find(|subscriber| *subscriber.id == *name);
        (account.member_with(subscriber.map_or(&[][..], |subscriber| &subscriber.identities)), rest)
    }

    fn publish(&mut self, source: &str, in_secs: u64, sessions: &str) -> String {
        let number = self.catalogs.next_number();
        let sessions = match sessions {
            "finish" => RunningSessions::Finish,
            "change" => RunningSessions::Change,
            _ => panic!("running sessions cannot `{sessions}`"),
        };
        self.catalogs = self.catalogs.with(version(number, source, self.now.plus_secs(in_secs), sessions));
        format!("  version {number}\n")
    }

    /// What is in force.
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalogs.at(self.now).catalog)
    }

    /// A service context of the version that a request is decided by.
    fn context(&self, key: SessionKey, kind: RequestKind, name: &str) -> Option<ContextId> {
        version_for(&self.state, &self.catalogs, key, kind, self.now).catalog.context(name)
    }

    fn today(&self, time: &str) -> Timestamp {
        Timestamp::from_secs(self.now.secs() / 86_400 * 86_400 + time_of_day(time))
    }

    fn manage(&mut self, account: &str, rest: &[&str], what: Manage<'_>) -> String {
        let (account, request_id) = (AccountId(account.parse().unwrap()), rest.first().copied().unwrap_or(""));
        self.execute(&Command::Manage(ManageCommand { account, request_id, reason: "table", what }))
    }

    /// Does what is due for an account, as the store does before the account is used.
    fn catch_up(&mut self, account: AccountId, use_begins: bool) -> String {
        let mut out = String::new();
        while self.state.must_catch_up(account, use_begins, self.now) {
            let events = self.events.len();
            let told = self.done(&Command::CatchUp { account, use_begins });
            let Some(Event::AccountChanged(changed)) = self.events.get(events) else {
                panic!("what is due is never done")
            };
            out += &told.replacen("  done", &format!("  due: {}", changed.reason), 1);
            assert!(self.events.len() < 10_000, "something is due for ever");
        }
        out
    }

    /// Runs a command as the store does: what is due for its account is done before, and after a credit.
    fn execute(&mut self, command: &Command<'_>) -> String {
        let payer = match command {
            Command::Interrogate(request) => request.account.or_else(|| self.state.payer_of(request.key)),
            Command::ChargeEvent(request) => request.account,
            Command::Credit(request) => Some(request.account),
            Command::Manage(request) => Some(request.account),
            Command::SetState { account, .. } => Some(*account),
            _ => None,
        };
        let payer = payer.and_then(|payer| self.state.account(payer));
        let due = payer.map(|payer| {
            let waits = payer.waits_for_use() && begins_use(&self.state, &self.catalog(), payer, command);
            (payer.id, waits)
        });
        let due = due.map_or_else(String::new, |(payer, use_begins)| self.catch_up(payer, use_begins));
        let out = due + &self.done(command);
        match command {
            Command::Credit(request) => out + &self.catch_up(request.account, false),
            _ => out,
        }
    }

    fn done(&mut self, command: &Command<'_>) -> String {
        let decided = decide_by(&self.state, &self.catalogs, command, self.now);
        let known = match &decided.event {
            Some(Event::AccountChanged(change)) => self.state.account(change.account).unwrap().buckets.as_slice(),
            _ => &[],
        };
        let known: Vec<_> = known.iter().map(|bucket| (bucket.id, bucket.kind)).collect();
        if let Some(event) = &decided.event {
            self.state.apply(event);
            self.events.push(event.clone());
        }
        self.state.check().unwrap_or_else(|violation| panic!("{command:?}: {violation}"));
        let mut out = String::new();
        let again = match (decided.repeated, decided.altered) {
            (true, true) => " (again, altered)",
            (true, false) => " (again)",
            _ => "",
        };
        match &decided.outcome {
            Outcome::Answer(answer) => {
                let _ = write!(out, "  {}{again}", code(answer.verdict));
                if let Some(enough) = answer.enough_credit {
                    let _ = write!(out, ", {}", if enough { "enough credit" } else { "no credit" });
                }
                if answer.cost != Money::ZERO {
                    let _ = write!(out, ", cost {}", answer.cost);
                }
                if let Some(extras) = &answer.extras {
                    let _ = write!(out, "{}", told_extras(extras));
                }
                let _ = writeln!(out);
                for reply in &answer.replies {
                    let _ = writeln!(out, "  {}", told_reply(reply));
                }
            }
            Outcome::Credited { balance, .. } => {
                let _ = writeln!(out, "  balance {balance}{again}");
            }
            Outcome::Done => {
                let _ = writeln!(out, "  done{again}");
            }
            Outcome::Refused(refusal) => {
                let _ = writeln!(out, "  refused: {refusal}");
            }
        }
        if let Some(event) = &decided.event {
            for notice in event.notices() {
                let _ = writeln!(out, "  event: {}", told_notice(&notice.kind));
            }
            let steps = match event {
                Event::Interrogated(event) => &event.steps[..],
                Event::EventCharged(event) => &event.steps[..],
                _ => &[],
            };
            for step in steps {
                let by = Some(step.catalog).filter(|number| *number != 0);
                let by = by.map_or_else(String::new, |number| format!("by version {number}, "));
                match &step.tariff {
                    Some(tariff) => _ = writeln!(out, "  {by}{tariff}: {} for {}", step.used, step.charged),
                    None if !by.is_empty() => {
                        let _ = writeln!(out, "  {by}{}: {} for {}", step.service, step.used, step.charged);
                    }
                    None => {}
                }
                if let Some(given) = step.discount.as_ref().filter(|_| step.used > 0) {
                    let (name, points) = (&given.name, given.basis_points);
                    let _ = writeln!(out, "  less {name} {points}: {} for {}", step.used, step.charged);
                }
            }
            if let Event::Interrogated(event) = event
                && let Some(number) = event.catalog
            {
                let _ = writeln!(out, "  goes by version {number} from now on");
            }
            match event {
                Event::Credited(credited) if !credited.reauthorise.is_empty() => {
                    let _ = writeln!(out, "  rar: {} session(s)", credited.reauthorise.len());
                }
                Event::AccountChanged(change) => out += &change::told_change(change, &known),
                Event::OrphanUsage(orphan) => {
                    let _ = writeln!(out, "  orphan usage: {} report(s)", orphan.usage.len());
                    for step in &orphan.steps {
                        let _ = writeln!(out, "  charged late: {} for {}", step.charged, step.service);
                    }
                }
                Event::EventCharged(event) if !event.reauthorise.is_empty() => {
                    let _ = writeln!(out, "  rar: {} session(s)", event.reauthorise.len());
                }
                Event::Interrogated(event) if !event.wake.is_empty() => {
                    let _ = writeln!(out, "  rar: {} session(s)", event.wake.len());
                }
                Event::SessionClosed { wake, .. } if !wake.is_empty() => {
                    let _ = writeln!(out, "  rar: {} session(s)", wake.len());
                }
                _ => {}
            }
        }
        let ended = self.state.take_ended().into_iter();
        let along = ended.filter(|(_, cause)| *cause == ClosingCause::MainEnded).count();
        if along > 0 {
            let _ = writeln!(out, "  {along} sub-session(s) ended with it");
        }
        out
    }

    /// Changes an account, as a command that does no more would.
    fn change(&mut self, account: &str, say: impl FnOnce(&mut AccountChanged, &Profile)) -> String {
        let account = AccountId(account.parse().unwrap());
        let mut event = AccountChanged { at: self.now, account, ..AccountChanged::default() };
        let profile = self.state.account(account).unwrap().profile.as_deref().cloned().unwrap_or_default();
        say(&mut event, &profile);
        let event = Event::AccountChanged(Box::new(event));
        self.state.apply(&event);
        self.events.push(event);
        self.state.check().unwrap();
        String::new()
    }

    /// What is counted, in the order in which it began.
    fn counters(&self, id: u64) -> String {
        let account = self.state.account(AccountId(id)).unwrap();
        let mut out = String::new();
        for counter in account.profile.iter().flat_map(|profile| &profile.counters) {
            let amount = |amount: i64| match counter.measure {
                Measure::Money => Money::from_micros(amount).to_string(),
                Measure::Units(_) => amount.to_string(),
            };
            let (used, reserved) = (amount(counter.used), amount(counter.reserved));
            let whose =
                if counter.member == MemberNo::SHARED { String::new() } else { format!(" of {}", counter.member.0) };
            let _ = writeln!(out, "  {}{whose} {used} reserved {reserved} until {}", counter.name, counter.ends);
        }
        out
    }

    /// The events replayed are the state.
    fn replay(&self) {
        self.state.same_as(&survival::replayed(&self.events, self.retention)).unwrap();
    }

    fn show(&self, id: u64) -> String {
        let account = self.state.account(AccountId(id)).unwrap();
        let mut out = format!("  {:?} balance {} reserved {}\n", account.state, account.balance(), account.reserved());
        for bucket in account.buckets.iter().filter(|bucket| *bucket.name != *"main") {
            let (amount, reserved) = match bucket.kind {
                BucketKind::Money => {
                    let money = Money::from_micros;
                    (money(bucket.amount).to_string(), money(bucket.reserved).to_string())
                }
                BucketKind::Units(_) => (bucket.amount.to_string(), bucket.reserved.to_string()),
            };
            let whose = match bucket.owner {
                MemberNo::SHARED => String::new(),
                MemberNo(no) => format!(" of member {no}"),
            };
            let _ = write!(out, "  {} {amount} reserved {reserved}{whose}", bucket.name);
            let lasts = bucket.expires.map(|at| format!(" for {}", self.time_to(at)));
            let _ = writeln!(out, "{}", lasts.filter(|_| bucket.kind == BucketKind::Money).unwrap_or_default());
        }
        if let (Some(plan), Some(life)) = (account.plan(), account.life()) {
            let _ = write!(out, "  {plan}:");
            let _ = match (life.activated, life.valid_until, life.lapsed) {
                (None, ..) => write!(out, " waits for its first use"),
                (_, None, _) => write!(out, " without an end"),
                (_, Some(at), false) => write!(out, " valid for {}", self.time_to(at)),
                (.., true) => write!(out, " lapsed"),
            };
            let ends = life.ends.map(|at| format!(", ends in {}", self.time_to(at)));
            let _ = writeln!(out, "{}", ends.unwrap_or_default());
        }
        for member in account.profile.iter().flat_map(|profile| &profile.members) {
            let _ = writeln!(out, "  member {} {} {:?}", member.no.0, member.subscriber, member.order);
        }
        let of_members = |counter: &&Counter| counter.member != MemberNo::SHARED;
        for counter in account.profile.iter().flat_map(|profile| &profile.counters).filter(of_members) {
            let Counter { name, member, used, reserved, .. } = counter;
            let _ = writeln!(out, "  counted {name} of member {} {used} reserved {reserved}", member.0);
        }
        out
    }

    /// How long it is until a moment: in days, if they are whole.
    fn time_to(&self, at: Timestamp) -> String {
        let secs = at.since(self.now).as_secs();
        if at < self.now {
            format!("-{} s", self.now.since(at).as_secs())
        } else if secs.is_multiple_of(86_400) {
            format!("{} d", secs / 86_400)
        } else {
            format!("{secs} s")
        }
    }
}

fn told_session(session: &tollgate::charging::Session) -> String {
    let sub = Some(session.sub_session).filter(|sub| *sub != 0).map_or_else(String::new, |sub| format!("/{sub}"));
    format!("{}{sub}", session.id)
}

fn told_reply(reply: &tollgate::charging::Reply) -> String {
    let QuotaKey { rating_group, service_identifier, .. } = reply.key;
    let mut out = match (rating_group, service_identifier) {
        (Some(group), Some(service)) => format!("rg={group} si={service}:"),
        (Some(group), None) => format!("rg={group}:"),
        (None, Some(service)) => format!("si={service}:"),
        (None, None) => "none:".into(),
    };
    match reply.grant {
        Some(grant) => {
            let unit = match grant.measure {
                Measure::Units(UnitKind::Octets) => "B",
                Measure::Units(UnitKind::Seconds) => "s",
                Measure::Units(UnitKind::Events) => "",
                Measure::Money => "micros",
            };
            let _ = write!(out, " grant {}{unit}", grant.amount);
        }
        None => {
            let _ = write!(out, " {}", code(reply.verdict));
        }
    }
    if reply.validity_secs > 0 {
        let _ = write!(out, " valid {}", reply.validity_secs);
    }
    if reply.threshold > 0 {
        let _ = write!(out, " threshold {}", reply.threshold);
    }
    if let Some(secs) = reply.holding_secs {
        let _ = write!(out, " holding {secs}");
    }
    if let Some(action) = &reply.final_action {
        let _ = write!(out, " final {action:?}");
    }
    if let Some(extras) = &reply.extras {
        let ReplyExtras { pool, consumption_secs, time_mechanism, envelopes, announcement, .. } = &**extras;
        if let Some(pool) = pool {
            let _ = write!(out, " pool {} x{}", pool.id, pool.multiplier);
        }
        if let Some(secs) = consumption_secs {
            let _ = write!(out, " consumption {secs}");
        }
        if let Some(mechanism) = time_mechanism {
            let kind = if mechanism.continuous { "continuous" } else { "discrete" };
            let _ = write!(out, " {kind} {}", mechanism.base_secs);
        }
        if let Some(envelopes) = envelopes {
            let _ = write!(out, " envelopes {envelopes:?}");
        }
        if let Some(announcement) = announcement {
            let _ = write!(out, " announce {} at {}", announcement.id, announcement.before_end_secs);
        }
        if let Some(at) = extras.tariff_change {
            let _ = write!(out, " change {at}");
        }
        if let Some(triggers) = &extras.triggers {
            let _ = write!(out, " triggers {triggers:?}");
        }
    }
    out
}

/// Sets a switch of the client: `no-` and its name for off, its name for on.
fn switch(client: &mut ClientNeeds, word: &str) {
    let (name, on) = word.strip_prefix("no-").map_or((word, true), |name| (name, false));
    match name {
        "redirects" => client.redirects = on,
        "thresholds" => client.thresholds = on,
        "4011" => client.free_of_charge_4011 = on,
        "pools" => client.pools = on,
        "remaining" => client.remaining_balance = on,
        "low-balance" => client.low_balance = on,
        "announcements" => client.announcements = on,
        "advice=full" => client.advice = AdviceWanted::Full,
        "advice=cost" => client.advice = AdviceWanted::Cost,
        "advice=tariff" => client.advice = AdviceWanted::Tariff,
        _ => panic!("a client has no switch `{name}`"),
    }
}

fn told_extras(extras: &AnswerExtras) -> String {
    let mut out = String::new();
    if let Some(remaining) = extras.remaining {
        let _ = write!(out, ", remaining {remaining}");
    }
    if let Some(low) = extras.low_balance {
        let _ = write!(out, ", low balance {low}");
    }
    if let Some(advice) = &extras.advice {
        if let Some(cost) = advice.incremental {
            let _ = write!(out, ", this request {cost}");
        }
        let told = |tariff: TariffAdvice| {
            let TariffAdvice { kind, units, digits, scale, setup } = tariff;
            format!("{digits}e-{scale} per {units} {kind} and {setup} at the start")
        };
        if let Some(tariff) = advice.tariff {
            let _ = write!(out, ", tariff {}", told(tariff));
        }
        if let Some((at, tariff)) = advice.next {
            let _ = write!(out, ", from {at} {}", told(tariff));
        }
    }
    if let Some(unit) = &extras.cost_unit {
        let _ = write!(out, ", cost unit {unit}");
    }
    out
}

fn told_notice(kind: &NoticeKind) -> String {
    match kind {
        NoticeKind::TopUp { amount, request_id } => format!("top-up {amount} {request_id}"),
        NoticeKind::CreditStop => "credit stop".into(),
        NoticeKind::Reconnect => "reconnect".into(),
        NoticeKind::Threshold { name, .. } => format!("threshold {name}"),
        NoticeKind::Overdraft { excess } => format!("overdraft {excess}"),
        NoticeKind::Limit { name, percent, member, step } => {
            let whose = if *member == MemberNo::SHARED { String::new() } else { format!(" of member {}", member.0) };
            format!("limit {name}{whose} {percent} % {step:?}").to_lowercase()
        }
        NoticeKind::Product { product, step, .. } => format!("product {product} {step:?}").to_lowercase(),
        NoticeKind::Life { step, .. } => format!("life {step:?}").to_lowercase(),
        NoticeKind::CycleClosed { usage, fees, .. } => format!("cycle closed usage {usage} fees {fees}"),
    }
}

fn code(verdict: Verdict) -> u32 {
    tollgate::mapping::result_code(verdict).0
}

#[test]
fn charging_tables() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/charging_tables");
    let mut tables = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        tables += 1;
        let text = fs::read_to_string(&path).unwrap();
        let own = path.with_extension("toml");
        let catalog = if own.exists() { own } else { directory.join("catalog.toml") };
        let catalog = fs::read_to_string(catalog).unwrap();
        let mut table = Table::new(&catalog);
        let mut actual = String::new();
        for line in text.lines().filter(|line| !line.starts_with("  ")) {
            let _ = writeln!(actual, "{line}");
            if line.starts_with('=') {
                // Each story is replayed, not only the last one of a file.
                table.replay();
                table = Table::new(&catalog);
            } else {
                actual += &table.run(line);
                survival::survives_a_checkpoint(&table.state, table.retention);
                explained::all_exact(&table.state, &|number| Some(&*table.catalogs.get(number)?.catalog));
            }
        }
        table.replay();
        if std::env::var_os("UPDATE_TABLES").is_some() {
            fs::write(&path, &actual).unwrap();
        } else if actual != text {
            let differs = actual.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let from = differs.saturating_sub(3);
            let part = |text: &str| text.lines().skip(from).take(8).map(|l| format!("    {l}\n")).collect::<String>();
            panic!("{}, line {}:\n  expected\n{}  but\n{}", path.display(), differs + 1, part(&text), part(&actual));
        }
    }
    assert!(tables >= 4, "the tables are gone");
}
