//! What the user's equipment is (RFC 8506 8.49, 8.53, spec C-166), and other AVPs of the command that are kept as they are.

use crate::diameter::{
    avp::Avps,
    dictionary::{self as d, AvpDef, key},
    writer::Writer,
};

use super::group::{Member, enumerated, group};

/// User-Equipment-Info, or the one member of User-Equipment-Info-Extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserEquipment<'a> {
    /// User-Equipment-Info-Type, or which member it was.
    pub kind: EquipmentKind,
    /// The value as received: an IMEISV comes as 16 digits or as 8 octets of swapped digits (spec C-166).
    pub value: &'a [u8],
}

enumerated! {
    /// User-Equipment-Info-Type (RFC 8506 8.50).
    pub enum EquipmentKind {
        /// IMEI and software version.
        Imeisv = 0,
        /// MAC address.
        Mac = 1,
        /// EUI-64.
        Eui64 = 2,
        /// Modified EUI-64.
        ModifiedEui64 = 3,
        /// IMEI: only in User-Equipment-Info-Extension; the number is this product's.
        Imei = 4,
    }
}

const EXTENSION: [(&AvpDef, EquipmentKind); 5] = [
    (&d::USER_EQUIPMENT_INFO_IMEISV, EquipmentKind::Imeisv),
    (&d::USER_EQUIPMENT_INFO_MAC, EquipmentKind::Mac),
    (&d::USER_EQUIPMENT_INFO_EUI64, EquipmentKind::Eui64),
    (&d::USER_EQUIPMENT_INFO_MODIFIEDEUI64, EquipmentKind::ModifiedEui64),
    (&d::USER_EQUIPMENT_INFO_IMEI, EquipmentKind::Imei),
];

impl<'a> UserEquipment<'a> {
    /// Reads the members of User-Equipment-Info.
    pub fn parse(members: &'a [u8]) -> Option<Self> {
        let (mut kind, mut value) = (None, None);
        for avp in Avps::new(members).map_while(Result::ok) {
            match avp.key() {
                key::USER_EQUIPMENT_INFO_TYPE => kind = EquipmentKind::read(&avp).filter(|kind| *kind as u32 <= 3),
                key::USER_EQUIPMENT_INFO_VALUE => value = Some(avp.data),
                _ => {}
            }
        }
        Some(Self { kind: kind?, value: value? })
    }

    /// Reads the one member of User-Equipment-Info-Extension.
    pub fn parse_extension(members: &'a [u8]) -> Option<Self> {
        Avps::new(members).map_while(Result::ok).find_map(|avp| {
            let (_, kind) = EXTENSION.iter().find(|(def, _)| avp.is(def))?;
            Some(Self { kind: *kind, value: avp.data })
        })
    }

    /// Writes User-Equipment-Info, or the extension for what only that can say.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        if self.kind == EquipmentKind::Imei {
            w.group(&d::USER_EQUIPMENT_INFO_EXTENSION, |w| w.octets(&d::USER_EQUIPMENT_INFO_IMEI, self.value));
            return;
        }
        w.group(&d::USER_EQUIPMENT_INFO, |w| {
            self.kind.write(&d::USER_EQUIPMENT_INFO_TYPE, w);
            w.octets(&d::USER_EQUIPMENT_INFO_VALUE, self.value);
        });
    }
}

group! {
    /// Service-Parameter-Info (RFC 8506 8.43): what the parties agreed on.
    pub struct ServiceParameter<'a> {
        /// Service-Parameter-Type.
        kind: Option<u32> = SERVICE_PARAMETER_TYPE,
        /// Service-Parameter-Value.
        value: Option<&'a [u8]> = SERVICE_PARAMETER_VALUE,
    }
}

enumerated! {
    /// AoC-Request-Type (TS 32.299 7.2.14A, spec G-85): what the client wants to be told of the price.
    pub enum AocRequestType {
        /// Nothing.
        NotRequested = 0,
        /// Cost and tariff.
        Full = 1,
        /// The cost.
        CostOnly = 2,
        /// The tariff.
        TariffOnly = 3,
    }
}

impl AocRequestType {
    /// Whether the cost is wanted.
    pub const fn wants_cost(self) -> bool {
        matches!(self, Self::Full | Self::CostOnly)
    }

    /// Whether the tariff is wanted.
    pub const fn wants_tariff(self) -> bool {
        matches!(self, Self::Full | Self::TariffOnly)
    }
}
