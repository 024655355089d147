//! The witness outside: gateways and a top-up system that send load to a server, remember every answer that reached them,
//! and hold the server to it afterwards.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::watch;
use tollgate::{
    api::v1::{self, account_service_client::AccountServiceClient, balance_service_client::BalanceServiceClient},
    cli::gateway::Gateway,
    diameter::{
        CreditControlAnswer, CreditControlRequest, Frame, Identity, LocalNode, ResultCode,
        base::write_dpa,
        credit_control::{MultipleServices, RequestType, ServiceUnits, SubscriptionId, UsedUnits},
        dictionary::command,
    },
    units::{Money, Units},
};
use tonic::transport::Channel;

use crate::{
    dice::Dice,
    process::{Addresses, PATIENCE},
};

/// Subscribers that the load is about: account i + 1 has MSISDN 8613900000000 + i.
pub(crate) const ACCOUNTS: u64 = 24;
pub(crate) const OPENING: &str = "3.00";
const OPENING_MICROS: i64 = 3_000_000;
pub(crate) const CONNECTIONS: usize = 4;
/// Sessions of one connection, each with at most one request on its way.
const SLOTS: usize = 12;
const MB: u64 = 1_000_000;
/// Answers of ended sessions and of events that a client asks for again, and top-ups that are: the newest. Older ones have been
/// asked for many times by then.
const ASKED_AGAIN: usize = 400;
/// How long a client rests that was refused as too busy.
const REST: Duration = Duration::from_millis(5);
/// Rating groups of a data session in the demo's price list, and what a megabyte costs in micro-units.
const DATA: [(u32, i64); 2] = [(1, 10_000), (2, 5_000)];
/// What the API says when the disk is full.
const NO_ROOM: &str =
    "the disk of this node is full: nothing was changed, and changes are refused until there is room; try again later";
const MESSAGE: u32 = 700;
const MESSAGE_MICROS: i64 = 100_000;

/// A request as its client remembers it.
#[derive(Debug, Clone)]
struct Request {
    session: String,
    account: u64,
    kind: RequestType,
    number: u32,
    /// Rating group, and megabytes to be reported.
    services: Vec<(u32, Option<u64>)>,
}

/// A request, and the body of the answer that reached its client.
#[derive(Debug, Clone)]
struct Exchange {
    request: Request,
    answer: Bytes,
}

/// One session after the other, and one-time events.
#[derive(Debug, Default)]
struct Slot {
    /// The last answered request of the session that runs.
    last: Option<Exchange>,
    /// What the session has cost so far.
    cost: i64,
    /// Megabytes granted, by rating group.
    granted: BTreeMap<u32, u64>,
    in_flight: Option<Request>,
}

/// One gateway.
#[derive(Debug)]
struct Client {
    name: Identity,
    slots: Vec<Slot>,
    dice: Dice,
    sessions: u64,
    ids: u32,
    /// Final answers of sessions, and answers to events: the newest.
    finished: VecDeque<Exchange>,
    /// What was charged in answered requests, by account.
    charged: BTreeMap<u64, i64>,
    /// How often the server has ended the connection in order.
    disconnected: usize,
    refusals: Option<Arc<Refusals>>,
}

/// What a server that is short of room has refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Initial requests and events.
    pub(crate) begins: AtomicU64,
    /// Other requests.
    pub(crate) others: AtomicU64,
    /// Top-ups.
    pub(crate) top_ups: AtomicU64,
}

/// A top-up, and the balance in the answer that came.
#[derive(Debug, Clone)]
struct TopUp {
    id: String,
    account: u64,
    micros: i64,
    answer: Option<String>,
}

/// All clients and what they remember.
pub(crate) struct Witness {
    clients: Vec<Client>,
    top_ups: Vec<TopUp>,
    dice: Dice,
    /// Requests that were on their way when a connection broke, over all rounds.
    pub(crate) unanswered: usize,
    /// Requests that were answered under load, over all rounds.
    pub(crate) answered: u64,
    refusals: Option<Arc<Refusals>>,
}

/// What a server says of an account: balance, reserved money, running sessions.
type Standing = (i64, i64, u32);

impl Request {
    fn encode(&self, name: &Identity, id: u32, retransmitted: bool) -> Vec<u8> {
        let mut ccr = CreditControlRequest::new(self.session.as_bytes(), name, "tollgate.example", self.kind);
        ccr.retransmitted = retransmitted;
        (ccr.hop_by_hop, ccr.end_to_end) = (id, id);
        ccr.request_number = self.number;
        let msisdn = msisdn(self.account);
        ccr.subscription_ids = vec![SubscriptionId { kind: 0, data: &msisdn }];
        let event = self.kind == RequestType::Event;
        ccr.service_context_id = if event { "32274@3gpp.org" } else { "32251@3gpp.org" };
        let wanted = if event { ServiceUnits::of(Units::events(1)) } else { ServiceUnits::default() };
        let used = |mb: u64| UsedUnits { units: ServiceUnits::of(Units::octets(mb * MB)), ..UsedUnits::default() };
        let service = |(group, mb): &(u32, Option<u64>)| MultipleServices {
            rating_group: Some(*group),
            requested: (self.kind != RequestType::Termination).then_some(wanted),
            used: mb.map(used),
            ..MultipleServices::default()
        };
        ccr.services = self.services.iter().map(service).collect();
        let mut bytes = Vec::new();
        ccr.encode(&mut bytes);
        bytes
    }

    /// What it costs if it is processed, for an event if there is credit.
    fn price(&self) -> i64 {
        if self.kind == RequestType::Event {
            return MESSAGE_MICROS;
        }
        let price = |group: u32| DATA.iter().find(|(known, _)| *known == group).map_or(0, |(_, price)| *price);
        self.services.iter().map(|(group, mb)| price(*group) * mb.unwrap_or(0) as i64).sum()
    }
}

impl Client {
    fn new(number: usize, seed: u64) -> Self {
        Self {
            name: Identity { host: format!("gw{number}.example"), realm: "gateways.example".into() },
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            dice: Dice(seed ^ (number as u64) << 32),
            sessions: 0,
            ids: 0,
            finished: VecDeque::new(),
            charged: BTreeMap::new(),
            disconnected: 0,
            refusals: None,
        }
    }

    async fn connect(&self, address: SocketAddr) -> anyhow::Result<Gateway> {
        Gateway::connect(address, &self.name.host, &self.name.realm).await
    }

    fn new_session(&mut self) -> String {
        self.sessions += 1;
        format!("{};{}", self.name.host, self.sessions)
    }

    fn next_request(&mut self, slot: usize) -> Request {
        let Some(last) = &self.slots[slot].last else {
            let account = self.dice.below(ACCOUNTS) + 1;
            let event = self.dice.below(4) == 0;
            let (kind, services) = if event {
                (RequestType::Event, vec![(MESSAGE, None)])
            } else {
                (RequestType::Initial, DATA.iter().map(|(group, _)| (*group, None)).collect())
            };
            return Request { session: self.new_session(), account, kind, number: 0, services };
        };
        let last = last.request.clone();
        let kind = if self.dice.below(6) == 0 { RequestType::Termination } else { RequestType::Update };
        let mut services = Vec::new();
        for (group, _) in DATA {
            let granted = self.slots[slot].granted.get(&group).copied();
            // Now and then a little more is used than was granted.
            let over = u64::from(self.dice.below(16) == 0);
            services.push((group, granted.map(|mb| self.dice.below(mb + 1) + over)));
        }
        Request { kind, number: last.number + 1, services, ..last }
    }

    /// Notes what an answer says. Every answer passes here once. `false` = it was refused and is to be asked again.
    fn answered(&mut self, slot: usize, frame: &Frame) -> bool {
        let request = self.slots[slot].in_flight.take().expect("an answer to no request");
        let received = CreditControlAnswer::parse(frame).unwrap();
        assert_eq!(received.session_id, Some(request.session.as_bytes()));
        if let Some(refusals) = self.refusals.as_ref().filter(|_| received.answer.result_code == ResultCode::TOO_BUSY) {
            let begins = matches!(request.kind, RequestType::Initial | RequestType::Event);
            if begins { &refusals.begins } else { &refusals.others }.fetch_add(1, Ordering::Relaxed);
            self.slots[slot].in_flight = Some(request);
            return false;
        }
        assert_eq!(received.answer.result_code, ResultCode::SUCCESS, "{request:?}");
        let told = received.answer.cost.map(|cost| cost.cost.to_money().unwrap().micros());
        let exchange = Exchange { request: request.clone(), answer: Bytes::copy_from_slice(frame.body()) };
        let paid =
            request.kind != RequestType::Event || received.answer.services[0].result_code == Some(ResultCode::SUCCESS);
        let charge = if paid { request.price() } else { 0 };
        *self.charged.entry(request.account).or_default() += charge;
        let slot = &mut self.slots[slot];
        slot.cost += charge;
        if matches!(request.kind, RequestType::Termination | RequestType::Event) {
            // The server's own sum of what the session has cost.
            assert_eq!(told, Some(slot.cost), "{request:?}");
            *slot = Slot::default();
            self.finished.push_back(exchange);
            if self.finished.len() > ASKED_AGAIN {
                self.finished.pop_front();
            }
            return true;
        }
        slot.granted.clear();
        for service in &received.answer.services {
            if let (Some(group), Some(granted)) = (service.rating_group, &service.granted) {
                slot.granted.insert(group, granted.units.octets().unwrap_or(0) / MB);
            }
        }
        slot.last = Some(exchange);
        true
    }

    /// Keeps one request of each slot on its way until the connection breaks or enough is answered.
    async fn load(&mut self, address: SocketAddr, answered: &watch::Sender<u64>, stop: &watch::Receiver<bool>) {
        // It may be killed before all are connected.
        let Ok(mut gateway) = self.connect(address).await else { return };
        let mut waiting: BTreeMap<u32, usize> = BTreeMap::new();
        let mut free: Vec<usize> = (0..SLOTS).collect();
        loop {
            let stopping = *stop.borrow();
            let mut bytes = Vec::new();
            for slot in free.drain(..).filter(|_| !stopping) {
                // What an earlier server did not answer goes first.
                let open = self.slots[slot].in_flight.take();
                let again = open.is_some();
                let request = open.unwrap_or_else(|| self.next_request(slot));
                self.ids += 1;
                bytes.extend(request.encode(&self.name, self.ids, again));
                waiting.insert(self.ids, slot);
                self.slots[slot].in_flight = Some(request);
            }
            if waiting.is_empty() {
                return gateway.disconnect().await.unwrap();
            }
            // What was answered before the end may still be read when nothing can be sent any more.
            let _ = gateway.send(&bytes).await;
            let Ok(frame) = gateway.receive().await else { return };
            if !frame.header().flags.is_request() {
                let slot = waiting.remove(&frame.header().hop_by_hop).expect("an answer to no request");
                if self.answered(slot, &frame) {
                    answered.send_modify(|answered| *answered += 1);
                } else {
                    tokio::time::sleep(REST).await;
                }
                free.push(slot);
            } else if frame.header().command == command::DISCONNECT_PEER {
                return self.leave(gateway, waiting, &frame).await;
            }
        }
    }

    /// The server shuts down: what was asked is to be answered, then the connection may end, and does.
    async fn leave(&mut self, mut gateway: Gateway, mut waiting: BTreeMap<u32, usize>, dpr: &Frame) {
        while !waiting.is_empty() {
            let frame = gateway.receive().await.expect("the connection ends before everything is answered");
            if let Some(slot) = waiting.remove(&frame.header().hop_by_hop) {
                assert!(self.answered(slot, &frame), "refused at the end");
            }
        }
        let mut dpa = Vec::new();
        write_dpa(&mut dpa, &LocalNode::credit_control(self.name.clone(), Vec::new()), &dpr.header());
        gateway.send(&dpa).await.unwrap();
        let end = gateway.receive().await.expect_err("the connection ends").to_string();
        assert!(end.contains("closed the connection"), "{end}");
        self.disconnected += 1;
    }

    /// Sends requests again, as after a broken connection, and returns the bodies of the answers.
    async fn resend(&mut self, gateway: &mut Gateway, requests: &[Request]) -> Vec<Frame> {
        const AT_ONCE: usize = 64;
        let mut frames = Vec::new();
        for requests in requests.chunks(AT_ONCE) {
            let first = self.ids + 1;
            let mut bytes = Vec::new();
            for request in requests {
                self.ids += 1;
                bytes.extend(request.encode(&self.name, self.ids, true));
            }
            gateway.send(&bytes).await.unwrap();
            let mut answers = BTreeMap::new();
            while answers.len() < requests.len() {
                let frame = gateway.receive().await.unwrap();
                if !frame.header().flags.is_request() {
                    assert!(frame.header().hop_by_hop >= first);
                    answers.insert(frame.header().hop_by_hop, frame);
                }
            }
            frames.extend(answers.into_values());
        }
        frames
    }

    /// The last answered requests whose answers the server must still know: of ended sessions, of events, and of running
    /// sessions unless their final request is on its way, which may have ended them.
    fn known(&self) -> Vec<Exchange> {
        let ending =
            |slot: &&Slot| slot.in_flight.as_ref().is_none_or(|request| request.kind != RequestType::Termination);
        let running = self.slots.iter().filter(ending).filter_map(|slot| slot.last.clone());
        self.finished.iter().cloned().chain(running).collect()
    }

    async fn check_known(&mut self, gateway: &mut Gateway, at: &str) {
        let known = self.known();
        let requests: Vec<_> = known.iter().map(|exchange| exchange.request.clone()).collect();
        let frames = self.resend(gateway, &requests).await;
        for (exchange, frame) in known.iter().zip(&frames) {
            let request = &exchange.request;
            assert_eq!(frame.body(), exchange.answer, "{at}: {request:?} got another answer than before");
        }
    }

    /// Sends what was not answered again, and takes the answers as those that should have come.
    async fn make_up(&mut self, gateway: &mut Gateway) {
        let open: Vec<usize> = (0..SLOTS).filter(|slot| self.slots[*slot].in_flight.is_some()).collect();
        let requests: Vec<_> = open.iter().filter_map(|slot| self.slots[*slot].in_flight.clone()).collect();
        let frames = self.resend(gateway, &requests).await;
        for (slot, frame) in open.into_iter().zip(&frames) {
            assert!(self.answered(slot, frame), "refused, although there is room");
        }
    }

    async fn terminate_all(&mut self, gateway: &mut Gateway) {
        for slot in 0..SLOTS {
            let Some(last) = self.slots[slot].last.clone() else { continue };
            let services = DATA.iter().map(|(group, _)| (*group, None)).collect();
            let (kind, number) = (RequestType::Termination, last.request.number + 1);
            self.slots[slot].in_flight = Some(Request { kind, number, services, ..last.request });
        }
        self.make_up(gateway).await;
    }

    fn in_flight(&self, account: u64) -> i64 {
        let open = self.slots.iter().filter_map(|slot| slot.in_flight.as_ref());
        open.filter(|request| request.account == account).map(Request::price).sum()
    }
}

impl Witness {
    pub(crate) fn new(seed: u64) -> Self {
        let clients = (0..CONNECTIONS).map(|number| Client::new(number, seed)).collect();
        Self { clients, top_ups: Vec::new(), dice: Dice(seed), unanswered: 0, answered: 0, refusals: None }
    }

    /// From now on requests may be refused as too busy: they are asked again until they are not. Returns who counts.
    pub(crate) fn take_refusals(&mut self) -> Arc<Refusals> {
        let refusals = Arc::<Refusals>::default();
        self.clients.iter_mut().for_each(|client| client.refusals = Some(Arc::clone(&refusals)));
        self.refusals = Some(Arc::clone(&refusals));
        refusals
    }

    /// Sends load until the connections break or `stop` turns true. `answered` counts answers meanwhile.
    pub(crate) async fn load(&mut self, to: Addresses, answered: watch::Sender<u64>, stop: watch::Receiver<bool>) {
        let answered = Arc::new(answered);
        let mut tasks = tokio::task::JoinSet::new();
        for mut client in self.clients.drain(..) {
            let (answered, stop) = (Arc::clone(&answered), stop.clone());
            tasks.spawn(async move {
                client.load(to.diameter, &answered, &stop).await;
                client
            });
        }
        let first = self.top_ups.len();
        let seed = self.dice.below(u64::MAX);
        let paying = tokio::spawn(pay(to, first, seed, self.refusals.clone(), stop));
        while let Some(client) = tasks.join_next().await {
            self.clients.push(client.unwrap());
        }
        // One order, so that a seed means the same each time.
        self.clients.sort_by(|one, other| one.name.host.cmp(&other.name.host));
        self.top_ups.extend(paying.await.unwrap());
        self.answered += *answered.borrow();
        let open = |client: &Client| client.slots.iter().filter(|slot| slot.in_flight.is_some()).count();
        self.unanswered += self.clients.iter().map(open).sum::<usize>();
    }

    /// How often the server has ended a connection in order.
    pub(crate) fn disconnected(&self) -> usize {
        self.clients.iter().map(|client| client.disconnected).sum()
    }

    /// Ids of the top-ups that were answered.
    pub(crate) fn paid(&self) -> impl Iterator<Item = &str> {
        self.top_ups.iter().filter(|top_up| top_up.answer.is_some()).map(|top_up| top_up.id.as_str())
    }

    /// Requests that are still to be answered.
    pub(crate) fn open(&self) -> usize {
        self.clients.iter().flat_map(|client| &client.slots).filter(|slot| slot.in_flight.is_some()).count()
    }

    /// Holds a restarted server to every answer, has it answer what it has not yet, and counts the money.
    pub(crate) async fn verify(&mut self, to: Addresses, at: &str) {
        let before = standings(to).await;
        self.check_bounds(&before, at);
        let mut gateways = Vec::new();
        for client in &self.clients {
            gateways.push(client.connect(to.diameter).await.unwrap());
        }
        // Whatever was answered is known, and asking again changes nothing.
        for (client, gateway) in self.clients.iter_mut().zip(&mut gateways) {
            client.check_known(gateway, at).await;
        }
        self.pay_again(to, at).await;
        assert_eq!(standings(to).await, before, "{at}: asking again changed something");
        // What was not answered is asked again: from now on everything has happened, once.
        for (client, gateway) in self.clients.iter_mut().zip(&mut gateways) {
            client.make_up(gateway).await;
        }
        let mut balances = balances(to).await;
        for top_up in self.top_ups.iter_mut().filter(|top_up| top_up.answer.is_none()) {
            let (balance, _) = ask(&mut balances, top_up).await.unwrap();
            top_up.answer = Some(balance);
        }
        let settled = standings(to).await;
        self.check_exactly(&settled, at);
        for (client, gateway) in self.clients.iter_mut().zip(&mut gateways) {
            client.check_known(gateway, at).await;
        }
        assert_eq!(standings(to).await, settled, "{at}: asking once more changed something");
        for gateway in gateways {
            gateway.disconnect().await.unwrap();
        }
    }

    /// Ends all sessions: nothing may stay reserved.
    pub(crate) async fn finish(&mut self, to: Addresses) {
        for client in &mut self.clients {
            let mut gateway = client.connect(to.diameter).await.unwrap();
            client.terminate_all(&mut gateway).await;
            gateway.disconnect().await.unwrap();
        }
        let standings = standings(to).await;
        self.check_exactly(&standings, "at the end");
        for (account, (_, reserved, sessions)) in standings {
            assert_eq!((reserved, sessions), (0, 0), "account {account}: something is left");
        }
    }

    /// Answered top-ups, sent again, credit nothing and get the balance that they got.
    async fn pay_again(&self, to: Addresses, at: &str) {
        let mut balances = balances(to).await;
        for top_up in self.top_ups.iter().rev().take(ASKED_AGAIN) {
            let Some(told) = &top_up.answer else { continue };
            let (balance, duplicate) = ask(&mut balances, top_up).await.unwrap();
            assert!(duplicate, "{at}: {top_up:?} credited again");
            assert_eq!(balance, *told, "{at}: {top_up:?}");
        }
    }

    /// Charged is at least what was answered, and at most that and what was on its way; credits likewise.
    fn check_bounds(&self, standings: &BTreeMap<u64, Standing>, at: &str) {
        for (account, (balance, ..)) in standings {
            let charged = self.charged(*account);
            let on_the_way: i64 = self.clients.iter().map(|client| client.in_flight(*account)).sum();
            let (credited, maybe) = self.credited(*account);
            let (least, most) = (OPENING_MICROS + credited - charged - on_the_way, OPENING_MICROS + credited - charged);
            assert!(
                (least..=most + maybe).contains(balance),
                "{at}: account {account} has {balance}, not {least} to {most} + {maybe}"
            );
        }
    }

    fn check_exactly(&self, standings: &BTreeMap<u64, Standing>, at: &str) {
        for (account, (balance, ..)) in standings {
            let (credited, open) = self.credited(*account);
            assert_eq!(open, 0);
            let expected = OPENING_MICROS + credited - self.charged(*account);
            assert_eq!(*balance, expected, "{at}: account {account}: money was lost or made");
        }
    }

    fn charged(&self, account: u64) -> i64 {
        self.clients.iter().filter_map(|client| client.charged.get(&account)).sum()
    }

    /// Answered credits, and those that were sent and not answered.
    fn credited(&self, account: u64) -> (i64, i64) {
        let of = |answered: bool| {
            let these = self.top_ups.iter().filter(move |t| t.account == account && t.answer.is_some() == answered);
            these.map(|top_up| top_up.micros).sum()
        };
        (of(true), of(false))
    }
}

/// Tops accounts up, one after the other, until the server is gone.
async fn pay(
    to: Addresses,
    first: usize,
    seed: u64,
    refusals: Option<Arc<Refusals>>,
    stop: watch::Receiver<bool>,
) -> Vec<TopUp> {
    let mut dice = Dice(seed);
    let mut balances = balances(to).await;
    let mut sent = Vec::new();
    while !*stop.borrow() {
        let (account, micros) = (dice.below(ACCOUNTS) + 1, (dice.below(200) as i64 + 1) * 10_000);
        let mut top_up = TopUp { id: format!("t{}", first + sent.len()), account, micros, answer: None };
        let mut answer = ask(&mut balances, &top_up).await;
        while let (Some(refusals), Err(status)) = (&refusals, &answer) {
            let stopping = *stop.borrow();
            if stopping || status.code() != tonic::Code::ResourceExhausted {
                break;
            }
            assert_eq!(status.message(), NO_ROOM);
            refusals.top_ups.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(REST).await;
            answer = ask(&mut balances, &top_up).await;
        }
        top_up.answer = answer.as_ref().ok().map(|(balance, duplicate)| {
            assert!(!duplicate, "{top_up:?} is new");
            balance.clone()
        });
        sent.push(top_up);
        if answer.is_err() {
            break;
        }
    }
    sent
}

async fn ask(
    balances: &mut BalanceServiceClient<Channel>,
    top_up: &TopUp,
) -> Result<(String, bool), Box<tonic::Status>> {
    let amount = v1::Money { currency: "CNY".into(), amount: Money::from_micros(top_up.micros).to_string() };
    let account = Some(v1::AccountRef { by: Some(v1::account_ref::By::AccountId(top_up.account)) });
    let request =
        v1::TopUpRequest { account, amount: Some(amount), request_id: top_up.id.clone(), ..Default::default() };
    let response = balances.top_up(request).await?.into_inner();
    Ok((response.balance.unwrap().amount, response.duplicate))
}

pub(crate) async fn channel(to: Addresses) -> Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", to.grpc)).unwrap();
    endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect().await.unwrap()
}

async fn balances(to: Addresses) -> BalanceServiceClient<Channel> {
    BalanceServiceClient::new(channel(to).await)
}

/// Every account as the server tells it.
async fn standings(to: Addresses) -> BTreeMap<u64, Standing> {
    let mut accounts = AccountServiceClient::new(channel(to).await);
    let mut standings = BTreeMap::new();
    for id in 1..=ACCOUNTS {
        let account = Some(v1::AccountRef { by: Some(v1::account_ref::By::AccountId(id)) });
        let account =
            accounts.get_account(v1::GetAccountRequest { account }).await.unwrap().into_inner().account.unwrap();
        let micros = |money: Option<v1::Money>| money.unwrap().amount.parse::<Money>().unwrap().micros();
        let standing = (micros(account.balance), micros(account.reserved), account.live_sessions);
        standings.insert(id, standing);
    }
    standings
}

fn msisdn(account: u64) -> String {
    (8_613_900_000_000 + account - 1).to_string()
}
