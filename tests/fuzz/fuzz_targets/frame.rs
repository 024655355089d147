//! Any stream of octets is cut into messages or refused; what is cut out is sane.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tollgate::diameter::frame::{HEADER_LEN, MESSAGE_MAX_DEFAULT, split};

fuzz_target!(|octets: &[u8]| {
    let mut buffer = BytesMut::from(octets);
    while let Ok(Some(frame)) = split(&mut buffer, MESSAGE_MAX_DEFAULT) {
        let length = frame.header().length as usize;
        assert!(length == frame.as_bytes().len() && length >= HEADER_LEN && length % 4 == 0);
        assert_eq!(frame.body().len(), length - HEADER_LEN);
    }
});
