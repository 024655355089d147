//! Octets from the network: frames, AVPs, requests, answers, and a connection's machine.

use std::sync::Arc;

use bytes::BytesMut;
use tollgate::{
    diameter::{
        Avps, CreditControlAnswer, CreditControlRequest, ResultCode,
        avp::AVP_DEPTH_MAX,
        base::{BaseMessage, LocalNode},
        credit_control::Strictness,
        dictionary::command,
        error::{write_error_answer, write_frame_error_answer},
        frame::{HEADER_LEN, MESSAGE_MAX_DEFAULT, split},
        peer::{Action, Admission, Input, Peer, Timers},
        reauth::{SessionAnswer, SessionRequest},
    },
    time::Timestamp,
};

use super::{ANSWER_MORE_MAX, MESSAGES_MAX, local, message, well_formed};

/// Any stream of octets is cut into messages or refused; what is cut out is sane, and the same however the octets come.
pub(crate) fn frame(octets: &[u8]) {
    let whole = cut(octets, octets.len().max(1));
    for pieces in [1, 7, 64] {
        assert_eq!(cut(octets, pieces), whole);
    }
}

/// The messages of a stream that arrives in pieces, and how it ended.
fn cut(octets: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<ResultCode>) {
    let mut messages = Vec::new();
    let mut buffer = BytesMut::new();
    for octets in octets.chunks(piece) {
        buffer.extend_from_slice(octets);
        loop {
            match split(&mut buffer, MESSAGE_MAX_DEFAULT) {
                Ok(Some(frame)) => {
                    let length = frame.header().length as usize;
                    assert!(length == frame.as_bytes().len() && length >= HEADER_LEN && length.is_multiple_of(4));
                    assert_eq!(frame.body().len(), length - HEADER_LEN);
                    messages.push(frame.as_bytes().to_vec());
                }
                Ok(None) => break,
                // Whether it can be answered depends on how much of the header is there; that it is refused does not.
                Err(error) => {
                    if let Some(header) = error.answerable() {
                        let mut out = Vec::new();
                        write_frame_error_answer(&mut out, &header, &local(), error.result_code());
                        well_formed(&out);
                    }
                    return (messages, Some(error.result_code()));
                }
            }
        }
    }
    (messages, None)
}

/// Any octets are read as AVPs, as deep as they go, and no octet is read twice.
pub(crate) fn avp(octets: &[u8]) {
    read(octets, 0);
}

fn read(octets: &[u8], depth: usize) {
    let mut length = 0;
    for avp in Avps::new(octets) {
        match avp {
            Ok(avp) => {
                length += avp.raw.len();
                let _ = (avp.u32(), avp.u64(), avp.i32(), avp.i64(), avp.time(), avp.utf8(), avp.address());
                if depth < AVP_DEPTH_MAX {
                    read(avp.data, depth + 1);
                }
            }
            // What goes into Failed-AVP can itself be read.
            Err(error) => assert!(Avps::new(&error.failed).all(|avp| avp.is_ok())),
        }
    }
    assert!(length <= octets.len());
}

/// Any body is a CCR or is refused, strictly or not; the refusal is a well-formed message; what was read can be written,
/// read again, and is the same.
pub(crate) fn ccr(body: &[u8]) {
    let Some(frame) = message(command::CREDIT_CONTROL, body) else { return };
    for strictness in [Strictness::Tolerant, Strictness::Strict] {
        match CreditControlRequest::parse(&frame, strictness) {
            Ok(ccr) => {
                let written = encoded(&ccr);
                let frame = well_formed(&written);
                let again = CreditControlRequest::parse(&frame, strictness).expect("what was read can be read again");
                assert_eq!((&again.session_id, &again.subscription_ids), (&ccr.session_id, &ccr.subscription_ids));
                let units = |ccr: &CreditControlRequest<'_>| {
                    let services = ccr.services.iter().map(|service| {
                        let used: Vec<_> = service.all_used().copied().collect();
                        (service.rating_group, service.service_identifier, service.requested, used)
                    });
                    (ccr.requested, ccr.used.clone(), services.collect::<Vec<_>>())
                };
                assert_eq!(units(&again), units(&ccr));
                assert_eq!(encoded(&again), written, "written twice it is the same");
            }
            Err(error) => {
                let mut out = Vec::new();
                write_error_answer(&mut out, &frame, &local(), &error);
                well_formed(&out);
                assert!(out.len() <= 2 * frame.as_bytes().len() + ANSWER_MORE_MAX);
            }
        }
    }
}

fn encoded(ccr: &CreditControlRequest<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    ccr.encode(&mut out);
    out
}

/// Any body is an answer to a client, or is refused; what was read of a CCA can be written and read again. RAR, RAA and the
/// messages of the base protocol are read alike.
pub(crate) fn cca(body: &[u8]) {
    let Some(frame) = message(command::CREDIT_CONTROL, body) else { return };
    let _ = BaseMessage::parse(&frame);
    let _ = SessionAnswer::parse(&frame);
    if let Ok(request) = SessionRequest::parse(&frame) {
        let mut out = Vec::new();
        request.write_rar(&mut out, &local(), 5, 6);
        let rar = well_formed(&out);
        assert_eq!(SessionRequest::parse(&rar).expect("what was written can be read"), request);
        let mut out = Vec::new();
        SessionAnswer::write(&mut out, &rar, &local(), ResultCode::LIMITED_SUCCESS);
        let raa = well_formed(&out);
        assert_eq!(
            SessionAnswer::parse(&raa).expect("what was written can be read").session_id,
            Some(request.session_id)
        );
    }
    if let Ok(received) = CreditControlAnswer::parse(&frame)
        && !received.answer.result_code.is_protocol_error()
    {
        let mut out = Vec::new();
        received.answer.encode(&frame, &local(), &mut out);
        let again = well_formed(&out);
        let mut again = CreditControlAnswer::parse(&again).expect("what was written can be read").answer;
        let mut first = received.answer;
        // An answer that lacks what CCA demands is written as an error, which has no services.
        if received.session_id.is_some() && received.request_type.is_some() && received.request_number.is_some() {
            // What is shown of the request is framed anew.
            (first.failed_avp, again.failed_avp) = (None, None);
            assert_eq!(again, first);
        }
    }
}

/// A connection's machine takes any messages, in any order, and what it sends is well formed. The first octet says which
/// side of the connection this is.
pub(crate) fn peer(octets: &[u8]) {
    let Some((side, octets)) = octets.split_first() else { return };
    let mut now = Timestamp::from_secs(1_000_000);
    let node = Arc::new(LocalNode::credit_control(local(), vec![[127, 0, 0, 1].into()]));
    let mut peer = if side % 2 == 0 {
        Peer::responder(node, Admission::Anyone, Timers::default(), u64::from(*side), now)
    } else {
        Peer::initiator(node, Timers::default(), u64::from(*side), now)
    };
    let mut closed = judge(peer.handle(Input::Connected, now));
    let mut buffer = BytesMut::from(octets);
    for _ in 0..MESSAGES_MAX {
        let Ok(Some(frame)) = split(&mut buffer, MESSAGE_MAX_DEFAULT) else { break };
        closed |= judge(peer.handle(Input::Message(&frame), now));
        now = now.plus_secs(u64::from(frame.header().end_to_end % 60));
        if peer.deadline().is_some_and(|deadline| deadline <= now) {
            closed |= judge(peer.handle(Input::Tick, now));
        }
        if closed {
            break;
        }
    }
}

fn judge(actions: Vec<Action>) -> bool {
    let mut closed = false;
    for action in actions {
        match action {
            Action::Send(octets) => {
                let mut buffer = BytesMut::from(&octets[..]);
                while let Ok(Some(frame)) = split(&mut buffer, MESSAGE_MAX_DEFAULT) {
                    well_formed(frame.as_bytes());
                }
                assert!(buffer.is_empty(), "whole messages only");
            }
            Action::Close(_) => closed = true,
            _ => {}
        }
    }
    closed
}
