//! Overload indication (RFC 7683): what a client understands, and what a server tells it.

use crate::diameter::{
    avp::Avps,
    dictionary::{self as d, key},
    writer::Writer,
};

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

/// Whether OC-Supported-Features, the members of which these are, has the loss algorithm among them. Nothing else is made of
/// them: what is out of form is no offer.
pub(in crate::diameter) fn offers_loss(members: &[u8]) -> bool {
    let vector = Avps::new(members).map_while(Result::ok).find(|avp| avp.key() == key::OC_FEATURE_VECTOR);
    vector.is_none_or(|avp| avp.u64().is_ok_and(|features| features & OC_LOSS != 0))
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
