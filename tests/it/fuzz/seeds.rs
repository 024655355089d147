//! What the mutations start from: the reference's vectors, requests as our own tests send them, records of what came of
//! them, and price lists.

use tollgate::diameter::Frame;

use super::targets::{
    charging::{ACCOUNTS, World},
    files::record_of,
};
use crate::{
    client::{cer, dwr},
    interop_rules::{MB, any, ccr, ccr_of, imsi, mscc, subscription, used_and_wanted, used_only, wanted},
    support::DEMO_CATALOG,
    wire::{Request, code, group, long, number, text, tgpp, unhex},
};

pub(super) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let bodies = || messages().into_iter().map(|message| message[20..].to_vec());
    match target {
        "frame" | "session" => streams(),
        "peer" => {
            let peers = [connection(), [connection(), streams().concat()].concat()];
            peers.iter().flat_map(|stream| [0_u8, 1].map(|side| [&[side], &stream[..]].concat())).collect()
        }
        "avp" => bodies().chain(vectors().into_iter().filter(|octets| octets[0] != 1)).collect(),
        "ccr" => bodies().collect(),
        "cca" => bodies().chain(answers().into_iter().map(|answer| answer[20..].to_vec())).collect(),
        "record" => records(),
        "snapshot" => {
            let (world, _) = played();
            let mut open = World::new();
            // With sessions that run, and some that hold nothing.
            for requests in sessions() {
                for request in requests.iter().take(2) {
                    open.serve(&Frame::from_bytes(request.octets().into()).unwrap());
                }
            }
            vec![World::new().snapshot(), world.snapshot(), open.snapshot()]
        }
        "recovery" => vec![vec![0; 4], (0..32).collect(), (0..32).map(|n| n * 7).collect()],
        "catalog" => vec![
            DEMO_CATALOG.as_bytes().to_vec(),
            include_bytes!("../charging_tables/catalog.toml").to_vec(),
            crate::charging_property::CATALOG.as_bytes().to_vec(),
            include_bytes!("offers.toml").to_vec(),
        ],
        _ => panic!("target {target} has no seeds"),
    }
}

/// Every vector of the reference, as the unit tests have them: text of hexadecimal digits.
fn vectors() -> Vec<Vec<u8>> {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diameter/vectors.rs");
    let text = std::fs::read_to_string(source).unwrap();
    let is_hex =
        |word: &&str| word.len() >= 16 && word.len().is_multiple_of(8) && word.bytes().all(|c| c.is_ascii_hexdigit());
    let found: Vec<_> = text.split('"').filter(is_hex).map(unhex).collect();
    assert!(found.len() >= 20, "only {} vectors are left in src/diameter/vectors.rs", found.len());
    found
}

/// Whole messages among the vectors.
fn vector_messages() -> Vec<Vec<u8>> {
    vectors().into_iter().filter(|octets| octets[0] == 1 && octets.len() >= 20).collect()
}

fn in_context(context: &str, request: Request) -> Request {
    request.replacing(code::SERVICE_CONTEXT_ID, text(code::SERVICE_CONTEXT_ID, context))
}

/// Sessions, events and oddities of every kind that the tests know, each a list of requests.
fn sessions() -> Vec<Vec<Request>> {
    let session = |account: u64, name: &str| {
        let request = |kind, n| ccr_of(account, name, kind, n);
        vec![
            request(1, 0).with(wanted(1)).with(wanted(2)),
            request(2, 1).with(used_and_wanted(1, 10 * MB)).with(used_only(2, MB)),
            request(2, 2).with(used_and_wanted(99, MB)).with(wanted(3)),
            request(3, 3).with(used_only(1, 2 * MB)).with(number(code::TERMINATION_CAUSE, 1)),
        ]
    };
    let units = |members: &[Vec<u8>]| group(code::REQUESTED_SERVICE_UNIT, members);
    let value = group(code::UNIT_VALUE, &[long(code::VALUE_DIGITS, 25), number(code::EXPONENT, u32::MAX)]);
    let money = units(&[group(code::CC_MONEY, &[value, number(code::CURRENCY_CODE, 156)])]);
    let sms = |n, action| {
        in_context("32274@3gpp.org", ccr_of(1, "smsc.example;1", 4, n)).with(number(code::REQUESTED_ACTION, action))
    };
    let one = units(&[long(code::CC_SERVICE_SPECIFIC_UNITS, 1)]);
    let reason = tgpp(code::REPORTING_REASON, &3_u32.to_be_bytes());
    let both = group(
        code::USED_SERVICE_UNIT,
        &[reason, long(code::CC_INPUT_OCTETS, 5), long(code::CC_OUTPUT_OCTETS, MB), number(code::CC_TIME, 7)],
    );
    let proxy = group(code::PROXY_INFO, &[text(code::PROXY_HOST, "dra.example"), text(33, "state")]);
    let inside = tgpp(code::SERVICE_INFORMATION, &tgpp(code::PS_INFORMATION, &text(30, "internet")));
    let voice = |kind, n| in_context("32260@3gpp.org", ccr_of(4, "as.example;1", kind, n));
    vec![
        session(1, "pgw.example;1"),
        session(2, "pgw.example;2"),
        session(3, "pgw.example;3"),
        vec![sms(0, 0).with(one.clone()), sms(0, 0).with(one), sms(1, 1), sms(2, 2), sms(3, 3).with(money.clone())],
        vec![ccr_of(1, "as.example;m", 1, 0).with(money), ccr_of(1, "as.example;m", 3, 1).with(both.clone())],
        vec![
            ccr("smf.example;1", 1, 0).with(subscription(1, &imsi(1))).with(mscc(&[any()])).with(proxy.clone()),
            ccr("smf.example;1", 2, 1).with(mscc(&[both, any()])).with(inside).with(proxy),
        ],
        vec![
            voice(1, 0).with(mscc(&[units(&[number(code::CC_TIME, 60)])])),
            voice(3, 1).with(group(code::USED_SERVICE_UNIT, &[number(code::CC_TIME, 61)])),
        ],
        (0..6).map(|n| ccr_of(1 + n % ACCOUNTS, &format!("pgw.example;{}", 50 + n), 1, 0).with(wanted(1))).collect(),
    ]
}

/// The sessions as streams, one of each and all of them together, and the vectors.
fn streams() -> Vec<Vec<u8>> {
    let numbered = |requests: Vec<Request>| {
        (1..).zip(requests).flat_map(|(n, request)| request.numbered(n).octets()).collect::<Vec<u8>>()
    };
    let mut streams: Vec<Vec<u8>> = sessions().into_iter().map(numbered).collect();
    streams.push(streams.concat());
    streams.extend(vector_messages());
    streams
}

fn messages() -> Vec<Vec<u8>> {
    sessions().into_iter().flatten().map(|request| request.octets()).chain(vector_messages()).collect()
}

/// What is said before and after requests.
fn connection() -> Vec<u8> {
    let head = || vec![text(code::ORIGIN_HOST, "pgw.example"), text(code::ORIGIN_REALM, "gateways.example")];
    let mut cea = cer("pgw.example", "gateways.example").with(number(code::RESULT_CODE, 2001));
    cea.flags = 0;
    let mut dwa = dwr("pgw.example", 1).with(number(code::RESULT_CODE, 2001));
    dwa.flags = 0;
    let dpr = Request::new(282, 0, head()).with(number(code::DISCONNECT_CAUSE, 0));
    [cer("pgw.example", "gateways.example"), cea, dwr("pgw.example", 31), dwa, dpr]
        .iter()
        .flat_map(Request::octets)
        .collect()
}

/// A world in which all sessions have been played, and its answers.
fn played() -> (World, Vec<Vec<u8>>) {
    let mut world = World::new();
    let requests = (1..).zip(sessions().into_iter().flatten());
    let answers = requests
        .map(|(n, request)| world.serve(&Frame::from_bytes(request.numbered(n).octets().into()).unwrap()))
        .collect();
    (world, answers)
}

fn answers() -> Vec<Vec<u8>> {
    played().1
}

fn records() -> Vec<Vec<u8>> {
    let (world, _) = played();
    assert!(world.events.len() > 10, "the sessions leave records");
    world.events.iter().map(record_of).collect()
}
