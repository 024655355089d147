//! Overload indication (RFC 7683): what a client understands, and what a server tells it.

use crate::diameter::{dictionary as d, writer::Writer};

use super::group::{Member, enumerated, group};

/// OC-Feature-Vector: the loss algorithm, which everybody must understand (RFC 7683 7.2).
pub const OC_LOSS: u64 = 1;

group! {
    /// OC-Supported-Features.
    pub struct SupportedFeatures {
        /// OC-Feature-Vector; absent means [`OC_LOSS`].
        features: Option<u64> = OC_FEATURE_VECTOR,
    }
}

group! {
    /// OC-OLR: an overload report.
    pub struct OverloadReport {
        /// OC-Sequence-Number: higher with each change.
        sequence: Option<u64> = OC_SEQUENCE_NUMBER,
        /// OC-Report-Type.
        kind: Option<OverloadReportType> = OC_REPORT_TYPE,
        /// OC-Reduction-Percentage: how many of a hundred requests are not to be sent.
        reduction: Option<u32> = OC_REDUCTION_PERCENTAGE,
        /// OC-Validity-Duration, seconds: 30 when absent; 0 ends it.
        validity_secs: Option<u32> = OC_VALIDITY_DURATION,
    }
}

enumerated! {
    /// OC-Report-Type.
    pub enum OverloadReportType {
        /// About requests with this Destination-Host.
        Host = 0,
        /// About requests with this realm and no Destination-Host.
        Realm = 1,
    }
}

impl SupportedFeatures {
    /// Whether the loss algorithm is among them.
    pub fn has_loss(&self) -> bool {
        self.features.is_none_or(|features| features & OC_LOSS != 0)
    }
}

/// Adds both AVPs to a message that was written to `out` from `start` on, whatever kind of answer it is: reports go with
/// refusals too.
pub fn append_overload(out: &mut Vec<u8>, start: usize, features: &SupportedFeatures, report: Option<&OverloadReport>) {
    append(out, start, |w| {
        features.write(&d::OC_SUPPORTED_FEATURES, w);
        if let Some(report) = report {
            report.write(&d::OC_OLR, w);
        }
    });
}

/// More AVPs for a message that is finished.
pub(super) fn append(out: &mut Vec<u8>, start: usize, write: impl FnOnce(&mut Writer<'_>)) {
    write(&mut Writer::bare(out));
    let [_, length @ ..] = (out.len().saturating_sub(start) as u32).to_be_bytes();
    if let Some(field) = out.get_mut(start + 1..start + 4) {
        field.copy_from_slice(&length);
    }
}
