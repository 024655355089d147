//! Any body is a CCR or is refused, strictly or not; the refusal is a well-formed message; what was read can be written
//! and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::diameter::{
    Avps, CreditControlAnswer, CreditControlRequest, Frame, Header, Identity, Writer,
    credit_control::Strictness,
    error::write_error_answer,
};

fuzz_target!(|body: &[u8]| {
    let mut out = Vec::new();
    let mut w = Writer::start(&mut out, Header::request(272, 4, true, 1, 2));
    w.raw(body);
    w.finish();
    let frame = Frame::from_bytes(out.into()).expect("the writer makes sane frames");
    let _ = CreditControlAnswer::parse(&frame);
    for strictness in [Strictness::Tolerant, Strictness::Strict] {
        let mut out = Vec::new();
        match CreditControlRequest::parse(&frame, strictness) {
            Ok(ccr) => {
                ccr.encode(&mut out);
                let again = Frame::from_bytes(out.into()).expect("the writer makes sane frames");
                let again = CreditControlRequest::parse(&again, strictness).expect("what was read can be read again");
                assert_eq!((ccr.session_id, ccr.services.len()), (again.session_id, again.services.len()));
            }
            Err(error) => {
                let local = Identity { host: "o.example".into(), realm: "example".into() };
                write_error_answer(&mut out, &frame, &local, &error);
                let answer = Frame::from_bytes(out.into()).expect("the writer makes sane frames");
                assert!(Avps::new(answer.body()).all(|avp| avp.is_ok()));
            }
        }
    }
});
