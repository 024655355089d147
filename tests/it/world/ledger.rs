//! What the clients have asked for and what they were told, kept outside of the node: the oracle.

use bytes::Bytes;
use tollgate::{
    diameter::{
        CreditControlAnswer, CreditControlRequest, Frame, Identity, ResultCode,
        credit_control::{MultipleServices, RequestType, ServiceUnits, SubscriptionId, UsedUnits},
    },
    units::Units,
};

use super::prices::{GROUPS, cost};

pub(super) const ACCOUNTS: u64 = 3;
/// Subscribers: number `n` pays from account `n % ACCOUNTS + 1`, so that accounts are shared.
pub(super) const SUBSCRIBERS: u64 = 5;
pub(super) const OPENING: i64 = 120_000;
/// Answers of a running session that the node remembers at least.
const REMEMBERED: u32 = 8;

/// A credit-control request, and the first answer to it that left the node.
pub(super) struct Ask {
    /// `None` for a one-time event.
    pub(super) session: Option<usize>,
    pub(super) kind: RequestType,
    number: u32,
    used: [u64; 2],
    event_octets: u64,
    subscriber: u64,
    pub(super) answer: Option<Vec<u8>>,
    /// Its client has the answer.
    pub(super) arrived: bool,
}

pub(super) struct Session {
    pub(super) subscriber: u64,
    last_number: u32,
    /// Reported in requests whose success was told.
    used: [u64; 2],
    /// Reported in requests that were refused after the session had expired: they may have been processed before.
    perhaps: [u64; 2],
    /// Granted by the last answer.
    pub(super) held: [u64; 2],
    /// The request under way.
    pub(super) open: Option<usize>,
    /// Its client has sent the last request.
    pub(super) ends: bool,
    /// The client has been told that it is over.
    pub(super) over: bool,
    /// Supervision has ended it, or may have.
    pub(super) expired: bool,
}

pub(super) struct TopUp {
    pub(super) account: u64,
    pub(super) micros: i64,
    pub(super) answer: Option<String>,
    pub(super) arrived: bool,
}

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) asks: Vec<Ask>,
    pub(super) sessions: Vec<Session>,
    pub(super) top_ups: Vec<TopUp>,
    pub(super) answers_checked: u64,
}

impl Ledger {
    pub(super) fn begin(&mut self, subscriber: u64) -> usize {
        let zero = [0; 2];
        let session = self.sessions.len();
        self.sessions.push(Session {
            subscriber,
            last_number: 0,
            used: zero,
            perhaps: zero,
            held: zero,
            open: None,
            ends: false,
            over: false,
            expired: false,
        });
        self.ask(Some(session), subscriber, RequestType::Initial, zero, 0)
    }

    pub(super) fn go_on(&mut self, session: usize, ends: bool, used: [u64; 2]) -> usize {
        self.sessions[session].last_number += 1;
        self.sessions[session].ends |= ends;
        let kind = if ends { RequestType::Termination } else { RequestType::Update };
        self.ask(Some(session), self.sessions[session].subscriber, kind, used, 0)
    }

    pub(super) fn event(&mut self, subscriber: u64, octets: u64) -> usize {
        self.ask(None, subscriber, RequestType::Event, [0; 2], octets)
    }

    fn ask(
        &mut self,
        session: Option<usize>,
        subscriber: u64,
        kind: RequestType,
        used: [u64; 2],
        event_octets: u64,
    ) -> usize {
        let ask = self.asks.len();
        let number = session.map_or(0, |session| self.sessions[session].last_number);
        if let Some(session) = session {
            self.sessions[session].open = Some(ask);
        }
        let (answer, arrived) = (None, false);
        self.asks.push(Ask { session, kind, number, used, event_octets, subscriber, answer, arrived });
        ask
    }

    /// The request as it goes over a connection.
    pub(super) fn ccr(&self, ask: usize, hop_by_hop: u32, retransmitted: bool) -> Bytes {
        let Ask { session, kind, number, used, event_octets, subscriber, .. } = &self.asks[ask];
        let origin = Identity { host: format!("gw{}.example", subscriber % 2), realm: "example".into() };
        let id = match session {
            Some(session) => format!("{};{session}", origin.host),
            None => format!("{};event;{ask}", origin.host),
        };
        let msisdn = msisdn(*subscriber);
        let mut ccr = CreditControlRequest::new(id.as_bytes(), &origin, "example", *kind);
        (ccr.hop_by_hop, ccr.end_to_end, ccr.retransmitted) = (hop_by_hop, ask as u32 + 1, retransmitted);
        ccr.request_number = *number;
        ccr.subscription_ids = vec![SubscriptionId { kind: 0, data: &msisdn }];
        let octets = |amount| ServiceUnits::of(Units::octets(amount));
        let wanted = match kind {
            RequestType::Termination => None,
            RequestType::Event => Some(octets(*event_octets)),
            RequestType::Initial | RequestType::Update => Some(ServiceUnits::default()),
        };
        let reports = matches!(kind, RequestType::Update | RequestType::Termination);
        let service = |(group, used): (&u32, &u64)| MultipleServices {
            rating_group: Some(*group),
            requested: wanted,
            used: reports.then(|| UsedUnits { units: octets(*used), ..UsedUnits::default() }),
            ..MultipleServices::default()
        };
        let groups = if *kind == RequestType::Event { 1 } else { GROUPS.len() };
        ccr.services = GROUPS.iter().zip(used).take(groups).map(service).collect();
        let mut bytes = Vec::new();
        ccr.encode(&mut bytes);
        bytes.into()
    }

    /// An answer leaves the node. What it must be follows from what has left before. Returns whether anything was decided.
    pub(super) fn answered(&mut self, ask: usize, octets: &[u8]) -> bool {
        self.answers_checked += 1;
        let frame = Frame::from_bytes(Bytes::copy_from_slice(octets)).unwrap();
        let received = CreditControlAnswer::parse(&frame).unwrap();
        let told = without_hop_by_hop(octets);
        let known = &self.asks[ask];
        let result = received.answer.result_code;
        if result == ResultCode::TOO_BUSY {
            return false;
        }
        match &known.answer {
            Some(answer) if *answer == told => {}
            Some(_) => {
                let may_be_gone = known.session.is_some_and(|session| {
                    let session = &self.sessions[session];
                    session.expired || session.ends || session.last_number >= known.number + REMEMBERED
                });
                let final_one = known.kind == RequestType::Termination;
                let (kind, number) = (known.kind, known.number);
                assert!(
                    may_be_gone && is_gone(result) && !final_one,
                    "request {ask} ({kind:?} {number}) gets another answer: {received:?}"
                );
            }
            None => self.first_answer(ask, &received.answer, told),
        }
        true
    }

    fn first_answer(&mut self, ask: usize, answer: &CreditControlAnswer, told: Vec<u8>) {
        let result = answer.result_code;
        let asked = &mut self.asks[ask];
        asked.answer = Some(told);
        let Some(session) = asked.session else {
            let granted = granted(answer, GROUPS[0]);
            assert!(granted == 0 || granted == asked.event_octets, "event {ask} was granted {granted}");
            asked.event_octets = granted;
            return self.within_funds(account_of(self.asks[ask].subscriber));
        };
        let (used, kind, session) = (asked.used, asked.kind, &mut self.sessions[session]);
        session.open = session.open.filter(|open| *open != ask);
        if result == ResultCode::SUCCESS {
            session.used = plus(session.used, used);
            session.held = GROUPS.map(|group| granted(answer, group));
            session.over |= kind == RequestType::Termination;
        } else {
            assert!(
                session.expired && is_gone(result),
                "request {ask} ({kind:?}) of a session that runs gets {result:?}"
            );
            session.perhaps = plus(session.perhaps, used);
            (session.held, session.over, session.ends) = ([0; 2], true, true);
        }
        self.within_funds(account_of(self.asks[ask].subscriber));
    }

    /// What was used and what may be used under grants never costs more than there ever was.
    fn within_funds(&self, account: u64) {
        let session = |session: &Session| match session.expired || session.open.is_some() {
            true => cost(session.used),
            false => cost(plus(session.used, session.held)),
        };
        let committed = self.sessions_of(account).map(session).sum::<i64>() + self.events_of(account);
        let funds = OPENING + self.top_ups.iter().filter(|it| it.account == account).map(|it| it.micros).sum::<i64>();
        assert!(committed <= funds, "account {account}: {committed} promised of {funds}");
    }

    /// What an account must have been charged when all is over, at least and at most.
    pub(super) fn charged(&self, account: u64) -> (i64, i64) {
        let events = self.events_of(account);
        let least: i64 = self.sessions_of(account).map(|it| cost(it.used)).sum();
        let most: i64 = self.sessions_of(account).map(|it| cost(plus(it.used, it.perhaps))).sum();
        (events + least, events + most)
    }

    pub(super) fn credited(&self, account: u64) -> i64 {
        OPENING
            + self
                .top_ups
                .iter()
                .filter(|it| it.account == account && it.answer.is_some())
                .map(|it| it.micros)
                .sum::<i64>()
    }

    /// An answer to a top-up leaves the node.
    pub(super) fn credited_with(&mut self, top_up: usize, outcome: String) {
        self.answers_checked += 1;
        let first = self.top_ups[top_up].answer.get_or_insert_with(|| outcome.clone());
        assert_eq!(*first, outcome, "top-up {top_up} gets another answer");
    }

    /// Requests whose answer must come again, should they.
    pub(super) fn repeatable(&self) -> Vec<usize> {
        let repeatable = |ask: &Ask| {
            let Some(session) = ask.session.map(|session| &self.sessions[session]) else { return true };
            ask.kind == RequestType::Termination
                || !session.ends && !session.expired && session.open.is_none() && ask.number == session.last_number
        };
        let answered = self.asks.iter().enumerate().filter(|(_, ask)| ask.answer.is_some() && repeatable(ask));
        answered.map(|(number, _)| number).collect()
    }

    fn sessions_of(&self, account: u64) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(move |session| account_of(session.subscriber) == account)
    }

    fn events_of(&self, account: u64) -> i64 {
        let charged =
            |ask: &&Ask| ask.session.is_none() && ask.answer.is_some() && account_of(ask.subscriber) == account;
        self.asks.iter().filter(charged).map(|ask| cost([ask.event_octets, 0])).sum()
    }
}

pub(super) fn account_of(subscriber: u64) -> u64 {
    subscriber % ACCOUNTS + 1
}

pub(super) fn msisdn(subscriber: u64) -> String {
    (8_613_900_000_000 + subscriber).to_string()
}

/// The Session-Id under which the node knows a session.
pub(super) fn session_id(number: usize, session: &Session) -> String {
    format!("gw{}.example;{number}", session.subscriber % 2)
}

/// What a copy is told when its session has ended.
fn is_gone(result: ResultCode) -> bool {
    matches!(result, ResultCode::UNKNOWN_SESSION_ID | ResultCode::UNABLE_TO_COMPLY)
}

/// An answer, whichever connection it takes.
fn without_hop_by_hop(octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    octets[12..16].fill(0);
    octets
}

fn granted(answer: &CreditControlAnswer, group: u32) -> u64 {
    let service = answer.services.iter().find(|service| service.rating_group == Some(group));
    service.and_then(|service| service.granted.as_ref()?.units.total_octets).unwrap_or(0)
}

fn plus(one: [u64; 2], other: [u64; 2]) -> [u64; 2] {
    [one[0] + other[0], one[1] + other[1]]
}
