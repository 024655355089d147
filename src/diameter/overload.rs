//! Overload control (RFC 7683): what a server that is overloaded tells clients that have offered to ask less.
//!
//! Nothing is negotiated beforehand: a request that carries OC-Supported-Features is answered with the one abatement
//! algorithm that is supported, loss, and with OC-OLR while there is something to report. Others are told nothing.

use super::{
    avp::Avps,
    dictionary::{self as d, key},
    writer::Writer,
};

/// OLR_DEFAULT_ALGO, the loss algorithm, which every participant has (RFC 7683 7.2).
const LOSS: u64 = 1;
/// HOST_REPORT (RFC 7683 7.6): this node, not its realm.
const HOST_REPORT: u32 = 0;

/// How long a report holds unless a newer one comes; the standard's default (RFC 7683 7.5).
pub const REPORT_VALIDITY_SECS: u32 = 30;

/// A report of overload (RFC 7683 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// OC-Sequence-Number: higher in each report that says something else.
    pub sequence: u64,
    /// OC-Reduction-Percentage: how many of a hundred requests are to be kept back.
    pub percentage: u32,
    /// OC-Validity-Duration, seconds; 0 ends the overload.
    pub validity_secs: u32,
}

/// Whether OC-Supported-Features, the members of which these are, offers the loss algorithm. One that names no algorithm
/// has it.
pub(super) fn offers_loss(members: &[u8]) -> bool {
    let features = Avps::new(members).map_while(Result::ok).find(|avp| avp.key() == key::OC_FEATURE_VECTOR);
    features.is_none_or(|avp| avp.u64().is_ok_and(|features| features & LOSS != 0))
}

/// Adds to the answer that begins at `start`, and is the last thing in `out`, what a participant is told.
pub fn append(out: &mut Vec<u8>, start: usize, report: Option<Report>) {
    let Some(mut w) = Writer::resume(out, start) else { return };
    w.group(&d::OC_SUPPORTED_FEATURES, |w| w.u64(&d::OC_FEATURE_VECTOR, LOSS));
    if let Some(report) = report {
        w.group(&d::OC_OLR, |w| {
            w.u64(&d::OC_SEQUENCE_NUMBER, report.sequence);
            w.u32(&d::OC_REPORT_TYPE, HOST_REPORT);
            w.u32(&d::OC_REDUCTION_PERCENTAGE, report.percentage);
            w.u32(&d::OC_VALIDITY_DURATION, report.validity_secs);
        });
    }
    w.finish();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::vectors::hex;

    // tests: G-23
    #[test]
    fn the_loss_algorithm_is_the_default() {
        for (members, offered) in [
            ("", true),
            ("0000026e000000100000000000000001", true),
            ("0000026e000000100000000000000003", true),
            ("0000026e000000100000000000000002", false),
            ("0000026e0000000c00000001", false),
        ] {
            assert_eq!(offers_loss(&hex(members)), offered, "{members}");
        }
    }
}
