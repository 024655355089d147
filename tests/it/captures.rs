//! What real network elements were recorded to send, played against the server byte for byte.
//!
//! The recordings lie beside the checkout, in `shared/captures`, or where `TOLLGATE_CAPTURES` says; some have no licence
//! that would let them lie here. What they need to make sense is around them: the node has the name of the server that was
//! recorded, and the subscribers whom the recording names have accounts. One thing in one message is changed: where the
//! recorded client names a node that is not the recorded server (see the session of Magma).

use std::path::{Path, PathBuf};

use tollgate::{
    config::{Config, Diameter},
    ids::IdentityKind,
};

use crate::{
    client::{Client, cer},
    support::{DEMO_CATALOG, TestNode},
    tools::judged_by_tshark,
    wire::{Message, Request, code, group, number, text},
};

/// The account of a recording's subscriber: seeded ones have 1 to 10. It has 100.00 of the catalog's currency.
const ACCOUNT: u64 = 77;
const BALANCE: i64 = 100_000_000;

/// A recording, if it is here.
fn recorded(name: &str) -> Option<Vec<Message>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    let directory = std::env::var_os("TOLLGATE_CAPTURES").map_or(beside, PathBuf::from);
    match std::fs::read_to_string(directory.join(name)) {
        Ok(text) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            Some(lines.map(|line| Message(crate::wire::unhex(line))).collect())
        }
        Err(error) => {
            eprintln!("skipped: {}: {error}", directory.join(name).display());
            None
        }
    }
}

/// The requests of a recording; the recorded answers are another server's.
fn requests(name: &str) -> Option<Vec<Message>> {
    Some(recorded(name)?.into_iter().filter(Message::is_request).collect())
}

/// A node with the name of the recorded server.
fn called(host: &'static str, realm: &'static str) -> impl FnOnce(&mut Config) {
    move |config| {
        config.diameter = Diameter {
            origin_host: host.to_owned(),
            origin_realm: realm.to_owned(),
            ..std::mem::take(&mut config.diameter)
        };
    }
}

/// An account for the subscriber whom a request names.
fn provision(node: &TestNode, request: &Message) {
    let named: Vec<_> = request
        .part()
        .all(code::SUBSCRIPTION_ID)
        .iter()
        .map(|id| {
            let kind = match id.number(&[code::SUBSCRIPTION_ID_TYPE]).unwrap() {
                0 => IdentityKind::E164,
                1 => IdentityKind::Imsi,
                other => panic!("no recording has identities of type {other}"),
            };
            (kind, std::str::from_utf8(id.find(&[code::SUBSCRIPTION_ID_DATA]).unwrap()).unwrap())
        })
        .collect();
    assert!(!named.is_empty());
    node.provision(ACCOUNT, &named, BALANCE);
}

/// A connection of the client that a request names as its origin.
async fn client_of(node: &TestNode, request: &Message) -> Client {
    connected(node, request.text(code::ORIGIN_HOST).unwrap(), request.text(code::ORIGIN_REALM).unwrap()).await
}

async fn connected(node: &TestNode, host: &str, realm: &str) -> Client {
    let mut client = Client::tcp(node.diameter()).await;
    assert_eq!(client.ask(&cer(host, realm)).await.result(), 2001);
    client
}

/// Sends a recorded request. Whatever it is, the answer begins as clients need it (spec I-1).
async fn play(client: &mut Client, request: &Message) -> Message {
    let answer = client.ask_octets(&request.0).await;
    let head = [
        code::SESSION_ID,
        code::RESULT_CODE,
        code::ORIGIN_HOST,
        code::ORIGIN_REALM,
        code::AUTH_APPLICATION_ID,
        code::CC_REQUEST_TYPE,
        code::CC_REQUEST_NUMBER,
    ];
    assert_eq!(answer.codes()[..7], head);
    for same in [code::SESSION_ID, code::AUTH_APPLICATION_ID, code::CC_REQUEST_TYPE, code::CC_REQUEST_NUMBER] {
        assert_eq!(answer.part().find(&[same]), request.part().find(&[same]));
    }
    answer
}

/// The CCR-I that opened the session of a recording which begins later: made from what the later request says.
fn opening(request: &Message, id: u32) -> Request {
    let copied = [
        code::SESSION_ID,
        code::ORIGIN_HOST,
        code::ORIGIN_REALM,
        code::DESTINATION_REALM,
        code::SERVICE_CONTEXT_ID,
        code::SUBSCRIPTION_ID,
    ];
    let avps = request.avps().into_iter().filter(|avp| copied.contains(&avp.code)).map(|avp| avp.raw.to_vec());
    Request::new(272, 4, avps.collect())
        .with(number(code::AUTH_APPLICATION_ID, 4))
        .with(number(code::CC_REQUEST_TYPE, 1))
        .with(number(code::CC_REQUEST_NUMBER, 0))
        .numbered(id)
}

fn assert_cost(answer: &Message, micros: i64, currency: u32) {
    assert_eq!(answer.part().money(&[code::COST_INFORMATION]), Some((micros, Some(currency))));
}

// tests: I-1 I-2 I-3 I-5 I-7 I-8 I-10 B-132 C-30 C-42 C-51 C-57 G-60 G-112
#[tokio::test]
async fn a_magma_gateway_has_a_session_with_two_rating_groups() {
    let Some(requests) = requests("gy-magma-pcef-vocs.hex") else { return };
    let [initial, update_1, update_2, termination] = &requests[..] else { panic!("four requests") };
    let name = initial.text(code::ORIGIN_HOST).unwrap().to_owned();
    let node = TestNode::start(DEMO_CATALOG, |config| {
        called("tvm-vocs.magma.com", "magma.com")(config);
        config.diameter.peers = vec![magma(&name)];
    })
    .await;
    provision(&node, initial);
    let mut client = client_of(&node, initial).await;

    // The first request names the client's own federation gateway as its destination, the others the server that has
    // answered. Any other client is told that nobody of that name is here (spec B-132); this one's profile knows better.
    assert_eq!(initial.text(code::DESTINATION_HOST), Some("magma-fedgw.magma.com"));
    let stranger = initial.replacing(code::ORIGIN_HOST, &text(code::ORIGIN_HOST, "other.example"));
    let refused = client.ask_octets(&stranger.0).await;
    assert_eq!((refused.result(), refused.is_error()), (3002, true));

    // Group 3 is free and comes first, group 2 costs 0.0005 for each 100 kB begun; both ask for 200,000 octets each way.
    let answer = play(&mut client, initial).await;
    assert_eq!(answer.result(), 2001);
    assert_eq!(groups_of(&answer), [Granted::full(3, 100_000_000, 7_200), Granted::full(2, 50_000_000, 3_600)]);
    assert_eq!(answer.services()[1].number(&[QUOTA_HOLDING_TIME]), Some(600));
    assert_eq!(node.balance(ACCOUNT), (BALANCE, 250_000));

    // 1,500 and 3,000 octets, and 3,000 at the end, lie in one block. Input is there beside the total, which alone counts.
    for update in [update_1, update_2] {
        let answer = play(&mut client, update).await;
        assert_eq!((answer.result(), groups_of(&answer)), (2001, vec![Granted::full(2, 50_000_000, 3_600)]));
        assert_eq!(node.balance(ACCOUNT), (BALANCE - 500, 250_000));
    }
    let answer = play(&mut client, termination).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
    assert_cost(&answer, 500, 156);
    assert_eq!(node.balance(ACCOUNT), (BALANCE - 500, 0));
    assert!(node.account(ACCOUNT).sessions.is_empty());
    judged_by_tshark(&client.received);
}

/// A client of Magma's kind in the configuration.
fn magma(host: &str) -> tollgate::config::Peer {
    let mut peer = tollgate::config::Peer::generic(host);
    peer.profile = tollgate::config::Profile::Magma;
    peer
}

const QUOTA_HOLDING_TIME: u32 = 871;

#[derive(Debug, PartialEq, Eq)]
struct Granted {
    rating_group: Option<u32>,
    result_code: Option<u32>,
    octets: Option<u64>,
    validity: Option<u32>,
    threshold: Option<u32>,
}

impl Granted {
    /// A whole slice, with a threshold of a fifth.
    fn full(rating_group: u32, octets: u64, validity: u32) -> Self {
        Self {
            rating_group: Some(rating_group),
            result_code: Some(2001),
            octets: Some(octets),
            validity: Some(validity),
            threshold: Some(octets as u32 / 5),
        }
    }
}

fn groups_of(answer: &Message) -> Vec<Granted> {
    let services = answer.services();
    let granted = services.iter().map(|service| {
        assert!(service.find(&[code::FINAL_UNIT_INDICATION]).is_none());
        Granted {
            rating_group: service.number(&[code::RATING_GROUP]),
            result_code: service.number(&[code::RESULT_CODE]),
            octets: service.octets(),
            validity: service.number(&[code::VALIDITY_TIME]),
            threshold: service.number(&[code::VOLUME_QUOTA_THRESHOLD]),
        }
    });
    granted.collect()
}

// tests: I-13 C-90 C-33 G-40
#[tokio::test]
async fn a_ggsn_of_china_mobile_reports_a_session_that_is_not_known_and_one_that_is() {
    let Some(requests) = requests("gy-ggsn-cmcc.hex") else { return };
    let [update] = &requests[..] else { panic!("one request") };
    let node = TestNode::start(DEMO_CATALOG, called("jilin.cmcc.com", "cmcc.com")).await;
    provision(&node, update);
    let mut client = client_of(&node, update).await;

    // Not charged, and not lost: it is in the journal with all that is needed to charge it.
    let answer = play(&mut client, update).await;
    assert_eq!((answer.result(), answer.is_error(), answer.services().len()), (5002, false, 0));
    assert_eq!(node.balance(ACCOUNT), (BALANCE, 0));
    let orphans = node.orphans();
    let [orphan] = &orphans[..] else { panic!("{orphans:?}") };
    assert_eq!(orphan.account.map(|account| account.0), Some(ACCOUNT));
    assert_eq!(orphan.session_id.as_bytes(), update.part().find(&[code::SESSION_ID]).unwrap());
    assert_eq!((&*orphan.context, orphan.number), ("gprs@cmcc.com", 3));
    let [(key, used)] = orphan.usage[..] else { panic!("{orphan:?}") };
    assert_eq!((key.rating_group, used.octets), (Some(2_000_000_009), 392));

    // The same report in a session that is there: a block of 1 kB, at 0.01 for each MB.
    assert_eq!(client.ask(&opening(update, 1)).await.result(), 2001);
    let answer = play(&mut client, update).await;
    assert_eq!(answer.result(), 2001);
    assert_eq!(groups_of(&answer), [Granted::full(2_000_000_009, 1_000_000, 3_600)]);
    assert_eq!(node.balance(ACCOUNT), (BALANCE - 10, 10_000));
    assert_eq!(node.orphans().len(), 1);
    judged_by_tshark(&client.received);
}

// tests: I-13 C-18 C-31 C-90 C-93
#[tokio::test]
async fn a_ggsn_of_ericsson_ends_a_session_that_is_not_known_and_one_that_is() {
    let Some(requests) = requests("gy-ggsn-ericsson-oca.hex") else { return };
    let [termination] = &requests[..] else { panic!("one request") };
    let node = TestNode::start(DEMO_CATALOG, called("u1ccn1", "u1ccn1.oca.gw")).await;
    provision(&node, termination);
    let mut client = client_of(&node, termination).await;

    let answer = play(&mut client, termination).await;
    assert_eq!((answer.result(), answer.services().len()), (5002, 0));
    let orphans = node.orphans();
    let [(key, used)] = orphans[0].usage[..] else { panic!("{orphans:?}") };
    assert_eq!((key.rating_group, key.service_identifier, used.octets), (Some(199), Some(199), 29_223));

    // Group 199 was granted as a whole; the report names the service in it too. One MB begun costs 0.01.
    let wanted = group(
        code::MULTIPLE_SERVICES_CREDIT_CONTROL,
        &[group(code::REQUESTED_SERVICE_UNIT, &[]), number(code::RATING_GROUP, 199)],
    );
    let answer = client.ask(&opening(termination, 1).with(wanted)).await;
    assert_eq!((answer.result(), node.balance(ACCOUNT)), (2001, (BALANCE, 100_000)));
    let answer = play(&mut client, termination).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
    assert_cost(&answer, 10_000, 156);
    assert_eq!(node.balance(ACCOUNT), (BALANCE - 10_000, 0));

    // Once more is a retransmission: the same answer, nothing charged.
    assert_eq!(play(&mut client, termination).await, answer);
    assert_eq!((node.balance(ACCOUNT), node.orphans().len()), ((BALANCE - 10_000, 0), 1));
    judged_by_tshark(&client.received);
}

/// What the proxied session asks of an answer: all Proxy-Infos with their octets, and no Route-Record (which
/// `expect_answer` looks for).
fn assert_proxy_infos(request: &Message, answer: &Message) {
    let of = |message: &Message| -> Vec<Vec<u8>> {
        let avps = message.avps().into_iter().filter(|avp| avp.code == code::PROXY_INFO);
        avps.map(|avp| avp.raw.to_vec()).collect()
    };
    assert!(!of(request).is_empty());
    assert_eq!(of(answer), of(request));
}

// tests: B-81 B-134 B-136 C-14 C-33 I-10
#[tokio::test]
async fn a_session_comes_through_a_proxy() {
    let Some(requests) = requests("gy-proxied-session-om.hex") else { return };
    let [initial, update, termination] = &requests[..] else { panic!("three requests") };
    let node = TestNode::start(DEMO_CATALOG, called("redscldp003b.ocs", "bln1.siemens.de")).await;
    provision(&node, initial);
    // The connection is the proxy's, which names itself in Proxy-Host.
    let proxy = initial.part().find(&[code::PROXY_INFO, code::PROXY_HOST]).unwrap();
    let mut client = connected(&node, std::str::from_utf8(proxy).unwrap(), "proxies.example").await;

    // An operator's AVP with the M bit does no harm. Nothing is asked for yet.
    let answer = play(&mut client, initial).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
    assert_proxy_infos(initial, &answer);
    assert_eq!(node.account(ACCOUNT).sessions.len(), 1);

    // An empty request for group 99: 20 MB at 0.02 each.
    let answer = play(&mut client, update).await;
    assert_eq!((answer.result(), groups_of(&answer)), (2001, vec![Granted::full(99, 20_000_000, 3_600)]));
    assert_proxy_infos(update, &answer);
    assert_eq!(node.balance(ACCOUNT), (BALANCE, 400_000));

    // 3,276,800 octets: four MB begun.
    let answer = play(&mut client, termination).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
    assert_proxy_infos(termination, &answer);
    assert_cost(&answer, 80_000, 156);
    assert_eq!(node.balance(ACCOUNT), (BALANCE - 80_000, 0));
    judged_by_tshark(&client.received);
}

// tests: B-24 B-72 B-136
#[tokio::test]
async fn a_strict_node_refuses_the_operators_mandatory_avp_and_shows_it() {
    let Some(requests) = requests("gy-proxied-session-om.hex") else { return };
    let node = TestNode::start(DEMO_CATALOG, |config| {
        called("redscldp003b.ocs", "bln1.siemens.de")(config);
        config.diameter.strict_mandatory_avps = true;
    })
    .await;
    provision(&node, &requests[0]);
    let mut client = client_of(&node, &requests[0]).await;
    let answer = play(&mut client, &requests[0]).await;
    assert_eq!((answer.result(), answer.is_error()), (5001, false));
    let avps = requests[0].avps();
    let foreign = avps.iter().find(|avp| avp.vendor == 12_645).unwrap();
    assert_eq!(answer.failed(), Some(foreign.raw));
    assert_proxy_infos(&requests[0], &answer);
    assert_eq!((node.balance(ACCOUNT), node.account(ACCOUNT).sessions.len()), ((BALANCE, 0), 0));
}

// tests: C-15 C-31 C-39 C-41 C-53 C-56 B-5 B-80 I-4
#[tokio::test]
async fn a_gateway_of_comverse_rates_by_itself_and_asks_for_money() {
    let Some(requests) = requests("ro-comverse-money.hex") else { return };
    let [initial, update, termination] = &requests[..] else { panic!("three requests") };
    let rupees = DEMO_CATALOG.replace("currency = \"CNY\"", "currency = \"INR\"");
    let node = TestNode::start(&rupees, called("dgu2.comverse.com", "comverse.com")).await;
    provision(&node, initial);
    let mut client = client_of(&node, initial).await;

    // The requests have the P bit clear, and so have the answers. Two rupees are asked for and held, at command level.
    for (request, balance) in [(initial, BALANCE), (update, BALANCE - 1_000_000)] {
        let answer = play(&mut client, request).await;
        assert_eq!((answer.result(), answer.services().len()), (2001, 0));
        let granted = answer.part().money(&[code::GRANTED_SERVICE_UNIT, code::CC_MONEY]);
        assert_eq!(granted, Some((2_000_000, Some(356))));
        assert_eq!(node.balance(ACCOUNT), (balance, 2_000_000));
    }
    let answer = play(&mut client, termination).await;
    assert_eq!((answer.result(), answer.has(code::GRANTED_SERVICE_UNIT)), (2001, false));
    assert_cost(&answer, 2_000_000, 356);
    assert_eq!(node.balance(ACCOUNT), (BALANCE - 2_000_000, 0));
    judged_by_tshark(&client.received);
}

// tests: C-34 C-43 I-2 I-10
#[tokio::test]
async fn an_application_server_of_rhino_opens_a_call_without_asking_for_units() {
    let Some(requests) = requests("ro-ims-as-rhino.hex") else { return };
    let [initial] = &requests[..] else { panic!("one request") };
    let node = TestNode::start(DEMO_CATALOG, called("ocs.irpb.prod.be", "irpb.prod.be")).await;
    provision(&node, initial);
    let mut client = client_of(&node, initial).await;

    // It reports no time and wants none: the session is open, nothing is granted, and nothing looks like a grant.
    let answer = play(&mut client, initial).await;
    assert_eq!((answer.result(), answer.services().len()), (2001, 0));
    assert_eq!(node.account(ACCOUNT).sessions.len(), 1);

    // The minute that it asks for when the call is answered.
    let wanted = group(
        code::MULTIPLE_SERVICES_CREDIT_CONTROL,
        &[group(code::REQUESTED_SERVICE_UNIT, &[]), number(code::RATING_GROUP, 600)],
    );
    let update = opening(initial, 2)
        .replacing(code::CC_REQUEST_TYPE, number(code::CC_REQUEST_TYPE, 2))
        .replacing(code::CC_REQUEST_NUMBER, number(code::CC_REQUEST_NUMBER, 1))
        .with(wanted);
    let answer = client.ask(&update).await;
    let granted = answer.services()[0].number(&[code::GRANTED_SERVICE_UNIT, code::CC_TIME]);
    assert_eq!((answer.result(), granted), (2001, Some(60)));
    assert_eq!(node.balance(ACCOUNT), (BALANCE, 150_000));
    judged_by_tshark(&client.received);
}

// tests: B-141 B-142 B-149 B-169 B-172
#[tokio::test]
async fn peers_on_freediameter_connect_watch_and_leave() {
    // CER, DWR and DPR: of an Open5GS SMF, which has our application, then of an MME, which offers itself as a relay.
    let mut played = Vec::new();
    for file in ["base-freediameter-to-sigscale.hex", "base-open5gs-sctp.hex"] {
        let Some(requests) = requests(file) else { return };
        let of = |command| requests.iter().find(|request| request.command() == command).unwrap();
        let node = TestNode::demo().await;
        let mut client = Client::tcp(node.diameter()).await;
        let cea = client.ask_octets(&of(257).0).await;
        assert_eq!((cea.result(), cea.part().number(&[code::AUTH_APPLICATION_ID])), (2001, Some(4)));
        let dwa = client.ask_octets(&of(280).0).await;
        assert_eq!((dwa.command(), dwa.result()), (280, 2001));
        let dpa = client.ask_octets(&of(282).0).await;
        assert_eq!((dpa.command(), dpa.result()), (282, 2001));
        client.end().await;
        client.is_closed().await;
        played.extend(client.received);
    }
    judged_by_tshark(&played);
}

// tests: B-63 B-82
#[tokio::test]
async fn requests_of_other_applications_are_refused() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pcef.example").await;
    let files = ["gx-magma-pcef-pcrf.hex", "gx-ggsn-ericsson-pbit.hex", "gx-twm-tdf.hex", "sy-slr.hex"];
    for file in files {
        let Some(requests) = requests(file) else { return };
        for request in requests.iter().filter(|request| request.application() != 0) {
            let answer = client.ask_octets(&request.0).await;
            assert_eq!((answer.result(), answer.is_error()), (3007, true), "{file}");
        }
    }
    judged_by_tshark(&client.received);
}

// tests: B-2 B-88 B-166
#[tokio::test]
async fn two_messages_of_one_segment_are_two_messages() {
    let Some(segment) = recorded("tcp-two-messages-one-segment.hex") else { return };
    let [segment] = &segment[..] else { panic!("one line") };
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pcef.example").await;
    // The DWR is answered; the DWA answers nothing that was asked and is dropped.
    let length = u32::from_be_bytes([0, segment.0[1], segment.0[2], segment.0[3]]) as usize;
    client.send(&segment.0).await;
    let dwa = client.receive().await;
    crate::client::expect_answer(&Message(segment.0[..length].to_vec()), &dwa);
    client.is_served().await;
}
