//! Rules of sessions, on the wire: sub-sessions, what comes after the end, what clients do when we fail.

use tollgate::{
    cli::gateway::Gateway,
    config::LateUsage,
    diameter::{
        CreditControlAnswer, CreditControlRequest, ResultCode,
        credit_control::{FailureHandling, MultipleServices, RequestType, ServiceUnits, UsedUnits},
    },
    units::Units,
};

use crate::{
    client::Client,
    interop_rules::{ccr_of, used_and_wanted, wanted},
    support::{DEMO_CATALOG, TestNode},
    wire::{avp, code, group, long, number},
};

const MB: u64 = 1_000_000;
const CC_SUB_SESSION_ID: u32 = 419;
const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;

/// A request of rating group 1 of the first subscriber.
fn data<'a>(request: CreditControlRequest<'a>, used: Option<u64>, want: bool) -> CreditControlRequest<'a> {
    let used = used.map(|used| UsedUnits { units: ServiceUnits::of(Units::octets(used)), ..UsedUnits::default() });
    let requested = want.then(ServiceUnits::default);
    let service = MultipleServices { rating_group: Some(1), requested, used, ..MultipleServices::default() };
    CreditControlRequest { services: vec![service], ..request }
}

async fn ask(
    gateway: &mut Gateway,
    session: &str,
    kind: RequestType,
    number: u32,
    used: Option<u64>,
) -> CreditControlAnswer {
    let client = gateway.identity().clone();
    let request = gateway.request(session, &client, kind, number, "32251@3gpp.org", "8613900000000");
    let frame = gateway.ask(&mut data(request, used, kind != RequestType::Termination)).await.unwrap();
    CreditControlAnswer::parse(&frame).unwrap().answer
}

/// Each has its own requests, quotas and answers; the main session takes the others along when it ends.
// tests: C-23 C-2
#[tokio::test]
async fn sub_sessions_are_sessions_of_their_own() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let sub = |kind, request_number, id: u64| {
        ccr_of(1, "pgw.example;sub", kind, request_number).with(long(CC_SUB_SESSION_ID, id))
    };
    assert_eq!(client.ask_new(ccr_of(1, "pgw.example;sub", INITIAL, 0).with(wanted(1))).await.result(), 2001);
    for id in [1, 2, u64::MAX] {
        let answer = client.ask_new(sub(INITIAL, 0, id).with(wanted(1))).await;
        assert_eq!(answer.result(), 2001);
        assert_eq!(answer.part().long(&[CC_SUB_SESSION_ID]), Some(id), "echoed");
    }
    assert_eq!(node.balance(1).1, 4 * 100_000);
    // The same numbers in two sub-sessions are two requests; in one they are a copy.
    for (id, balance) in [(1, -10_000), (2, -20_000), (2, -20_000)] {
        let answer = client.ask_new(sub(UPDATE, 1, id).with(used_and_wanted(1, MB))).await;
        assert_eq!(answer.result(), 2001);
        assert_eq!(node.balance(1).0, 100_000_000 + balance);
    }
    assert_eq!(client.ask_new(sub(TERMINATION, 2, 1)).await.result(), 2001);
    assert_eq!(node.balance(1).1, 3 * 100_000);
    assert_eq!(client.ask_new(ccr_of(1, "pgw.example;sub", TERMINATION, 1)).await.result(), 2001);
    assert_eq!((node.balance(1).1, node.node.store.totals().sessions), (0, 0));
    let late = client.ask_new(sub(UPDATE, 2, 2).with(used_and_wanted(1, MB))).await;
    assert_eq!((late.result(), late.part().long(&[CC_SUB_SESSION_ID])), (5002, Some(2)));
    let refused =
        client.ask_new(sub(UPDATE, 3, 2).with(number(code::RATING_GROUP, 1)).without(code::SERVICE_CONTEXT_ID));
    assert_eq!(refused.await.result(), 5005);
}

// tests: C-90 C-93 C-94 C-F7
#[tokio::test(flavor = "multi_thread")]
async fn late_usage_is_charged_once_where_that_is_wanted() {
    for (late_usage, late) in [(LateUsage::Record, 0), (LateUsage::Charge, 20_000)] {
        let node = TestNode::start(DEMO_CATALOG, |config| config.store.late_usage = late_usage).await;
        let mut gateway = node.gateway("gw.example").await;
        ask(&mut gateway, "gw;1", RequestType::Initial, 0, None).await;
        ask(&mut gateway, "gw;1", RequestType::Update, 1, Some(4 * MB)).await;
        let last = ask(&mut gateway, "gw;1", RequestType::Termination, 3, Some(MB)).await;
        assert_eq!(last.result_code, ResultCode::SUCCESS);
        for _ in 0..3 {
            // It was on its way when the session ended, and comes more than once.
            let late = ask(&mut gateway, "gw;1", RequestType::Update, 2, Some(2 * MB)).await;
            assert_eq!(late.result_code, ResultCode::UNKNOWN_SESSION_ID);
            // This one was charged before.
            let known = ask(&mut gateway, "gw;1", RequestType::Update, 1, Some(4 * MB)).await;
            assert_eq!(known.result_code, ResultCode::UNKNOWN_SESSION_ID);
            // And the last request is answered as it was.
            assert_eq!(ask(&mut gateway, "gw;1", RequestType::Termination, 3, Some(MB)).await, last);
        }
        assert_eq!(node.balance(1), (100_000_000 - 50_000 - late, 0), "{late_usage:?}");
        let orphans = node.orphans();
        assert_eq!((orphans.len(), orphans[0].usage[0].1.octets), (1, 2 * MB));
    }
}

/// What is refused as a message has happened as usage.
// tests: C-90 I-13
#[tokio::test]
async fn usage_in_a_request_that_is_refused_is_recorded_once() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    assert_eq!(client.ask_new(ccr_of(1, "pgw.example;bad", INITIAL, 0).with(wanted(1))).await.result(), 2001);
    let update = |n| ccr_of(1, "pgw.example;bad", UPDATE, n).with(used_and_wanted(1, 3 * MB));
    let refused = [
        (5005, update(1).without(code::SERVICE_CONTEXT_ID)),
        (5004, update(2).replacing(code::AUTH_APPLICATION_ID, number(code::AUTH_APPLICATION_ID, 9))),
        (5009, update(3).with(number(code::CC_REQUEST_NUMBER, 3))),
    ];
    for (index, (result, request)) in refused.into_iter().enumerate() {
        for _ in 0..2 {
            assert_eq!(client.ask_new(request.clone()).await.result(), result);
        }
        let last = node.node.store.last_position();
        node.node.store.mark().wait_for(last).await.unwrap();
        let orphans = node.orphans();
        assert_eq!(orphans.len(), index + 1, "{result}");
        let orphan = &orphans[index];
        assert_eq!(orphan.session_id.as_bytes(), b"pgw.example;bad");
        assert_eq!(orphan.usage[0].1.octets, 3 * MB);
        assert_eq!(orphan.account.map(|account| account.0), Some(1));
    }
    // The session does not mind.
    assert_eq!(client.ask_new(update(4)).await.result(), 2001);
    assert_eq!(node.balance(1).0, 100_000_000 - 30_000);
}

// tests: C-150 C-151 C-152 C-154
#[tokio::test(flavor = "multi_thread")]
async fn what_to_do_when_we_fail_is_said_by_context() {
    let catalog = DEMO_CATALOG
        .replace(
            "name = \"data\"\n",
            "name = \"data\"\nfailure_handling = \"retry-and-terminate\"\nsession_failover = true\n",
        )
        .replace(
            "name = \"sms\"\nservice_context_id",
            "name = \"sms\"\ndirect_debiting_failure_handling = \"continue\"\nservice_context_id",
        );
    let node = TestNode::start(&catalog, |_| {}).await;
    let mut gateway = node.gateway("gw.example").await;
    let first = ask(&mut gateway, "gw;1", RequestType::Initial, 0, None).await;
    assert_eq!(
        (first.failure_handling, first.session_failover, first.direct_debiting_continue),
        (Some(FailureHandling::RetryAndTerminate), Some(true), None)
    );
    let update = ask(&mut gateway, "gw;1", RequestType::Update, 1, Some(0)).await;
    assert_eq!((update.failure_handling, update.session_failover), (None, None), "said once");
    let client = gateway.identity().clone();
    let mut voice = gateway.request("gw;2", &client, RequestType::Initial, 0, "32260@3gpp.org", "8613900000000");
    let frame = gateway.ask(&mut voice).await.unwrap();
    let voice = CreditControlAnswer::parse(&frame).unwrap().answer;
    assert_eq!((voice.failure_handling, voice.session_failover), (Some(FailureHandling::Terminate), Some(false)));
    let mut sms = gateway.request("gw;3", &client, RequestType::Event, 0, "32274@3gpp.org", "8613900000000");
    let frame = gateway.ask(&mut sms).await.unwrap();
    let sms = CreditControlAnswer::parse(&frame).unwrap().answer;
    assert_eq!((sms.result_code, sms.direct_debiting_continue), (ResultCode::SUCCESS, Some(true)));
    assert_eq!((sms.failure_handling, sms.session_failover), (None, None));
}

// tests: C-166
#[tokio::test]
async fn equipment_is_taken_as_it_is_told() {
    const USER_EQUIPMENT_INFO_TYPE: u32 = 459;
    const USER_EQUIPMENT_INFO_VALUE: u32 = 460;
    const USER_EQUIPMENT_INFO_EXTENSION: u32 = 653;
    const USER_EQUIPMENT_INFO_IMEI: u32 = 658;
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let info = |value: &[u8]| {
        let members = [number(USER_EQUIPMENT_INFO_TYPE, 0), avp(USER_EQUIPMENT_INFO_VALUE, value)];
        group(code::USER_EQUIPMENT_INFO, &members)
    };
    let imei = avp(USER_EQUIPMENT_INFO_IMEI, &[1; 8]);
    let cases = [
        // 16 digits, or 8 octets of swapped ones.
        (2001, info(b"3534900698733190")),
        (2001, info(&[0x53, 0x43, 0x09, 0x60, 0x89, 0x37, 0x13, 0x09])),
        (2001, group(USER_EQUIPMENT_INFO_EXTENSION, &[imei])),
    ];
    for (n, (result, equipment)) in (0..).zip(cases) {
        let session = format!("pgw.example;imei;{n}");
        let request = ccr_of(1, &session, INITIAL, 0).with(wanted(1)).with(equipment);
        assert_eq!(client.ask_new(request).await.result(), result, "case {n}");
    }
}
