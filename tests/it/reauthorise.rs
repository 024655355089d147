//! Re-authorisation of running sessions, over real connections: a top-up reaches the client that waits for it, over the
//! connection that leads there.

use std::time::Duration;

use clap::Parser as _;
use tokio::task::JoinSet;
use tollgate::{
    charging::{CreditCommand, CreditKind},
    cli::gateway::Gateway,
    config::{Config, Peer, Profile},
    diameter::{
        CreditControlAnswer, Identity, LocalNode, ResultCode,
        base::{DisconnectCause, write_dpr},
        credit_control::{MultipleServices, RequestType, ServiceUnits, UsedUnits},
        dictionary::command,
    },
    ids::AccountId,
    load,
    units::{Money, Units},
};

use crate::support::{DEMO_CATALOG, TestNode};

const DATA: &str = "32251@3gpp.org";
const MB: u64 = 1_000_000;
/// What a top-up may take to reach a client.
const SOON: Duration = Duration::from_secs(1);
/// Longer than anything here takes; shorter than an unanswered RAR waits.
const PATIENCE: Duration = Duration::from_secs(4);
/// The internet of the demo's price list: 0.01 CNY for a MB.
const INTERNET: u32 = 1;

/// A running session of one subscriber.
struct Data {
    client: Identity,
    id: String,
    subscriber: u64,
    number: u32,
}

impl Data {
    /// Opens a session of a seeded subscriber, over a gateway that is the client itself.
    async fn open(gateway: &mut Gateway, subscriber: u64) -> Self {
        let client = gateway.identity().clone();
        Self::open_of(gateway, client, subscriber).await.0
    }

    /// Opens a session of a client behind a gateway.
    async fn open_of(gateway: &mut Gateway, client: Identity, subscriber: u64) -> (Self, CreditControlAnswer) {
        let data = Self { client, id: gateway.new_session(), subscriber, number: 0 };
        let answer = data.ask(gateway, RequestType::Initial, None).await;
        (data, answer)
    }

    /// Reports what was used, and asks for more.
    async fn update(&mut self, gateway: &mut Gateway, used: u64) -> CreditControlAnswer {
        self.number += 1;
        self.ask(gateway, RequestType::Update, Some(used)).await
    }

    async fn ask(&self, gateway: &mut Gateway, kind: RequestType, used: Option<u64>) -> CreditControlAnswer {
        let msisdn = (8_613_900_000_000 + self.subscriber).to_string();
        let mut request = gateway.request(&self.id, &self.client, kind, self.number, DATA, &msisdn);
        let used = used.map(|used| UsedUnits { units: ServiceUnits::of(Units::octets(used)), ..UsedUnits::default() });
        request.services = vec![MultipleServices {
            rating_group: Some(INTERNET),
            requested: Some(ServiceUnits::default()),
            used,
            ..MultipleServices::default()
        }];
        let frame = gateway.ask(&mut request).await.unwrap();
        let answer = CreditControlAnswer::parse(&frame).unwrap().answer;
        assert_eq!(answer.result_code, ResultCode::SUCCESS);
        answer
    }

    /// Puts as much on the account as the next grant of 5 MB takes.
    fn top_up(&self, node: &TestNode, id: &str) {
        let amount = Money::from_micros(50_000);
        let currency = Some("CNY".parse().unwrap());
        let account = AccountId(self.subscriber + 1);
        let command = CreditCommand { account, kind: CreditKind::TopUp(amount), currency, request_id: id };
        drop(node.node.store.credit(command));
    }

    /// Waits for the RAR of this session and answers that a CCR-U will follow.
    async fn is_asked(&self, gateway: &mut Gateway) {
        self.is_asked_within(gateway, SOON).await;
    }

    async fn is_asked_within(&self, gateway: &mut Gateway, time: Duration) {
        let asked = tokio::time::timeout(time, gateway.reauthorised(ResultCode::LIMITED_SUCCESS)).await;
        assert_eq!(asked.expect("no RAR in time").unwrap(), self.id.as_bytes());
    }

    async fn waits(&self, node: &TestNode) -> bool {
        let session = node.node.store.session(self.id.as_bytes()).unwrap();
        node.node.store.mark().durable(session).await.unwrap().reauthorise
    }
}

#[derive(clap::Parser)]
struct Load {
    #[command(flatten)]
    options: load::LoadOptions,
}

/// A node whose subscribers can pay 5 MB: every grant is the last, so every top-up is waited for.
async fn poor(change: impl FnOnce(&mut Config)) -> TestNode {
    TestNode::start(DEMO_CATALOG, |config| {
        config.seed.balance = Money::from_micros(50_000);
        change(config);
    })
    .await
}

/// Says that a gateway wants to disconnect, and leaves its connection open.
async fn say_goodbye(gateway: &mut Gateway) {
    const ID: u32 = 0xffff_0000;
    let node = LocalNode::credit_control(gateway.identity().clone(), vec![[127, 0, 0, 1].into()]);
    let mut dpr = Vec::new();
    write_dpr(&mut dpr, &node, DisconnectCause::Rebooting, ID, ID);
    gateway.exchange(&dpr, ID).await.unwrap();
}

// tests: C-88 C-100 C-101 C-103
#[tokio::test(flavor = "multi_thread")]
async fn every_top_up_reaches_a_running_session() {
    let node = poor(|_| {}).await;
    let mut gateway = node.gateway("gw.example").await;
    let mut data = Data::open(&mut gateway, 0).await;
    for round in ["first", "second", "third", "fourth"] {
        data.top_up(&node, round);
        data.is_asked(&mut gateway).await;
        let answer = data.update(&mut gateway, 5 * MB).await;
        assert!(answer.services[0].final_unit.is_some(), "{round}: the next 5 MB, again the last");
    }
}

// tests: C-102
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_accepts_and_stays_silent_is_asked_once_more_and_again_after_it_was_heard() {
    let node = poor(|config| config.diameter.reauthorise_wait_secs = 1).await;
    let mut gateway = node.gateway("gw.example").await;
    let mut data = Data::open(&mut gateway, 0).await;
    data.top_up(&node, "first");
    data.is_asked(&mut gateway).await;
    let last = node.node.store.last_position();
    data.is_asked_within(&mut gateway, PATIENCE).await;
    // The next record is that the wish is given up.
    let given_up = node.node.store.mark().wait_for(last.next());
    tokio::time::timeout(PATIENCE, given_up).await.expect("the wish is given up").unwrap();
    assert!(!data.waits(&node).await);
    data.update(&mut gateway, 5 * MB).await;
    data.top_up(&node, "second");
    data.is_asked(&mut gateway).await;
}

// tests: B-135
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_asked_over_the_connection_that_is_left() {
    let node = poor(|_| {}).await;
    let mut first = node.gateway("gw.example").await;
    let mut data = Data::open(&mut first, 0).await;
    let mut second = node.gateway("GW.example").await;
    data.update(&mut second, 0).await;
    second.disconnect().await.unwrap();
    data.top_up(&node, "first");
    data.is_asked(&mut first).await;
}

// tests: B-135
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_asked_over_the_connection_of_its_last_request() {
    let node = poor(|_| {}).await;
    let mut first = node.gateway("gw.example").await;
    let mut second = node.gateway("gw.example").await;
    let mut data = Data::open(&mut second, 0).await;
    for round in ["first", "second", "third"] {
        data.update(&mut first, 0).await;
        data.top_up(&node, round);
        data.is_asked(&mut first).await;
        data.update(&mut first, 5 * MB).await;
        std::mem::swap(&mut first, &mut second);
    }
}

// tests: B-135 B-172 B-173
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_being_ended_leads_nowhere_but_serves() {
    let node = poor(|_| {}).await;
    let mut stays = node.gateway("gw.example").await;
    let mut leaves = node.gateway("gw.example").await;
    let mut data = Data::open(&mut leaves, 0).await;
    say_goodbye(&mut leaves).await;
    data.update(&mut leaves, 0).await;
    data.top_up(&node, "first");
    data.is_asked(&mut stays).await;
}

// tests: B-135 C-101
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_lost_with_its_connection_is_asked_again_over_another() {
    let node = poor(|_| {}).await;
    let mut stays = node.gateway("gw.example").await;
    let mut breaks = node.gateway("gw.example").await;
    let data = Data::open(&mut breaks, 0).await;
    data.top_up(&node, "first");
    let frame = tokio::time::timeout(SOON, breaks.receive()).await.expect("no RAR in time").unwrap();
    assert_eq!(frame.header().command, command::RE_AUTH);
    drop(breaks);
    data.is_asked(&mut stays).await;
}

// tests: C-88 B-135
#[tokio::test(flavor = "multi_thread")]
async fn a_top_up_reaches_its_session_also_when_the_partition_never_rests() {
    let node = poor(|config| config.store.partitions = 1).await;
    let target = node.diameter().to_string();
    // All but the first subscriber, free of charge, for longer than the test takes.
    let load = Load::parse_from(
        [
            ["load", "--json"],
            ["--target", &target],
            ["--first-msisdn", "8613900000001"],
            ["--subscribers", "9"],
            ["--rating-group", "3"],
            ["--duration", "600"],
            ["--connections", "2"],
        ]
        .as_flattened(),
    );
    let mut busy = JoinSet::new();
    busy.spawn(load::run(load.options));
    // It is under way when its sessions are there.
    while node.node.store.totals().sessions == 0 {
        assert!(busy.try_join_next().is_none(), "it could not start");
        tokio::task::yield_now().await;
    }
    let mut gateway = node.gateway("gw.example").await;
    let mut data = Data::open(&mut gateway, 0).await;
    for round in 0..4 {
        data.top_up(&node, &round.to_string());
        data.is_asked(&mut gateway).await;
        data.update(&mut gateway, 5 * MB).await;
    }
    assert!(busy.try_join_next().is_none(), "it is busy still");
}

// tests: I-15
#[tokio::test(flavor = "multi_thread")]
async fn a_client_behind_a_relay_is_treated_by_its_own_profile() {
    let peer = |host: &str, profile| {
        let mut peer = Peer::generic(host);
        peer.profile = profile;
        peer
    };
    let node = poor(|config| {
        config.diameter.accept_unknown_peers = false;
        config.diameter.peers = vec![
            peer("plain-relay.example", Profile::Generic),
            peer("deaf-relay.example", Profile::Open5gs),
            peer("plain.example", Profile::Generic),
            peer("deaf.example", Profile::Open5gs),
        ];
    })
    .await;
    let cases = [
        ("plain-relay.example", "deaf.example", 60),
        ("deaf-relay.example", "plain.example", 3_600),
        // Not configured: as whoever forwards for them.
        ("plain-relay.example", "stranger.example", 3_600),
        ("deaf-relay.example", "stranger.example", 60),
    ];
    for (subscriber, (relay, host, validity)) in (0..).zip(cases) {
        let relay = &mut node.gateway(relay).await;
        let client = Identity { host: host.into(), realm: "gateways.example".into() };
        let (_, answer) = Data::open_of(relay, client, subscriber).await;
        assert!(answer.services[0].final_unit.is_some());
        assert_eq!(answer.services[0].validity_time, Some(validity), "{host}");
    }
}

// tests: B-173
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_while_the_node_drains() {
    let node = poor(|_| {}).await;
    let mut gateway = node.gateway("gw.example").await;
    let mut data = Data::open(&mut gateway, 0).await;
    let TestNode { node, directory: _directory } = node;
    let stopping = tokio::spawn(node.stop());
    let dpr = gateway.receive().await.unwrap();
    assert_eq!(dpr.header().command, command::DISCONNECT_PEER);
    data.update(&mut gateway, 0).await;
    drop(gateway);
    stopping.await.unwrap().unwrap();
}
