//! Any octets are read as AVPs, as deep as they go, without a panic, and no octet is read twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::diameter::{avp::AVP_DEPTH_MAX, Avps};

fuzz_target!(|octets: &[u8]| read(octets, 0));

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
