//! What Failed-AVP shows of an AVP that is wrong: itself or an example, in its groups, each with its vendor (spec B-24..B-27,
//! B-72..B-74).

use super::{CreditControlRequest, Strictness};
use crate::diameter::{
    Frame, Identity,
    avp::Avps,
    dictionary as d,
    error::write_error_answer,
    frame::Header,
    vectors::{CCR_I, frame, hex, ocs},
    writer::{Writer, wrapped},
};

/// CCR-I with more AVPs behind.
fn with(more: &[u8]) -> Frame {
    let mut out = Vec::new();
    let mut w = Writer::start(&mut out, Header::request(272, 4, true, 1, 2));
    w.raw(frame(CCR_I).body());
    w.raw(more);
    w.finish();
    Frame::from_bytes(out.into()).unwrap()
}

fn verdict(more: &[u8], strictness: Strictness) -> Result<(), (u32, Vec<u8>)> {
    let frame = with(more);
    let parsed = CreditControlRequest::parse(&frame, strictness);
    parsed.map(drop).map_err(|error| (error.result_code.0, error.failed_avp.unwrap_or_default()))
}

fn refused(more: &[u8], strictness: Strictness) -> (u32, Vec<u8>) {
    verdict(more, strictness).unwrap_err()
}

fn in_mscc(members: &[u8]) -> Vec<u8> {
    wrapped(&d::MULTIPLE_SERVICES_CREDIT_CONTROL, members)
}

fn in_usu(members: &[u8]) -> Vec<u8> {
    in_mscc(&wrapped(&d::USED_SERVICE_UNIT, members))
}

fn in_ps(members: &[u8]) -> Vec<u8> {
    wrapped(&d::SERVICE_INFORMATION, &wrapped(&d::PS_INFORMATION, members))
}

// tests: B-24, B-72, B-73
#[test]
fn an_unknown_mandatory_avp_is_copied_in_its_groups_with_every_vendor() {
    let strict = Strictness::Strict;
    // Of the IETF, of 3GPP and of a stranger; whatever its length, it is copied with its padding.
    for unknown in ["000001004000000c00000001", "0000fffec000000d000028afff000000", "00001092c0000010000185af00000007"]
    {
        let unknown = hex(unknown);
        assert_eq!(refused(&unknown, strict), (5001, unknown.clone()));
        assert_eq!(refused(&in_mscc(&unknown), strict), (5001, in_mscc(&unknown)));
        assert_eq!(refused(&in_ps(&unknown), strict), (5001, in_ps(&unknown)));
        assert_eq!(verdict(&in_ps(&unknown), Strictness::Tolerant), Ok(()));
        // Without M it may be there, wherever that is.
        let mut harmless = unknown.clone();
        harmless[4] &= !0x40;
        assert_eq!(verdict(&[harmless.clone(), in_ps(&harmless)].concat(), strict), Ok(()));
    }
    // Only the offending member is shown, not its neighbours.
    let (good, unknown) = (hex("0000001e40000010696e7465726e6574"), hex("000001004000000c00000001"));
    assert_eq!(refused(&in_ps(&[good, unknown.clone()].concat()), strict), (5001, in_ps(&unknown)));
    // What is known and means nothing here is understood all the same.
    let mut known = Vec::new();
    Writer::bare(&mut known).u32(&d::NAS_PORT, 1);
    assert_eq!(verdict(&known, strict), Ok(()));
}

// tests: B-25
#[test]
fn members_are_judged_one_by_one_in_groups_that_are_known() {
    let unknown = hex("000001004000000c00000001");
    // A known group whose own M is clear.
    let mut group = in_ps(&unknown);
    group[4] &= !0x40;
    assert_eq!(refused(&group, Strictness::Strict), (5001, in_ps(&unknown)));
    // An unknown one without M, whatever is in it; with M, it is itself what is not known, as a whole.
    let mut stranger = hex("000010920000001400000100");
    stranger.extend(hex("4000000c00000001"));
    assert_eq!(verdict(&stranger, Strictness::Strict), Ok(()));
    stranger[4] |= 0x40;
    assert_eq!(refused(&stranger, Strictness::Strict), (5001, stranger.clone()));
}

// tests: B-26, B-27
#[test]
fn flags_of_known_avps_are_not_judged() {
    // CC-Total-Octets without M, Called-Station-Id with P and reserved bits, Error-Message with M, which should be clear.
    let odd = [
        in_usu(&hex("000001a5000000100000000000000001")),
        in_ps(&hex("0000001e3f000010696e7465726e6574")),
        hex("000001194000000961000000"),
    ];
    assert_eq!(verdict(&odd.concat(), Strictness::Strict), Ok(()));
    // V makes it another AVP: Rating-Group of 3GPP is none.
    let other = hex("000001b0c0000010000028af0000000a");
    assert_eq!(refused(&in_mscc(&other), Strictness::Strict), (5001, in_mscc(&other)));
    // V without a vendor names nothing. It is refused where it must be understood, and ignored in a group.
    let nameless = hex("000001b0c0000010000000000000000a");
    assert_eq!(refused(&nameless, Strictness::Tolerant), (3009, nameless.clone()));
    assert_eq!(verdict(&in_mscc(&nameless), Strictness::Strict), Ok(()));
}

// tests: B-72, B-73
#[test]
fn wrong_members_are_shown_in_their_place() {
    let tolerant = Strictness::Tolerant;
    // CC-Time of three octets, in the standard's own example of a place: zeros of the right size.
    let example = hex("000001a44000000c00000000");
    assert_eq!(refused(&in_usu(&hex("000001a44000000b01020300")), tolerant), (5014, in_usu(&example)));
    // The same of a vendor.
    let example = hex("00000368c0000010000028af00000000");
    assert_eq!(refused(&in_mscc(&hex("00000368c000000e000028af00030000")), tolerant), (5014, in_mscc(&example)));
    // The second of one: it is the second that is shown.
    let (first, second) = (hex("000001a44000000c00000001"), hex("000001a44000000c00000002"));
    assert_eq!(refused(&in_usu(&[first, second.clone()].concat()), tolerant), (5009, in_usu(&second)));
    // A member that is missing: an example of it.
    let kind = hex("000001c24000000c00000000");
    let (group, example) =
        (wrapped(&d::SUBSCRIPTION_ID, &kind), wrapped(&d::SUBSCRIPTION_ID, &hex("000001bc40000008")));
    assert_eq!(refused(&group, tolerant), (5005, example));
    // What only answers may have.
    let result = hex("0000010c4000000c000007d1");
    assert_eq!(refused(&result, Strictness::Strict), (5008, result));
}

// tests: B-71, B-73, B-74
#[test]
fn an_answer_has_one_failed_avp_for_the_first_of_several() {
    let body: Vec<u8> = {
        let whole = frame(CCR_I);
        let missing = [&d::SERVICE_CONTEXT_ID, &d::DESTINATION_REALM];
        let kept = Avps::new(whole.body()).flatten().filter(|avp| !missing.iter().any(|def| avp.is(def)));
        kept.flat_map(|avp| avp.raw.to_vec()).collect()
    };
    let mut out = Vec::new();
    let mut w = Writer::start(&mut out, Header::request(272, 4, true, 1, 2));
    w.raw(&body);
    w.finish();
    let request = Frame::from_bytes(out.into()).unwrap();
    let error = CreditControlRequest::parse(&request, Strictness::Tolerant).unwrap_err();
    let (mut answer, local): (Vec<u8>, Identity) = (Vec::new(), ocs());
    write_error_answer(&mut answer, &request, &local, &error);
    let answer = Frame::from_bytes(answer.into()).unwrap();
    let failed: Vec<_> = Avps::new(answer.body()).flatten().filter(|avp| avp.is(&d::FAILED_AVP)).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].data, hex("0000011b40000008"), "Destination-Realm comes first");
}
