//! One life in both worlds: each step goes through the engine, and the oracle says what must have come of it.

use std::{collections::BTreeMap, fmt::Write as _};

use tollgate::{
    charging::{
        self, AccountChanged, AccountSpec, AccountState, Answer, BucketKind, ClientNeeds, Command, CreditCommand,
        CreditKind, Decided, Event, EventAction, EventRequest, HistoryKind, HistoryLine, Interrogation, MemberNo,
        Outcome, Quota, Reply, RequestKind, Retention, ServiceRequest, Session, SplitUsage, State, Subscription, Used,
        Verdict, Want, WantedUnits, decide,
    },
    ids::{AccountId, BucketId, QuotaKey, SessionKey},
    rating::{Attributes, Catalog},
    time::Timestamp,
    units::Money,
};

use super::{
    life::{Life, Line, Step, Talk, Use},
    list::{Kind, List, money},
    model::{Bucket, Held, Id, MAIN, Model, Payment, Report, Terms},
};

const ACCOUNT: AccountId = AccountId(1);
/// A Friday in the second month of 1970, 20:53:20 in UTC: so that cycles, too, begin where time has begun.
pub(super) const START: u64 = 5_000_000;
/// Lines of the history that are explained after every step, the latest.
const EXPLAINED_LINES: usize = 5;
/// Where the tables begin.
const TABLES_START: u64 = 1_000_000;

/// What was compared.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    pub(super) steps: u64,
    pub(super) charges: u64,
    pub(super) from_allowances: u64,
    pub(super) by_tariff: u64,
    pub(super) grants: u64,
    pub(super) cut_grants: u64,
    pub(super) refusals: u64,
    pub(super) overuse: u64,
    pub(super) counters: u64,
    /// Charges whose explanation has more than one line.
    pub(super) explained: u64,
}

pub(super) struct World {
    catalog: Catalog,
    pub(super) state: State,
    model: Model,
    /// The number of the session in each slot, and of its next request.
    slots: BTreeMap<u64, (u64, u32)>,
    sessions: u64,
    /// What was done, as the tables have it.
    pub(super) story: String,
    pub(super) seen: Seen,
}

type Found = Result<(), String>;

fn key(group: u32) -> QuotaKey {
    QuotaKey { rating_group: Some(group), ..QuotaKey::default() }
}

fn used(kind: Kind, (units, up): (u64, u64)) -> Used {
    match kind {
        Kind::Octets => Used { octets: units, input: up, ..Used::default() },
        Kind::Seconds => Used { seconds: units, ..Used::default() },
        Kind::Events => Used { events: units, ..Used::default() },
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, engine: T, oracle: T) -> Found {
    if engine == oracle { Ok(()) } else { Err(format!("{what}: the engine says {engine:?}, the oracle {oracle:?}")) }
}

impl World {
    pub(super) fn new(list: &List, life: &Life) -> Self {
        let text = list.text();
        let catalog = Catalog::from_toml(&text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let mut model = Model::new(list, life.balance, START);
        (model.credit_limit, model.never_stop) = (life.credit_limit.into(), life.never_stop);
        model.cycle_day = if list.has_offers() { life.cycle_day.into() } else { 1 };
        let mut world = Self {
            catalog,
            state: State::new(Retention::default()),
            model,
            slots: BTreeMap::new(),
            sessions: 0,
            story: String::new(),
            seen: Seen::default(),
        };
        let limit = if life.credit_limit > 0 { format!(" limit={}", money(life.credit_limit)) } else { String::new() };
        let never_stop = if life.never_stop { " never-stop" } else { "" };
        let _ = writeln!(world.story, "wait {}", START - TABLES_START);
        let _ = writeln!(world.story, "account 1 {}{limit}{never_stop}", money(life.balance));
        world.execute(&Command::CreateAccount(AccountSpec {
            id: ACCOUNT,
            currency: world.catalog.currency(),
            balance: Money::from_micros(life.balance),
            credit_limit: Money::from_micros(life.credit_limit),
            never_stop: life.never_stop,
            allowances: Vec::new(),
        }));
        if list.has_offers() {
            world.subscribe(life);
        }
        world
    }

    /// The plan, the product and the cycle, as if they had been bought at the start.
    fn subscribe(&mut self, life: &Life) {
        let _ = writeln!(self.story, "plan 1 plan\nproduct 1 bundle\n# cycles begin on day {}", life.cycle_day);
        let at = Timestamp::from_secs(START);
        let bundle = Subscription {
            no: 1,
            product: "bundle".into(),
            bought: at,
            starts: at,
            begun: true,
            ..Subscription::default()
        };
        self.state.apply(&Event::AccountChanged(Box::new(AccountChanged {
            at,
            account: ACCOUNT,
            plan: Some(Some("plan".into())),
            cycle_day: Some(life.cycle_day),
            subscriptions: vec![bundle],
            ..AccountChanged::default()
        })));
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.model.now)
    }

    fn execute(&mut self, command: &Command<'_>) -> Decided {
        let decided = decide(&self.state, &self.catalog, command, self.now());
        if let Some(event) = &decided.event {
            self.state.apply(event);
        }
        decided
    }

    pub(super) fn step(&mut self, step: &Step) -> Found {
        self.seen.steps += 1;
        match step {
            Step::Talk(talk) => self.talk(talk)?,
            Step::Event { group, units } => self.event(*group, *units)?,
            Step::TopUp { micros } => self.top_up(*micros),
            Step::Give { allowance } => self.give(*allowance),
            Step::Bonus { micros, priority, validity } => self.bonus(*micros, *priority, *validity),
            Step::Wait { secs } => self.wait(*secs),
        }
        self.state.check().map_err(|violation| violation.to_string())?;
        self.compare()
    }

    fn wait(&mut self, secs: u64) {
        let _ = writeln!(self.story, "wait {secs}");
        self.model.now += secs;
        for no in self.state.due(self.now(), usize::MAX) {
            let id = self.state.session(no).unwrap().id.to_string();
            self.execute(&Command::ExpireSession(no));
            self.model.sessions.remove(&id);
        }
    }

    fn credit(&mut self, kind: CreditKind<'_>) {
        let (currency, request_id) = (self.catalog.currency(), format!("c{}", self.story.len()));
        let command = CreditCommand { account: ACCOUNT, kind, currency: Some(currency), request_id: &request_id };
        let decided = decide(&self.state, &self.catalog, &Command::Credit(command), self.now());
        self.state.apply(&decided.event.unwrap());
    }

    fn top_up(&mut self, micros: i64) {
        let _ = writeln!(self.story, "topup 1 {} c{}", money(micros), self.story.len());
        self.credit(CreditKind::TopUp(Money::from_micros(micros)));
        self.model.bucket(MAIN).amount += i128::from(micros);
    }

    fn give(&mut self, allowance: usize) {
        let allowance = self.model.list.allowances[allowance].clone();
        let _ = writeln!(self.story, "give 1 {} c{}", allowance.name, self.story.len());
        let known: Vec<_> = self.account().buckets.iter().map(|bucket| bucket.id).collect();
        self.credit(CreditKind::Allowance(&allowance.name));
        let new = self.account().buckets.iter().find(|bucket| !known.contains(&bucket.id)).unwrap().id;
        self.model.add_bucket(Bucket {
            id: new.0,
            units: Some(allowance.kind),
            amount: allowance.amount.into(),
            priority: allowance.priority,
            expires: allowance.validity.map(|secs| self.model.now + secs),
            services: allowance.services,
        });
    }

    fn bonus(&mut self, micros: i64, priority: u32, validity: Option<u64>) {
        let _ = writeln!(self.story, "# bonus {} priority={priority} validity={validity:?}", money(micros));
        let (at, expires) = (self.now(), validity.map(|secs| self.model.now + secs));
        let id = self.account().next_bucket;
        let bucket = charging::Bucket {
            id: BucketId(id),
            kind: BucketKind::Money,
            amount: micros,
            reserved: 0,
            initial: micros,
            priority,
            expires: expires.map(Timestamp::from_secs),
            services: [].into(),
            name: "bonus".into(),
            owner: MemberNo::SHARED,
            subscription: 0,
            rolled: 0,
        };
        let changed = AccountChanged { at, account: ACCOUNT, buckets: vec![bucket], ..AccountChanged::default() };
        self.state.apply(&Event::AccountChanged(Box::new(changed)));
        let (amount, services) = (micros.into(), Vec::new());
        self.model.add_bucket(Bucket { id, units: None, amount, priority, expires, services });
    }

    pub(super) fn account(&self) -> &tollgate::charging::Account {
        self.state.account(ACCOUNT).unwrap()
    }

    pub(super) fn session(&self, id: &str) -> Option<&Session> {
        self.state.session_by_id(SessionKey::of(id.as_bytes()), id.as_bytes())
    }

    /// What is held, when a session gives back what it held for some quotas.
    fn held(&self, id: &str, gives_back: impl Fn(&Quota) -> bool) -> Held {
        let mut held = Held::default();
        let own = self.session(id).into_iter().flat_map(|session| &session.quotas);
        let own = own.filter(|quota| gives_back(quota));
        for draw in own.flat_map(|quota| &quota.holds) {
            *held.released.entry(draw.bucket.0).or_default() += i128::from(draw.amount);
        }
        for bucket in &self.account().buckets {
            let released = held.released.get(&bucket.id.0).unwrap_or(&0);
            held.others.insert(bucket.id.0, i128::from(bucket.reserved) - released);
        }
        // Counters have ids as buckets have.
        for counter in self.account().profile.iter().flat_map(|profile| &profile.counters) {
            let released = held.released.get(&counter.id.0).unwrap_or(&0);
            let place = (counter.name.to_string(), counter.starts.secs());
            held.of_counters.insert(place.clone(), *released);
            held.counters.insert(place, i128::from(counter.reserved) - released);
        }
        held
    }

    fn event(&mut self, group: u32, units: u64) -> Found {
        self.sessions += 1;
        let id = format!("E{}", self.sessions);
        let kind = self.model.list.service(group).kind;
        let units_of = |wanted| (kind == wanted).then_some(units);
        let want = WantedUnits {
            octets: units_of(Kind::Octets),
            seconds: units_of(Kind::Seconds),
            events: units_of(Kind::Events),
        };
        let _ = writeln!(self.story, "ccr-e {id} 1 0 debit rg={group} want={}", in_table(kind, units));
        let mut held = self.held(&id, |_| true);
        let stopped = self.account().state == AccountState::Stopped;
        let decided = self.execute(&Command::ChargeEvent(EventRequest {
            session_id: id.as_bytes(),
            key: SessionKey::of(id.as_bytes()),
            account: Some(ACCOUNT),
            action: EventAction::Debit,
            context: self.catalog.context("32274@3gpp.org"),
            services: vec![ServiceRequest { key: key(group), want: Some(Want::Units(want)), ..Default::default() }],
            ..EventRequest::default()
        }));
        let answer = answer(&decided)?;
        let reply = answer.replies.first().ok_or("an event without a reply")?;
        let now = self.model.now;
        if stopped && !self.model.event_is_free(&held, group, now) {
            self.seen.refusals += 1;
            return same("a stopped account's event", reply.verdict, Verdict::CreditLimitReached);
        }
        let refused = reply.verdict == Verdict::CreditLimitReached;
        if refused && self.model.event_moves_others(&held, group, now) {
            self.seen.refusals += 1;
            return Ok(());
        }
        match self.model.event(&mut held, group, units, now) {
            None => {
                self.seen.refusals += 1;
                same("the event's verdict", reply.verdict, Verdict::CreditLimitReached)
            }
            Some(payment) => {
                same("the event's verdict", reply.verdict, Verdict::Success)?;
                self.seen.charges += u64::from(payment.cost > 0);
                same("the event's cost", answer.cost.micros().into(), payment.cost)
            }
        }
    }

    fn talk(&mut self, talk: &Talk) -> Found {
        let known = self.slots.get(&talk.slot).copied().filter(|(no, _)| self.session(&format!("S{no}")).is_some());
        let (no, number) = known.unwrap_or_else(|| {
            self.sessions += 1;
            (self.sessions, 0)
        });
        self.slots.insert(talk.slot, (no, number + 1));
        let id = format!("S{no}");
        let (kind, word) = match (number, talk.ends) {
            (0, _) => (RequestKind::Initial, "ccr-i"),
            (_, true) => (RequestKind::Termination, "ccr-t"),
            (_, false) => (RequestKind::Update, "ccr-u"),
        };
        let (late, moment) = (talk.late, self.model.now - talk.late);
        let mut told = format!("{word} {id} 1 {number}{}", if talk.told { " told" } else { "" });
        if late > 0 {
            let _ = write!(told, " ago={late}");
        }
        if let Some(access) = talk.access {
            let _ = write!(told, " rat={access}");
        }
        let reports: Vec<Report> = talk.lines.iter().map(|line| self.report(&id, line)).collect();
        let mut services = Vec::new();
        for (line, report) in talk.lines.iter().zip(&reports) {
            let kind = self.model.list.service(line.group).kind;
            told += &in_words(kind, report, line.wants);
            services.push(request(kind, report, line.wants));
        }
        let _ = writeln!(self.story, "{told}");
        let groups: Vec<u32> = reports.iter().map(|report| report.group).collect();
        let ends = kind == RequestKind::Termination;
        // Each service gives back its own right before it pays; at the end also those that are not reported of.
        let others = |quota: &Quota| ends && !groups.iter().any(|group| key(*group) == quota.key);
        let mut held = self.held(&id, others);
        let interrogation = || Interrogation {
            session_id: id.as_bytes(),
            key: SessionKey::of(id.as_bytes()),
            account: Some(ACCOUNT),
            kind,
            number,
            context: self.catalog.context("32251@3gpp.org"),
            context_name: "32251@3gpp.org",
            origin_host: "pgw.example",
            origin_realm: "example",
            services: services.clone(),
            client: ClientNeeds { tariff_time_change: talk.told, ..ClientNeeds::default() },
            attributes: talk
                .access
                .map(|access| Box::new(Attributes { access: Some(access), ..Attributes::default() })),
            happened: (late > 0).then(|| Timestamp::from_secs(moment)),
            ..Interrogation::default()
        };
        let own = groups.iter().enumerate().map(|(place, group)| {
            let first = !groups[..place].contains(group);
            self.held(&id, |quota| first && key(*group) == quota.key)
        });
        let own: Vec<Held> = own.collect();
        let granted_to = |group| self.session(&id).and_then(|it| it.quota(key(group))).map_or(0, |quota| quota.granted);
        let granted: BTreeMap<u32, u64> = groups.iter().map(|group| (*group, granted_to(*group))).collect();
        let used_of = |group: u32| -> u64 {
            let of_group = reports.iter().filter(|report| report.group == group);
            let parts = of_group.flat_map(|report| [report.used, report.before, report.after]);
            parts.flatten().map(|(units, _)| units).sum()
        };
        let (first, again) = (interrogation(), interrogation());
        let decided = self.execute(&Command::Interrogate(first));
        let repeated = decide(&self.state, &self.catalog, &Command::Interrogate(again), self.now());
        same("a copy's event", repeated.event.is_some(), false)?;
        let answer = answer(&decided)?;
        same("the verdict", answer.verdict, Verdict::Success)?;
        // First those who have used no more than they were granted, and each of both by its number.
        let mut order: Vec<_> = reports.iter().zip(own).collect();
        order.sort_by_key(|(report, _)| (used_of(report.group) > granted[&report.group], report.group));
        for (report, own) in order {
            held.give_back(&own);
            self.model.report(&mut held, &id, talk.access, moment, report);
        }
        self.compare_charges(&id, decided.event.as_ref(), &answer)?;
        let session = self.model.sessions.entry(id.clone()).or_default();
        session.access = talk.access.or(session.access);
        held.released.clear();
        if ends {
            same("whether the session has ended", self.session(&id).is_some(), false)?;
            self.model.sessions.remove(&id);
            return Ok(());
        }
        // What others hold is raised before and between grants: how much was left for each, only the engine knows.
        let raised = matches!(&decided.event, Some(Event::Interrogated(event)) if !event.reheld.is_empty());
        let mut replies: Vec<&Reply> = answer.replies.iter().collect();
        replies.sort_by_key(|reply| reply.key);
        for reply in replies {
            self.grant(&id, &mut held, reply, (talk.told, raised), moment)?;
        }
        let asked = talk.lines.iter().filter(|line| line.wants).count();
        if answer.replies.len() < asked {
            Err(format!("{asked} asked, {} answered", answer.replies.len()))
        } else {
            Ok(())
        }
    }

    /// What a line of a request reports.
    fn report(&mut self, id: &str, line: &Line) -> Report {
        let granted = self.session(id).and_then(|session| session.quota(key(line.group))).map_or(0, |it| it.granted);
        let mut report = Report { group: line.group, ..Report::default() };
        let Some(using) = line.used else { return report };
        let units = match using {
            Use::OfGrant(percent) => granted * percent / 100,
            Use::Units(units) => units,
        };
        self.seen.overuse += u64::from(granted > 0 && units > granted);
        let up = |units: u64| line.up.map_or(0, |percent| units * percent / 100);
        match line.cut {
            None => report.used = Some((units, up(units))),
            Some(percent) => {
                let before = units * percent / 100;
                report.before = Some((before, up(before)));
                report.after = Some((units - before, up(units - before)));
            }
        }
        report
    }

    /// What the request charged, service by service.
    fn compare_charges(&mut self, id: &str, event: Option<&Event>, answer: &Answer) -> Found {
        let Some(Event::Interrogated(event)) = event else { return Err("a request without an event".into()) };
        let session = &self.model.sessions[id];
        let cost: i128 = session.quotas.values().map(|quota| quota.charged).sum();
        same("the cost of the session", answer.cost.micros().into(), cost)?;
        for step in &event.steps {
            self.seen.charges += u64::from(step.charged > Money::ZERO);
            self.seen.from_allowances += u64::from(step.used > step.rated && !step.debits.is_empty());
            self.seen.by_tariff += u64::from(step.tariff.is_some() && step.used > 0);
        }
        Ok(())
    }

    /// What is granted must be just what can be paid, and held.
    fn grant(&mut self, id: &str, held: &mut Held, reply: &Reply, (told, raised): (bool, bool), moment: u64) -> Found {
        let group = reply.key.rating_group.ok_or("a reply to nobody")?;
        let service = self.model.list.service(group).clone();
        let list = &self.model.list;
        let session = &self.model.sessions[id];
        let tariff = list.tariff_at(&service, session.access, moment);
        let change = list.change_after(&service, session.access, moment, service.validity);
        let mixes = service.continuous || told;
        let later = change.filter(|_| mixes).map(|(_, tariff)| tariff);
        let keep = self.model.keep(&service, moment);
        let mut sides: Vec<(Option<&str>, bool)> = Vec::new();
        for tariff in std::iter::once(tariff).chain(later) {
            sides.push((tariff, false));
            sides.extend(service.tariff(tariff).up.map(|_| (tariff, true)));
        }
        let quote = self.model.quote_of_grant(&service, &session.quotas[&group], &sides, keep, moment, held);
        let mut expected = self.model.pay(&service, &quote, held, service.slice, false);
        let stopped = self.account().state == AccountState::Stopped && !quote.is_capped_to_nothing();
        let may_move = quote.may_move || raised;
        if expected.units < service.minimum_grant || stopped && !quote.is_free() {
            expected = Payment::default();
        }
        let granted = reply.grant.map_or(0, |grant| grant.amount);
        let told_change = change.filter(|_| told && !service.continuous);
        let terms = Terms {
            tariff: tariff.map(String::from),
            change: told_change.map(|(at, tariff)| (at, tariff.map(String::from))),
            keep,
        };
        let holds = self.hold(id, held, group, (granted > 0).then_some(terms));
        self.seen.grants += u64::from(granted > 0);
        self.seen.cut_grants += u64::from(granted > 0 && granted < service.slice);
        self.seen.refusals += u64::from(granted == 0);
        if granted > 0 {
            let shown = reply.extras.as_ref().and_then(|extras| extras.tariff_change).map(Timestamp::secs);
            same(&format!("the change of {} that is told", service.name), shown, told_change.map(|(at, _)| at))?;
        }
        if may_move {
            // Not more than could be paid if nothing moved.
            return if granted <= expected.units { Ok(()) } else { same("a cautious grant", granted, expected.units) };
        }
        let is_units = |id: &Id| self.model.buckets.iter().any(|bucket| bucket.id == *id && bucket.units.is_some());
        let units_of = |draws: &BTreeMap<Id, i128>| -> i128 {
            draws.iter().filter(|(id, _)| is_units(id)).map(|(_, amount)| amount).sum()
        };
        if sides.len() > 1 && granted < expected.units {
            // Each price may begin a block, and more: what that comes to at worst is for the engine to say. One unit is
            // never shared.
            return if granted > 0 || service.minimum_grant > 1 { Ok(()) } else { same("a shared grant", granted, 1) };
        }
        let verdict = if expected.units > 0 { Verdict::Success } else { Verdict::CreditLimitReached };
        same(&format!("the verdict on {}", service.name), reply.verdict, verdict)?;
        same(&format!("the grant of {}", service.name), granted, expected.units)?;
        if sides.len() == 1 && service.tariff(tariff).counter.is_none() {
            same(&format!("what is held for {}", service.name), &holds, &expected.draws)?;
        } else if units_of(&holds) == units_of(&expected.draws)
            && holds.values().sum::<i128>() < expected.draws.values().sum::<i128>()
        {
            // Where money surely pays for fewer units, an allowance behind it may pay for more.
            return Err(format!("{holds:?} are held for {}, and {expected:?} needed", service.name));
        }
        Ok(())
    }

    /// What the account holds for a session from now on.
    fn hold(&mut self, id: &str, held: &mut Held, group: u32, terms: Option<Terms>) -> BTreeMap<Id, i128> {
        let holds = self.session(id).and_then(|session| session.quota(key(group))).map(|quota| quota.holds.clone());
        let mut of_buckets = BTreeMap::new();
        for draw in holds.unwrap_or_default() {
            let (id, amount) = (draw.bucket.0, i128::from(draw.amount));
            let counters = self.account().profile.iter().flat_map(|profile| &profile.counters);
            match counters.into_iter().find(|counter| counter.id == draw.bucket) {
                Some(counter) => {
                    let place = (counter.name.to_string(), counter.starts.secs());
                    *held.counters.entry(place).or_default() += amount;
                }
                None => {
                    *held.others.entry(id).or_default() += amount;
                    of_buckets.insert(id, amount);
                }
            }
        }
        let session = self.model.sessions.get_mut(id).unwrap();
        session.quotas.get_mut(&group).unwrap().granted = terms;
        of_buckets
    }

    /// All that the engine keeps is what the oracle has counted.
    fn compare(&mut self) -> Found {
        let now = self.model.now;
        let account = self.account();
        for bucket in &self.model.buckets {
            let gone = bucket.amount == 0 || bucket.expires.is_some_and(|expires| now >= expires);
            match account.buckets.iter().find(|known| known.id.0 == bucket.id) {
                Some(known) => same(&format!("what {} has", known.name), known.amount.into(), bucket.amount)?,
                None if gone && bucket.id != MAIN && (bucket.units.is_some() || bucket.amount == 0) => {}
                None => return Err(format!("{bucket:?} is gone")),
            }
        }
        // An empty bucket that is gone pays for nothing, where one that is there pays for what costs nothing.
        let here: Vec<Id> = account.buckets.iter().map(|bucket| bucket.id.0).collect();
        self.model.buckets.retain(|bucket| here.contains(&bucket.id));
        let account = self.account();
        let money = self.model.buckets.iter().filter(|bucket| bucket.units.is_none());
        same("the balance", account.balance().micros().into(), money.map(|bucket| bucket.amount).sum::<i128>())?;
        same("the number of sessions", self.state.sessions().count(), self.model.sessions.len())?;
        for (id, session) in &self.model.sessions {
            let known = self.session(id).ok_or(format!("{id} is gone"))?;
            for (group, quota) in &session.quotas {
                let known = known.quota(key(*group)).ok_or(format!("{id} has no quota of {group}"))?;
                let what = |what: &str| format!("{what} in {id} rg={group}");
                same(&what("money"), known.charged.micros().into(), quota.charged)?;
                same(&what("units from allowances"), known.from_allowance, quota.from_allowance)?;
                same(&what("whether there is a grant"), known.granted > 0, quota.granted.is_some())?;
                let mut rated: BTreeMap<String, u64> =
                    known.rated_by.iter().map(|it| (it.tariff.to_string(), it.units)).collect();
                rated.insert(String::new(), known.rated);
                rated.retain(|_, units| *units > 0);
                let place = |(tariff, up): &(String, bool)| format!("{tariff}{}", if *up { "/up" } else { "" });
                let own = quota.rated.iter().filter(|(_, units)| **units > 0).map(|(key, units)| (place(key), *units));
                same(&what("units charged by tariff"), rated, own.collect())?;
            }
        }
        let profile = account.profile.as_deref();
        let mut counted = 0;
        for counter in profile.into_iter().flat_map(|profile| &profile.counters) {
            let known = self.model.counters.get(&(counter.name.to_string(), counter.starts.secs())).unwrap_or(&0);
            same(&format!("what {} counts", counter.name), i128::from(counter.used), *known)?;
            counted += u64::from(counter.used > 0);
        }
        self.seen.counters += counted;
        self.explain()
    }

    /// Every charge is explained to the micro-unit by the price list and what went with it, and an explanation of another
    /// amount is not believed.
    fn explain(&mut self) -> Found {
        let sessions = self.state.sessions().filter(|session| session.account == ACCOUNT);
        let open = sessions.flat_map(|session| session.quotas.iter().map(move |quota| (session, quota)));
        let open = open.filter(|(_, quota)| quota.is_untold());
        let open: Vec<_> = open.map(|(session, quota)| HistoryLine::usage(session, quota, self.now())).collect();
        let settled: Vec<_> = self.account().history.iter().collect();
        let mut explained = 0;
        for line in settled.iter().rev().take(EXPLAINED_LINES).chain(&open) {
            let currency = self.catalog.currency();
            let explanation = charging::explain(line, currency, &|_| Some(&self.catalog));
            let told = || explanation.text(currency, &|_| None, &|member| format!("{member:?}")).join("\n");
            if !explanation.is_exact() {
                return Err(format!("not explained: {line:?}\n{}", told()));
            }
            explained += u64::from(explanation.parts.iter().map(|part| part.lines.len()).sum::<usize>() > 1);
            let more = HistoryLine { amount: line.amount.saturating_sub(Money::from_micros(1)), ..line.clone() };
            if line.kind == HistoryKind::Usage
                && charging::explain(&more, currency, &|_| Some(&self.catalog)).is_exact()
            {
                return Err(format!("a micro-unit more is believed: {line:?}\n{}", told()));
            }
        }
        self.seen.explained += explained;
        Ok(())
    }
}

fn answer(decided: &Decided) -> Result<std::sync::Arc<Answer>, String> {
    match &decided.outcome {
        Outcome::Answer(answer) => Ok(answer.clone()),
        other => Err(format!("{other:?} in place of an answer")),
    }
}

fn request(kind: Kind, report: &Report, wants: bool) -> ServiceRequest {
    let split = SplitUsage {
        before: report.before.map(|units| used(kind, units)),
        after: report.after.map(|units| used(kind, units)),
        either: None,
    };
    ServiceRequest {
        key: key(report.group),
        used: report.used.map(|units| used(kind, units)),
        split: (report.before.is_some() || report.after.is_some()).then(|| Box::new(split)),
        want: wants.then_some(Want::Any),
        ..ServiceRequest::default()
    }
}

fn in_table(kind: Kind, units: u64) -> String {
    match kind {
        Kind::Octets => format!("{units}B"),
        Kind::Seconds => format!("{units}s"),
        Kind::Events => units.to_string(),
    }
}

fn in_words(kind: Kind, report: &Report, wants: bool) -> String {
    let mut out = format!(" rg={}", report.group);
    for (word, units) in [("used", report.used), ("before", report.before), ("after", report.after)] {
        if let Some((units, up)) = units {
            let _ = write!(out, " {word}={}", in_table(kind, units));
            if up > 0 {
                let _ = write!(out, " up={up}B");
            }
        }
    }
    if wants {
        out += " want";
    }
    out
}
