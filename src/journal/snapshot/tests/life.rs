//! A partition's random life: a few accounts with little money, sessions that overlap, credits, events, operators.

use std::sync::Arc;

use proptest::prelude::*;

use crate::{
    charging::{
        AccountSpec, AccountState, Command, CreditCommand, CreditKind, Decided, Event, EventAction, EventRequest,
        Interrogation, RequestKind, ServiceRequest, State, Subscriber, SubscriberSpec, Used, Want, decide,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    rating::Catalog,
    time::Timestamp,
    units::{Money, Units},
};

const CATALOG: &str = r#"
currency = "CNY"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
default_service = "internet"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.01"
per = "1 MB"
block = "100 kB"
slice = "10 MB"
validity = "1 h"
[[service]]
name = "music"
context = "data"
rating_group = 2
free = true
slice = "100 MB"
[[service]]
name = "tv"
context = "data"
rating_group = 3
price = "0.02"
per = "1 MB"
slice = "20 MB"
redirect_to = "http://topup.example/"
quota_holding = "10 min"
[[context]]
name = "sms"
service_context_id = "32274@3gpp.org"
default_service = "sms"
[[service]]
name = "sms"
context = "sms"
rating_group = 7
price = "0.10"
per = "1 event"
[[allowance]]
name = "small"
amount = "15 MB"
services = ["internet"]
validity = "1 h"
priority = 10
[[allowance]]
name = "any"
amount = "7 MB"
priority = 5
[[threshold]]
name = "low"
money = "0.20"
[[threshold]]
name = "most-used"
allowance_percent = 80
"#;

/// The catalog of all that happens here.
pub(super) fn catalog() -> Catalog {
    Catalog::from_toml(CATALOG).unwrap()
}

/// One thing that someone wants, in small numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    what: u8,
    account: u64,
    session: u8,
    group: u32,
    amount: u64,
    number: u32,
    pause_ms: u64,
}

pub(super) fn wishes() -> impl Strategy<Value = Wish> {
    let pause = prop_oneof![8 => 0..5_000u64, 1 => 0..4_000_000u64, 1 => 0..90_000_000u64];
    (0..48u8, 1..5u64, 0..8u8, 1..5u32, 0..20_000_000u64, 0..4u32, pause).prop_map(
        |(what, account, session, group, amount, number, pause_ms)| Wish {
            what,
            account,
            session,
            group,
            amount,
            number,
            pause_ms,
        },
    )
}

/// Turns wishes into commands, and remembers the time and the next request numbers as clients do.
pub(super) struct Life {
    catalog: Catalog,
    pub(super) now: Timestamp,
    requests: u32,
}

impl Life {
    pub(super) fn new() -> Self {
        Self { catalog: catalog(), now: Timestamp::from_secs(1_790_000_000), requests: 0 }
    }

    /// What is decided on a wish.
    pub(super) fn decide(&self, state: &State, wish: Wish) -> Decided {
        // The last two are sub-sessions of the first two.
        let session_id = format!("gw.example;{};{}", wish.account, wish.session % 6);
        let sub_session = u64::from(wish.session / 6);
        let request_id = format!("r{}-{}", wish.number, wish.session);
        let key = SessionKey::of_sub_session(session_id.as_bytes(), sub_session);
        let account = AccountId(wish.account);
        // Mostly the next number; now and then one that was used before, or a jump.
        let number = if wish.number == 0 { self.requests / 2 } else { self.requests };
        let quota = QuotaKey {
            rating_group: Some(wish.group),
            service_identifier: (wish.number == 3).then_some(9),
            ..QuotaKey::default()
        };
        let used = Used { octets: wish.amount, ..Used::default() };
        let mut services = vec![ServiceRequest {
            key: quota,
            used: Some(used),
            want: Some(Want::Any),
            currency: None,
            unusable: false,
            ..ServiceRequest::default()
        }];
        if wish.number == 2 {
            let key = QuotaKey { rating_group: Some(wish.group % 3 + 1), ..quota };
            services.push(ServiceRequest {
                key,
                used: None,
                want: Some(Want::Units(Units::octets(wish.amount).into())),
                currency: None,
                unusable: false,
                ..ServiceRequest::default()
            });
        }
        if wish.number == 1 && wish.group == 4 {
            let want = Want::Money(Money::from_micros(wish.amount as i64 / 100));
            services = vec![ServiceRequest {
                key: quota,
                used: None,
                want: Some(want),
                currency: None,
                unusable: false,
                ..ServiceRequest::default()
            }];
        }
        let interrogate = |kind, services: Vec<ServiceRequest>| {
            Command::Interrogate(Interrogation {
                session_id: session_id.as_bytes(),
                sub_session,
                key,
                account: Some(account),
                incarnation: wish.number / 3 * 5,
                kind,
                number: if kind == RequestKind::Initial { 0 } else { number },
                context: self.catalog.context("32251@3gpp.org"),
                context_name: "32251@3gpp.org",
                origin_host: "gw.example",
                origin_realm: "example",
                services,
                at_command_level: wish.group == 4,
                short_validity: wish.number == 1,
                ..Interrogation::default()
            })
        };
        let credit = |kind| {
            let currency = (!matches!(kind, CreditKind::Allowance(_))).then(|| "CNY".parse().unwrap());
            Command::Credit(CreditCommand { account, kind, currency, request_id: &request_id })
        };
        let small = Money::from_micros(wish.amount as i64 / 40);
        let allowance = |name| self.catalog.allowance(name).unwrap();
        let command = match wish.what {
            0..=1 => Command::CreateAccount(AccountSpec {
                id: account,
                currency: "CNY".parse().unwrap(),
                balance: Money::from_micros(wish.account as i64 * 200_000),
                credit_limit: Money::from_micros(if wish.account == 2 { 50_000 } else { 0 }),
                never_stop: wish.account == 3,
                allowances: if wish.account == 1 { vec![allowance("small")] } else { Vec::new() },
            }),
            2 => Command::CreateSubscriber(SubscriberSpec {
                account,
                subscriber: Subscriber {
                    id: format!("s{}", wish.session).into(),
                    identities: [
                        Identity::new(IdentityKind::E164, &format!("86139000{}{}", wish.account, wish.session))
                            .unwrap(),
                        Identity::new(IdentityKind::SipUri, &format!("sip:{}@example", wish.session)).unwrap(),
                    ]
                    .into(),
                },
            }),
            3..=9 => {
                let services = services.into_iter().map(|service| ServiceRequest { used: None, ..service });
                interrogate(RequestKind::Initial, services.collect())
            }
            10..=20 => interrogate(RequestKind::Update, services),
            21..=23 => {
                let services = services.into_iter().map(|service| ServiceRequest { want: None, ..service });
                interrogate(RequestKind::Termination, services.collect())
            }
            24..=27 | 40..=43 => Command::ChargeEvent(EventRequest {
                session_id: session_id.as_bytes(),
                sub_session,
                key,
                number: wish.number,
                account: Some(account),
                action: match (wish.what, wish.group) {
                    (40.., _) => EventAction::Refund,
                    (_, 4) => EventAction::CheckBalance,
                    _ => EventAction::Debit,
                },
                unlinked_refunds: wish.group == 4,
                context: self.catalog.context("32274@3gpp.org"),
                services: Vec::new(),
                at_command_level: wish.group == 1,
                ..EventRequest::default()
            }),
            28..=30 => credit(CreditKind::TopUp(small)),
            31 => credit(CreditKind::Adjustment(-small, "goodwill, the other way")),
            32 => credit(CreditKind::Allowance("small")),
            33 => credit(CreditKind::Allowance("any")),
            34 if wish.number == 0 => Command::SetState { account, state: AccountState::Suspended, reason: "lost" },
            34 => Command::SetState { account, state: AccountState::Active, reason: "found" },
            35 => Command::SessionLost(key),
            36 => Command::ReAuthorise(key, Some(wish.group).filter(|group| *group != 4)),
            44 if wish.number == 0 => Command::AbortDone(crate::ids::SessionNo(wish.amount % 20)),
            44 => Command::Abort(key),
            45 => Command::ClientState { host: "GW.example", state_id: wish.number + 2 * wish.group },
            // The queue of supervision may be in another order after a restart: only what is found counts.
            46..=47 => {
                match state.sessions().filter(|session| state.is_left_behind(session, self.now)).map(|s| s.no).min() {
                    Some(no) => Command::CloseLeftBehind(no),
                    None => interrogate(RequestKind::Initial, services),
                }
            }
            _ => match state.waiting_for_reauthorisation().next() {
                Some(session) if wish.what == 37 => Command::ReAuthorisationDone(session.no),
                _ => match due(state, self.now) {
                    Some(no) => Command::ExpireSession(no),
                    None => interrogate(RequestKind::Update, services),
                },
            },
        };
        decide(state, &self.catalog, &command, self.now)
    }

    /// Lets time pass as a wish says.
    pub(super) fn wait(&mut self, wish: Wish) {
        self.now = Timestamp::from_millis(self.now.millis() + wish.pause_ms);
        self.requests += 1;
    }

    /// Lives through all wishes.
    pub(super) fn run(&mut self, state: &mut State, wishes: &[Wish]) -> Vec<Arc<Event>> {
        let mut events = Vec::new();
        for wish in wishes {
            self.wait(*wish);
            if let Some(event) = self.decide(state, *wish).event {
                state.apply(&event);
                events.push(Arc::new(event));
            }
        }
        events
    }
}

/// The first session whose supervision has run out.
fn due(state: &State, now: Timestamp) -> Option<crate::ids::SessionNo> {
    state.sessions().filter(|session| session.expires <= now).map(|session| session.no).min()
}
