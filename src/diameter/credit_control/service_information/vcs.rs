//! VCS-Information (TS 32.299 7.2.243, TS 32.276, spec G-140): circuit-switched calls through a proxy. Party numbers and
//! the role are in IMS-Information beside it.

use crate::{
    diameter::{avp::Avp, dictionary::AvpDef, writer::Writer},
    time::Timestamp,
};

use super::super::group::{Member, group};

group! {
    /// VCS-Information.
    pub struct VcsInformation<'a> {
        /// Bearer-Capability.
        bearer_capability: Option<&'a [u8]> = BEARER_CAPABILITY,
        /// Basic-Service-Code.
        basic_service: Option<BasicService<'a>> = BASIC_SERVICE_CODE,
        /// Network-Call-Reference-Number.
        call_reference: Option<&'a [u8]> = NETWORK_CALL_REFERENCE_NUMBER,
        /// MSC-Address.
        msc: Option<SwappedDigits<'a>> = MSC_ADDRESS,
        /// ISUP-Location-Number.
        location_number: Option<SwappedDigits<'a>> = ISUP_LOCATION_NUMBER,
        /// VLR-Number: its country code tells where the user is (spec G-141).
        vlr: Option<SwappedDigits<'a>> = VLR_NUMBER,
        /// Forwarding-Pending.
        forwarding: Option<bool> = FORWARDING_PENDING,
        /// ISUP-Cause.
        cause: Option<IsupCause<'a>> = ISUP_CAUSE,
        /// Start-Time.
        start: Option<Timestamp> = START_TIME,
        /// Start-of-Charging.
        charging_start: Option<Timestamp> = START_OF_CHARGING,
        /// Stop-Time.
        stop: Option<Timestamp> = STOP_TIME,
        /// PS-Free-Format-Data.
        free_format: Option<&'a [u8]> = PS_FREE_FORMAT_DATA,
    }
}

group! {
    /// Basic-Service-Code: one of the two (TS 29.002).
    pub struct BasicService<'a> {
        /// Bearer-Service.
        bearer: Option<&'a [u8]> = BEARER_SERVICE,
        /// Teleservice: 0x11 is telephony, 0x12 an emergency call.
        teleservice: Option<&'a [u8]> = TELESERVICE,
    }
}

group! {
    /// ISUP-Cause.
    pub struct IsupCause<'a> {
        /// ISUP-Cause-Location.
        location: Option<u32> = ISUP_CAUSE_LOCATION,
        /// ISUP-Cause-Value (Q.850): 16 is normal clearing.
        value: Option<u32> = ISUP_CAUSE_VALUE,
        /// ISUP-Cause-Diagnostics.
        diagnostics: Option<&'a [u8]> = ISUP_CAUSE_DIAGNOSTICS,
    }
}

/// A number as swapped digits (TBCD), without an octet that says of what nature it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwappedDigits<'a>(pub &'a [u8]);

impl<'a> SwappedDigits<'a> {
    /// The digits up to the filler: `*`, `#`, `a`, `b` and `c` may be among them.
    pub fn digits(self) -> impl Iterator<Item = char> + 'a {
        let halves = self.0.iter().flat_map(|octet| [octet & 15, octet >> 4]);
        halves.map_while(|half| b"0123456789*#abc".get(usize::from(half)).map(|digit| char::from(*digit)))
    }
}

impl<'a> Member<'a> for SwappedDigits<'a> {
    fn read(avp: &Avp<'a>) -> Option<Self> {
        Some(Self(avp.data))
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.octets(def, self.0);
    }
}
