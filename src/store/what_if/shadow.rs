//! One account charged once more, by the real core, with nobody watching.
//!
//! What a session used is asked for when it opened and reported when it ended; where a tariff changes or a day ends in
//! between, in parts that are as long as the time between. What was not granted is asked for again at the end: money may have
//! come in.

mod request;
mod turns;

use std::{collections::BTreeMap, sync::Arc};

use self::{
    request::{Line, allowance_of, exact, lines, used_of, want_of, why},
    turns::{Phase, Turn, turns},
};
use super::{
    opening::Opening,
    report::{Item, Tally},
    usage::{Act, Given, GivenKind, Usage, What},
};
use crate::{
    charging::{
        Command, CreditCommand, CreditKind, Decided, Event, EventAction, EventRequest, HistoryKind, Interrogation,
        MemberNo, Outcome, Reply, RequestKind, Retention, ServiceRequest, State, Step, Verdict, begins_use, decide_by,
        give_allowance, version_for,
    },
    ids::{AccountId, SessionKey},
    rating::Catalogs,
    time::Timestamp,
    units::Money,
};

/// Things that may be due for an account at once: see `Store::catch_up`.
const DUE_AT_ONCE: usize = 1_000;
/// How often a session asks for what it was not granted, as long as it is granted something: what is reserved for may turn
/// out to cost less.
const ROUNDS_MAX: usize = 64;

/// Charges what an account did by these catalogs.
pub(super) fn charge(opening: &Opening, acts: &[Act], catalogs: &Catalogs, until: Timestamp, tally: &mut Tally) {
    let account = opening.account.id;
    let retention = Retention {
        history_entries: 0,
        account_sessions_max: usize::MAX,
        session_quotas_max: usize::MAX,
        ..Retention::default()
    };
    let mut state = State::new(retention);
    state.restore_account(&opening.account);
    let mut shadow = Shadow { state, catalogs, account, tally };
    let mut running: BTreeMap<usize, Running<'_>> = BTreeMap::new();
    for Turn { at, act: index, what } in turns(acts, catalogs) {
        let Some(act) = acts.get(index) else { continue };
        match (&act.what, what) {
            (What::Session(usage), Phase::Begin) => {
                running.insert(index, shadow.open(usage, index, at));
            }
            (What::Session(_), Phase::Part(share)) => {
                if let Some(session) = running.get_mut(&index) {
                    shadow.update(session, share, at);
                }
            }
            (What::Session(_), Phase::End) => {
                if let Some(session) = running.remove(&index) {
                    shadow.close(session, at);
                }
            }
            (What::Event(usage), _) => shadow.event(usage, EventAction::Debit, at),
            (What::Refund(usage), _) => shadow.event(usage, EventAction::Refund, at),
            (What::Given(given), _) if opening.brings_about(given, at) => {}
            (What::Given(given), _) => shadow.give(given, index, at),
        }
    }
    shadow.catch_up(false, until);
}

/// A session that is done again.
struct Running<'u> {
    usage: &'u Usage,
    id: String,
    member: MemberNo,
    number: u32,
    lines: Vec<Line<'u>>,
    /// It is there: not refused as a whole.
    open: bool,
}

struct Shadow<'a> {
    state: State,
    catalogs: &'a Catalogs,
    account: AccountId,
    tally: &'a mut Tally,
}

impl Shadow<'_> {
    fn open<'u>(&mut self, usage: &'u Usage, index: usize, at: Timestamp) -> Running<'u> {
        let catalogs = self.catalogs;
        let catalog = &catalogs.at(at).catalog;
        let mut session = Running {
            usage,
            // Session-Ids may come again after a while; these do not.
            id: format!("session {index}"),
            member: self.member(usage),
            number: 0,
            lines: lines(catalog, usage),
            open: true,
        };
        if session.lines.is_empty() {
            session.open = false;
            return session;
        }
        self.ask(&mut session, RequestKind::Initial, |line| (0, line.left), at);
        session
    }

    /// Reports what has been used of a session by now, and asks for the rest.
    fn update(&mut self, session: &mut Running<'_>, (part, whole): (u64, u64), at: Timestamp) {
        let so_far = |line: &Line<'_>| {
            let share = u128::from(line.used.used) * u128::from(part) / u128::from(whole.max(1));
            let reported = line.used.used - line.left;
            u64::try_from(share).unwrap_or(u64::MAX).saturating_sub(reported).min(line.granted)
        };
        self.ask(session, RequestKind::Update, |line| (so_far(line), line.left - so_far(line)), at);
    }

    fn close(&mut self, mut session: Running<'_>, at: Timestamp) {
        let all = |line: &Line<'_>| line.granted.min(line.left);
        let is_short = |line: &Line<'_>| line.unrated.is_none() && line.granted < line.left;
        for _ in 0..ROUNDS_MAX {
            let before = session.left();
            if !session.lines.iter().any(is_short) {
                break;
            }
            self.ask(&mut session, RequestKind::Update, |line| (all(line), line.left - all(line)), at);
            // Nothing more was used, and nothing more was granted.
            if session.left() == before && session.lines.iter().all(|line| line.granted == 0) {
                break;
            }
        }
        self.ask(&mut session, RequestKind::Termination, |line| (all(line), 0), at);
        for Line { used, service, left, unrated, .. } in session.lines {
            if let Some(why) = unrated {
                self.tally.unrated(why, used.charged);
                continue;
            }
            if left < used.used {
                self.tally.of(Item::Service(Arc::clone(&service))).charges += 1;
            }
            if left > 0 {
                self.tally.refuse(service, left, used.charged);
            }
        }
    }

    /// A request of a session. `amounts` = what each service reports and asks for.
    fn ask(
        &mut self,
        session: &mut Running<'_>,
        kind: RequestKind,
        amounts: impl Fn(&Line<'_>) -> (u64, u64),
        at: Timestamp,
    ) {
        if !session.open {
            return;
        }
        let mut services = Vec::with_capacity(session.lines.len());
        for line in &mut session.lines {
            let (used, want) = if line.unrated.is_some() { (0, 0) } else { amounts(line) };
            services.push(ServiceRequest {
                used: (used > 0).then(|| used_of(line.used, line.left, used)),
                want: (want > 0).then(|| want_of(line.used.measure, want)),
                ..line.request.clone()
            });
            line.left -= used;
            line.granted -= used.min(line.granted);
        }
        let catalogs = self.catalogs;
        let (usage, id) = (session.usage, session.id.clone());
        let key = SessionKey::of_sub_session(id.as_bytes(), usage.sub_session);
        let catalog = &version_for(&self.state, catalogs, key, kind, at).catalog;
        let command = Command::Interrogate(Interrogation {
            session_id: id.as_bytes(),
            sub_session: usage.sub_session,
            key,
            account: Some(self.account),
            kind,
            number: session.number,
            context: catalog.context(&usage.context),
            context_name: &usage.context,
            services,
            client: exact(),
            attributes: usage.attributes.clone().filter(|_| kind == RequestKind::Initial),
            member: session.member,
            ..Interrogation::default()
        });
        session.number += 1;
        let Outcome::Answer(answer) = self.execute(&command, at).outcome else { return };
        match answer.verdict {
            Verdict::Success => session.take(&answer.replies),
            verdict => {
                session.open = false;
                if kind == RequestKind::Initial && verdict.is_unrated() {
                    let why = why(usage, None, verdict);
                    session.lines.iter_mut().for_each(|line| line.unrated = Some(why.clone()));
                }
            }
        }
    }

    fn event(&mut self, usage: &Usage, action: EventAction, at: Timestamp) {
        let catalogs = self.catalogs;
        let lines = lines(&catalogs.at(at).catalog, usage);
        if lines.is_empty() {
            return;
        }
        let ask = |line: &Line<'_>| ServiceRequest {
            want: Some(want_of(line.used.measure, line.left)),
            ..line.request.clone()
        };
        let command = Command::ChargeEvent(EventRequest {
            session_id: usage.session_id.as_bytes(),
            sub_session: usage.sub_session,
            key: SessionKey::of_sub_session(usage.session_id.as_bytes(), usage.sub_session),
            number: usage.number,
            account: Some(self.account),
            action,
            context: catalogs.at(at).catalog.context(&usage.context),
            context_name: &usage.context,
            services: lines.iter().map(ask).collect(),
            client: exact(),
            attributes: usage.attributes.clone(),
            unlinked_refunds: true,
            member: self.member(usage),
            ..EventRequest::default()
        });
        let Outcome::Answer(answer) = self.execute(&command, at).outcome else { return };
        let is_debit = action == EventAction::Debit;
        for line in lines {
            let reply = answer.replies.iter().find(|reply| reply.key == line.request.key);
            let verdict = match answer.verdict {
                Verdict::Success => reply.map_or(Verdict::Success, |reply| reply.verdict),
                verdict => verdict,
            };
            match verdict {
                Verdict::Success if is_debit => self.tally.of(Item::Service(line.service)).charges += 1,
                Verdict::Success => {}
                verdict if verdict.is_unrated() => {
                    self.tally.unrated(why(usage, Some(&line), verdict), line.used.charged)
                }
                _ if is_debit => self.tally.refuse(line.service, line.left, line.used.charged),
                _ => {}
            }
        }
    }

    /// Money or units come in, or go otherwise than by usage.
    fn give(&mut self, given: &Given, index: usize, at: Timestamp) {
        let money = Money::from_micros(given.amount);
        let request_id = format!("act {index}");
        if let Some(unit) = given.unit {
            self.catch_up(false, at);
            let allowance = allowance_of(&self.catalogs.at(at).catalog, given, unit);
            if let Some(event) = give_allowance(&self.state, self.account, &allowance, &request_id, at) {
                self.make_true(&event);
            }
            return self.catch_up(false, at);
        }
        let kind = match given.kind {
            GivenKind::TopUp => CreditKind::TopUp(money),
            GivenKind::Voucher => CreditKind::Voucher { amount: money, batch: &given.name },
            GivenKind::Fee => {
                let sums = self.tally.of(Item::Fees(Arc::clone(&given.name)));
                (sums.charges, sums.earned) = (sums.charges + 1, sums.earned - i128::from(given.amount));
                CreditKind::Adjustment(money, &given.name)
            }
            _ => CreditKind::Adjustment(money, "as recorded"),
        };
        let credit = CreditCommand { account: self.account, kind, currency: None, request_id: &request_id };
        self.execute(&Command::Credit(credit), at);
    }

    /// Decides a command as the store does, and makes it true here.
    fn execute(&mut self, command: &Command<'_>, at: Timestamp) -> Decided {
        self.catch_up(false, at);
        let waits = self.state.account(self.account).filter(|account| account.waits_for_use());
        let catalogs = self.catalogs;
        if waits.is_some_and(|account| begins_use(&self.state, &catalogs.at(at).catalog, account, command)) {
            self.catch_up(true, at);
        }
        let decided = self.decide(command, at);
        self.catch_up(false, at);
        decided
    }

    fn catch_up(&mut self, use_begins: bool, at: Timestamp) {
        for _ in 0..DUE_AT_ONCE {
            if !self.state.must_catch_up(self.account, use_begins, at) {
                return;
            }
            let command = Command::CatchUp { account: self.account, use_begins };
            if self.decide(&command, at).event.is_none() {
                return;
            }
        }
    }

    fn decide(&mut self, command: &Command<'_>, at: Timestamp) -> Decided {
        let decided = decide_by(&self.state, self.catalogs, command, at);
        if let Some(event) = &decided.event {
            self.make_true(event);
        }
        decided
    }

    fn make_true(&mut self, event: &Event) {
        self.state.apply(event);
        self.state.take_ended();
        self.count(event);
    }

    fn count(&mut self, event: &Event) {
        let (steps, sign): (&[Step], i128) = match event {
            Event::Interrogated(event) => (&event.steps, 1),
            Event::EventCharged(event) if event.action == EventAction::Refund => (&event.steps, -1),
            Event::EventCharged(event) => (&event.steps, 1),
            Event::AccountChanged(event) => {
                for entry in event.entries.iter().filter(|entry| entry.kind == HistoryKind::Fee) {
                    let sums = self.tally.of(Item::Fees(Arc::clone(&entry.name)));
                    (sums.charges, sums.earned) = (sums.charges + 1, sums.earned - i128::from(entry.amount));
                }
                return;
            }
            _ => return,
        };
        for step in steps.iter().filter(|step| step.used > 0) {
            let sums = self.tally.of(Item::Service(Arc::clone(&step.service)));
            sums.earned += sign * i128::from(step.charged.micros());
            if sign > 0 {
                sums.units = sums.units.saturating_add(step.used);
            }
        }
    }

    fn member(&self, usage: &Usage) -> MemberNo {
        let profile = self.state.account(self.account).and_then(|account| account.profile.as_deref());
        let member = profile.zip(usage.subscriber.as_deref()).and_then(|(profile, id)| profile.member_of(id));
        member.map_or(MemberNo::SHARED, |member| member.no)
    }
}

impl Running<'_> {
    /// All that was not reported yet, of whatever unit.
    fn left(&self) -> u64 {
        self.lines.iter().fold(0, |sum, line| line.left.saturating_add(sum))
    }

    fn take(&mut self, replies: &[Reply]) {
        for line in &mut self.lines {
            let Some(reply) = replies.iter().find(|reply| reply.key == line.request.key) else { continue };
            line.granted = match reply.verdict {
                Verdict::Success => reply.grant.map_or(0, |grant| grant.amount).min(line.left),
                _ => 0,
            };
            if reply.verdict.is_unrated() && line.left == line.used.used {
                line.unrated = Some(why(self.usage, Some(line), reply.verdict));
            }
        }
    }
}
