//! Tariffs over a socket: what is read of Service-Information, what is armed and told, and who pays what.

use std::{sync::Arc, time::UNIX_EPOCH};

use tollgate::{
    charging::AccountState,
    config::Config,
    rating::{Catalog, RunningSessions},
    store::Publish,
};

use crate::{
    client::Client,
    interop_rules::{ccr_of, wanted},
    support::{DEMO_CATALOG, TestNode},
    tools::judged_by_tshark,
    wire::{Message, Part, Request, avps, code, group, long, number, text, tgpp},
};

const INITIAL: u32 = 1;
const UPDATE: u32 = 2;
const TERMINATION: u32 = 3;

const MB: u64 = 1_000_000;
/// Of the seeded accounts: 100.00.
const BALANCE: i64 = 100_000_000;

const TRIGGER: u32 = 1264;
const TRIGGER_TYPE: u32 = 870;
const TARIFF_TIME_CHANGE: u32 = 451;
const TARIFF_CHANGE_USAGE: u32 = 452;
const SGSN_MCC_MNC: u32 = 18;
const RAT_TYPE: u32 = 21;
const IMS_INFORMATION: u32 = 876;
const IMS_EMERGENCY_INDICATOR: u32 = 2322;

/// The demo's prices; abroad the internet costs 0.05 for a MB, and by the old radio the video costs nothing.
fn roaming() -> String {
    format!(
        "home_networks = [\"46000\"]\n{DEMO_CATALOG}\n[[tariff]]\nservice = \"internet\"\nname = \"abroad\"\n\
         serving_network = \"roaming\"\nprice = \"0.05\"\nper = \"1 MB\"\n[[tariff]]\nservice = \"video\"\n\
         name = \"slow\"\naccess = \"GERAN\"\nfree = true\n"
    )
}

/// Service-Information of a user in this network.
fn in_network(network: &str) -> Vec<u8> {
    let members = [tgpp(SGSN_MCC_MNC, network.as_bytes())];
    tgpp(code::SERVICE_INFORMATION, &tgpp(code::PS_INFORMATION, &members.concat()))
}

fn used(octets: u64) -> Vec<u8> {
    group(code::USED_SERVICE_UNIT, &[long(code::CC_TOTAL_OCTETS, octets)])
}

fn any() -> Vec<u8> {
    group(code::REQUESTED_SERVICE_UNIT, &[])
}

fn mscc(members: &[Vec<u8>]) -> Vec<u8> {
    group(code::MULTIPLE_SERVICES_CREDIT_CONTROL, members)
}

/// The Trigger-Types that an MSCC arms; `None` without a Trigger.
fn armed(service: &Part<'_>) -> Option<Vec<u32>> {
    let trigger = avps(service.0).into_iter().find(|avp| avp.code == TRIGGER)?;
    assert_eq!(trigger.vendor, 10_415);
    let types =
        avps(trigger.data).into_iter().inspect(|avp| assert_eq!((avp.code, avp.vendor), (TRIGGER_TYPE, 10_415)));
    Some(types.map(|avp| u32::from_be_bytes(avp.data.try_into().unwrap())).collect())
}

fn change(service: &Part<'_>) -> Option<u32> {
    service.number(&[code::GRANTED_SERVICE_UNIT, TARIFF_TIME_CHANGE])
}

async fn ask(client: &mut Client, request: Request) -> Message {
    let answer = client.ask_new(request).await;
    assert_eq!(answer.result(), 2001);
    answer
}

/// The price of what was used is that of the network in which it was used, although the report of it names the new one.
// tests: G-28, G-29, G-42, G-50, G-51, G-52, G-53, G-93, G-96
#[tokio::test]
async fn a_user_crosses_a_border() {
    let node = TestNode::start(&roaming(), |_| {}).await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr_of(1, "pgw.example;t;1", kind, n);

    let opening = request(INITIAL, 0).with(wanted(1)).with(wanted(2)).with(wanted(3)).with(in_network("46000"));
    let answer = ask(&mut client, opening).await;
    let armed: Vec<_> = answer.services().iter().map(armed).collect();
    assert_eq!(armed, [Some(vec![30, 31]), Some(vec![4]), None], "what each price depends on, and nothing more");
    // 10 MB at 0.01, 50 MB of video at 0.005, music for nothing.
    assert_eq!(node.balance(1), (BALANCE, 100_000 + 250_000));

    let reason = tgpp(code::REPORTING_REASON, &6u32.to_be_bytes());
    let fired = tgpp(TRIGGER, &tgpp(TRIGGER_TYPE, &30u32.to_be_bytes()));
    let report = mscc(&[number(code::RATING_GROUP, 1), any(), used(2 * MB), reason, fired]);
    ask(&mut client, request(UPDATE, 1).with(report).with(in_network("26201"))).await;
    assert_eq!(node.balance(1), (BALANCE - 20_000, 500_000 + 250_000));

    // The next report says nothing of where the user is, and is still from there. The radio of the video is its own.
    let abroad = mscc(&[number(code::RATING_GROUP, 1), any(), used(MB)]);
    let video = mscc(&[number(code::RATING_GROUP, 2), any(), used(0), tgpp(RAT_TYPE, &[2])]);
    ask(&mut client, request(UPDATE, 2).with(abroad).with(video)).await;
    assert_eq!(node.balance(1), (BALANCE - 70_000, 500_000));

    let rest = |rating_group| mscc(&[number(code::RATING_GROUP, rating_group), used(MB)]);
    let end = request(TERMINATION, 3).with(rest(1)).with(rest(2)).with(in_network("46000"));
    ask(&mut client, end).await;
    assert_eq!(node.balance(1), (BALANCE - 120_000, 0));
    judged_by_tshark(&client.received);
}

/// Everything of a tariff that changes some minutes from now, by the time of the requests.
// tests: C-60, C-61, C-62, C-65, C-66, C-24
#[tokio::test]
async fn a_change_of_tariff_is_told_or_waited_for() {
    let minute = UNIX_EPOCH.elapsed().unwrap().as_secs() / 60 - 8;
    let time = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let (from, to) = (time(minute), time(minute + 12 * 60).replace("00:00", "24:00"));
    let catalog = format!(
        "{DEMO_CATALOG}\n[[tariff]]\nservice = \"internet\"\nname = \"dear\"\nfrom = \"{from}\"\nto = \"{to}\"\n\
         price = \"0.02\"\nper = \"1 MB\"\n"
    );
    let old = |config: &mut Config| {
        let peer = toml::from_str("origin_host = \"old.example\"\ntariff_time_change = false").unwrap();
        config.diameter.peers.push(peer);
    };
    let node = TestNode::start(&catalog, old).await;
    // Diameter's seconds begin in 1900.
    let switch = (minute * 60 + 2_208_988_800) as u32;
    let at = |secs: i64| number(code::EVENT_TIMESTAMP, (i64::from(switch) + secs) as u32);

    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr_of(1, "pgw.example;t;2", kind, n);
    let answer = ask(&mut client, request(INITIAL, 0).with(wanted(1)).with(at(-600))).await;
    let service = answer.services()[0];
    assert_eq!((change(&service), service.number(&[code::VALIDITY_TIME])), (Some(switch), Some(3_600)));
    // 10 MB at the dearer price, and a block on either side.
    assert_eq!(node.balance(1), (BALANCE, 200_000 + 10_000 + 20_000));
    let side = |side, octets| {
        group(code::USED_SERVICE_UNIT, &[number(TARIFF_CHANGE_USAGE, side), long(code::CC_TOTAL_OCTETS, octets)])
    };
    let report = mscc(&[number(code::RATING_GROUP, 1), any(), side(0, 3 * MB), side(1, 4 * MB), side(2, MB)]);
    let answer = ask(&mut client, request(UPDATE, 1).with(report).with(at(60))).await;
    assert_eq!(change(&answer.services()[0]), None);
    assert_eq!(node.balance(1), (BALANCE - 30_000 - 80_000 - 20_000, 200_000));

    let mut client = Client::open(node.diameter(), "old.example").await;
    let request = |kind, n| {
        ccr_of(2, "old.example;t;2", kind, n).replacing(code::ORIGIN_HOST, text(code::ORIGIN_HOST, "old.example"))
    };
    let answer = ask(&mut client, request(INITIAL, 0).with(wanted(1)).with(at(-600))).await;
    let service = answer.services()[0];
    assert_eq!((change(&service), service.number(&[code::VALIDITY_TIME])), (None, Some(600)));
    assert_eq!(node.balance(2), (BALANCE, 100_000));
    // Its report comes when that time is over: all of it is of the old price.
    let report = mscc(&[number(code::RATING_GROUP, 1), used(3 * MB)]);
    ask(&mut client, request(TERMINATION, 1).with(report).with(at(1))).await;
    assert_eq!(node.balance(2), (BALANCE - 30_000, 0));
}

// tests: G-100, G-104, C-19
#[tokio::test]
async fn an_emergency_call_is_never_refused() {
    let node = TestNode::demo().await;
    node.set_state(1, AccountState::Suspended);
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let call = |session, kind, n| {
        let context = text(code::SERVICE_CONTEXT_ID, "32260@3gpp.org");
        ccr_of(1, session, kind, n).replacing(code::SERVICE_CONTEXT_ID, context)
    };
    let emergency = tgpp(IMS_INFORMATION, &tgpp(IMS_EMERGENCY_INDICATOR, &1u32.to_be_bytes()));
    let emergency = tgpp(code::SERVICE_INFORMATION, &emergency);
    let seconds = |secs| group(code::USED_SERVICE_UNIT, &[number(code::CC_TIME, secs)]);

    let refused = client.ask_new(call("pgw.example;t;3", INITIAL, 0).with(wanted(600))).await;
    assert_eq!(refused.result(), 4010);
    let answer = ask(&mut client, call("pgw.example;t;4", INITIAL, 0).with(wanted(600)).with(emergency)).await;
    assert_eq!(answer.services()[0].number(&[code::GRANTED_SERVICE_UNIT, code::CC_TIME]), Some(60));
    assert_eq!(node.balance(1), (BALANCE, 0));
    // It stays one, although later requests say nothing of it.
    let more = mscc(&[number(code::RATING_GROUP, 600), any(), seconds(60)]);
    let answer = ask(&mut client, call("pgw.example;t;4", UPDATE, 1).with(more)).await;
    assert_eq!(answer.services()[0].number(&[code::RESULT_CODE]), Some(2001));
    let rest = mscc(&[number(code::RATING_GROUP, 600), seconds(5)]);
    ask(&mut client, call("pgw.example;t;4", TERMINATION, 2).with(rest)).await;
    assert_eq!(node.balance(1), (BALANCE, 0));
}

/// A quota for several services is another than that of the group; its key comes back whole, and in any order it is the same.
// tests: C-30, C-31, G-30, G-31
#[tokio::test]
async fn several_services_share_a_quota() {
    let node = TestNode::demo().await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |kind, n| ccr_of(1, "pgw.example;t;5", kind, n);
    let key = |identifiers: &[u32]| {
        let identifiers = identifiers.iter().map(|id| number(code::SERVICE_IDENTIFIER, *id));
        identifiers.chain([number(code::RATING_GROUP, 1)]).collect::<Vec<_>>().concat()
    };
    let identifiers = |service: &Part<'_>| -> Vec<u32> {
        let ids = service.all(code::SERVICE_IDENTIFIER);
        ids.iter().map(|id| u32::from_be_bytes(id.0.try_into().unwrap())).collect()
    };
    let opening =
        request(INITIAL, 0).with(wanted(1)).with(mscc(&[key(&[9, 7]), any()])).with(mscc(&[key(&[7]), any()]));
    let answer = ask(&mut client, opening).await;
    let told: Vec<_> = answer.services().iter().map(identifiers).collect();
    assert_eq!(told, [vec![], vec![9, 7], vec![7]]);
    assert_eq!(node.balance(1), (BALANCE, 300_000));
    // The same set in another order: the same quota, and only that one is touched.
    let answer = ask(&mut client, request(UPDATE, 1).with(mscc(&[key(&[7, 9]), used(MB)]))).await;
    assert_eq!(answer.services().len(), 0);
    assert_eq!(node.balance(1), (BALANCE - 10_000, 200_000));
    // A set that was granted nothing reports for the group.
    ask(&mut client, request(UPDATE, 2).with(mscc(&[key(&[8, 9]), used(MB)]))).await;
    assert_eq!(node.balance(1), (BALANCE - 20_000, 100_000));
    // A copy gets the same octets.
    let again = request(INITIAL, 0).with(wanted(1)).with(mscc(&[key(&[9, 7]), any()])).with(mscc(&[key(&[7]), any()]));
    let again = ask(&mut client, again).await;
    assert_eq!(again.services().iter().map(identifiers).collect::<Vec<_>>(), told);
    ask(&mut client, request(TERMINATION, 3)).await;
    assert_eq!(node.balance(1), (BALANCE - 20_000, 0));
}

/// The client's clock is off by days: the request is rated by the time of its arrival.
// tests: C-24
#[tokio::test]
async fn a_clock_that_is_days_off_is_not_believed() {
    let minute = UNIX_EPOCH.elapsed().unwrap().as_secs() / 60;
    let time = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    // Dear from an hour ago to an hour from now.
    let (from, to) = (time(minute - 60), time(minute + 60).replace("00:00", "24:00"));
    let catalog = format!(
        "{DEMO_CATALOG}\n[[tariff]]\nservice = \"internet\"\nname = \"dear\"\nfrom = \"{from}\"\nto = \"{to}\"\n\
         price = \"1.00\"\nper = \"1 MB\"\n"
    );
    let node = TestNode::start(&catalog, |_| {}).await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let now = (minute * 60 + 2_208_988_800) as u32;
    for (account, hours_ago, charged) in [(1, 0, 1_000_000), (2, 12, 10_000), (3, 36, 1_000_000)] {
        let request = ccr_of(account, &format!("pgw.example;t;6{account}"), INITIAL, 0);
        let event = number(code::EVENT_TIMESTAMP, now - hours_ago * 3_600);
        ask(&mut client, request.with(mscc(&[number(code::RATING_GROUP, 1), used(MB)])).with(event)).await;
        assert_eq!(node.balance(account).0, BALANCE - charged, "{hours_ago} hours ago");
    }
}

/// A session that finishes by its version is read by that one too: by the other there would be no roaming, and its contexts
/// have other places.
#[tokio::test]
async fn a_session_of_an_older_version_is_read_by_it() {
    let node = TestNode::start(&roaming(), |_| {}).await;
    let mut client = Client::open(node.diameter(), "pgw.example").await;
    let request = |session, kind, n| ccr_of(1, session, kind, n);
    let (old, new) = ("pgw.example;v;1", "pgw.example;v;2");
    ask(&mut client, request(old, INITIAL, 0).with(wanted(1)).with(in_network("46000"))).await;

    let more = "\n[[context]]\nname = \"more\"\nservice_context_id = \"more@example\"\ndefault_service = \"more\"\n\
                [[service]]\nname = \"more\"\ncontext = \"more\"\nprice = \"9\"\nper = \"1 event\"\n";
    let place = DEMO_CATALOG.find("[[context]]").unwrap();
    let flat = format!("{}{more}{}", &DEMO_CATALOG[..place], &DEMO_CATALOG[place..]);
    let catalog = Arc::new(Catalog::from_toml(&flat).unwrap_or_else(|problems| panic!("{problems:?}")));
    let store = &node.node.store;
    let pending = store.publish(Publish {
        catalog,
        activates: None,
        sessions: RunningSessions::Finish,
        by: "test".into(),
        reason: "test".into(),
        request_id: "p2".into(),
    });
    store.mark().durable(pending).await.unwrap().into_inner().unwrap();

    let report = || mscc(&[number(code::RATING_GROUP, 1), any(), used(MB)]);
    ask(&mut client, request(old, UPDATE, 1).with(report()).with(in_network("26201"))).await;
    assert_eq!(node.balance(1), (BALANCE - 10_000, 500_000), "at home so far, granted abroad");
    ask(&mut client, request(old, UPDATE, 2).with(report())).await;
    assert_eq!(node.balance(1).0, BALANCE - 60_000, "abroad");
    ask(&mut client, request(old, TERMINATION, 3).with(mscc(&[number(code::RATING_GROUP, 1), used(MB)]))).await;
    assert_eq!(node.balance(1), (BALANCE - 110_000, 0));

    ask(&mut client, request(new, INITIAL, 0).with(wanted(1)).with(in_network("26201"))).await;
    assert_eq!(node.balance(1).1, 100_000, "a new session knows of no roaming");
    let end = mscc(&[number(code::RATING_GROUP, 1), used(MB)]);
    ask(&mut client, request(new, TERMINATION, 1).with(end)).await;
    assert_eq!(node.balance(1), (BALANCE - 120_000, 0));
}
