//! What the numbers mean: commands, applications, vendors, AVP definitions and enumerated values.

mod avps;

pub use avps::*;

/// Data formats of AVPs (RFC 6733 4.2, 4.3 and 4.4; spec section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// Any octets.
    OctetString,
    /// Signed, 4 octets.
    Integer32,
    /// Signed, 8 octets.
    Integer64,
    /// Unsigned, 4 octets.
    Unsigned32,
    /// Unsigned, 8 octets.
    Unsigned64,
    /// UTF-8 text.
    Utf8String,
    /// Host or realm name.
    DiameterIdentity,
    /// `aaa://host:port;transport=tcp`.
    DiameterUri,
    /// A signed number with a list of meanings, 4 octets.
    Enumerated,
    /// Seconds since 1900, 4 octets (spec B-49).
    Time,
    /// Address family and address (spec B-48).
    Address,
    /// A filter rule as text (spec B-50).
    IpFilterRule,
    /// AVPs inside.
    Grouped,
}

impl DataType {
    /// The fewest octets that a value has: what the zero payload of an example in Failed-AVP is made of (spec B-72).
    pub const fn min_len(self) -> usize {
        match self {
            Self::Integer32 | Self::Unsigned32 | Self::Enumerated | Self::Time => 4,
            Self::Integer64 | Self::Unsigned64 => 8,
            // Family and an IPv4 address.
            Self::Address => 6,
            Self::OctetString
            | Self::Utf8String
            | Self::DiameterIdentity
            | Self::DiameterUri
            | Self::IpFilterRule
            | Self::Grouped => 0,
        }
    }
}

/// The definition of an AVP: what a writer needs to write its header, and a reader to recognise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvpDef {
    /// The standard's name for it.
    pub name: &'static str,
    /// AVP code.
    pub code: u32,
    /// Vendor id; 0 means that the V bit is clear.
    pub vendor: u32,
    /// Whether a sender sets the M bit.
    pub mandatory: bool,
    /// How the data is coded.
    pub data: DataType,
}

impl AvpDef {
    /// Vendor and code as one number, see [`key_of`].
    pub const fn key(&self) -> u64 {
        key_of(self.vendor, self.code)
    }

    /// The same AVP with the M bit clear: for where the grammar of a command has no place for it.
    #[must_use]
    pub const fn beyond_grammar(self) -> Self {
        Self { mandatory: false, ..self }
    }
}

/// Vendor and code as one number: the pair names an AVP (RFC 6733 4.1, spec B-22).
pub const fn key_of(vendor: u32, code: u32) -> u64 {
    ((vendor as u64) << 32) | code as u64
}

/// The definition of an AVP, if it is known at all (spec B-24: what is not known here is an "unknown AVP").
pub fn lookup(vendor: u32, code: u32) -> Option<&'static AvpDef> {
    let key = key_of(vendor, code);
    ALL.binary_search_by_key(&key, AvpDef::key).ok().map(|at| &ALL[at])
}

/// Every definition, sorted by vendor and code.
pub fn all() -> &'static [AvpDef] {
    ALL
}

/// Whether an AVP is a known group: its data must then be well-formed AVPs (spec B-65).
pub fn is_grouped(vendor: u32, code: u32) -> bool {
    let bits: &[u64] = match vendor {
        vendor::IETF => &GROUPED_IETF,
        vendor::TGPP => &GROUPED_TGPP,
        _ => return false,
    };
    bits.get(code as usize / 64).is_some_and(|word| word >> (code % 64) & 1 == 1)
}

/// One bit per code below this many times 64; the codes of the groups in the table all lie below (a test checks it).
const GROUPED_WORDS: usize = 80;
static GROUPED_IETF: [u64; GROUPED_WORDS] = grouped_bits(vendor::IETF);
static GROUPED_TGPP: [u64; GROUPED_WORDS] = grouped_bits(vendor::TGPP);

const fn grouped_bits(vendor: u32) -> [u64; GROUPED_WORDS] {
    let mut bits = [0; GROUPED_WORDS];
    let mut at = 0;
    while at < ALL.len() {
        let def = &ALL[at];
        if def.vendor == vendor && matches!(def.data, DataType::Grouped) {
            bits[def.code as usize / 64] |= 1 << (def.code % 64);
        }
        at += 1;
    }
    bits
}

/// Vendor ids (IANA private enterprise numbers).
pub mod vendor {
    /// No vendor: the AVP is of the IETF and its V bit is clear.
    pub const IETF: u32 = 0;
    /// 3GPP.
    pub const TGPP: u32 = 10_415;
    /// ETSI.
    pub const ETSI: u32 = 13_019;
    /// 3GPP2.
    pub const TGPP2: u32 = 5_535;
}

/// Command codes (RFC 6733 3.1, RFC 8506 3, TS 29.219; spec B-8).
pub mod command {
    /// CER and CEA.
    pub const CAPABILITIES_EXCHANGE: u32 = 257;
    /// RAR and RAA.
    pub const RE_AUTH: u32 = 258;
    /// ACR and ACA.
    pub const ACCOUNTING: u32 = 271;
    /// CCR and CCA.
    pub const CREDIT_CONTROL: u32 = 272;
    /// ASR and ASA.
    pub const ABORT_SESSION: u32 = 274;
    /// STR and STA.
    pub const SESSION_TERMINATION: u32 = 275;
    /// DWR and DWA.
    pub const DEVICE_WATCHDOG: u32 = 280;
    /// DPR and DPA.
    pub const DISCONNECT_PEER: u32 = 282;
}

/// Application ids (RFC 6733 2.4, RFC 8506, TS 29.219; spec B-9).
pub mod application {
    /// Base protocol: CER, DWR, DPR.
    pub const COMMON: u32 = 0;
    /// Base accounting.
    pub const ACCOUNTING: u32 = 3;
    /// Credit control: Gy and Ro.
    pub const CREDIT_CONTROL: u32 = 4;
    /// Spending limits: Sy.
    pub const SY: u32 = 16_777_302;
    /// A relay: has every application in common (spec B-144).
    pub const RELAY: u32 = 0xffff_ffff;
}

/// Values of Requested-Action (RFC 8506 8.41).
pub mod requested_action {
    /// Debit at once.
    pub const DIRECT_DEBITING: u32 = 0;
    /// Give back what was debited.
    pub const REFUND_ACCOUNT: u32 = 1;
    /// Is there enough credit?
    pub const CHECK_BALANCE: u32 = 2;
    /// What does it cost?
    pub const PRICE_ENQUIRY: u32 = 3;
}

/// Values of Subscription-Id-Type (RFC 8506 8.47, spec C-160).
pub mod subscription_id_type {
    /// International number, digits without `+`.
    pub const E164: u32 = 0;
    /// IMSI.
    pub const IMSI: u32 = 1;
    /// SIP URI.
    pub const SIP_URI: u32 = 2;
    /// Network access identifier.
    pub const NAI: u32 = 3;
    /// Whatever the parties agreed on.
    pub const PRIVATE: u32 = 4;
}

/// Values of Reporting-Reason (TS 32.299 7.2.175, spec section 6 of gy-ro-3gpp).
pub mod reporting_reason {
    /// The threshold was reached; the client serves on from the rest.
    pub const THRESHOLD: u32 = 0;
    /// Idle for the Quota-Holding-Time: quota handed back.
    pub const QHT: u32 = 1;
    /// The service or the session has ended.
    pub const FINAL: u32 = 2;
    /// The quota is used up.
    pub const QUOTA_EXHAUSTED: u32 = 3;
    /// Validity-Time ended.
    pub const VALIDITY_TIME: u32 = 4;
    /// Another unit of the quota reached its limit.
    pub const OTHER_QUOTA_TYPE: u32 = 5;
    /// An armed trigger fired.
    pub const RATING_CONDITION_CHANGE: u32 = 6;
    /// The server asked by RAR.
    pub const FORCED_REAUTHORISATION: u32 = 7;
    /// The credit pool is used up.
    pub const POOL_EXHAUSTED: u32 = 8;
    /// No quota was in use for the Unused-Quota-Timer.
    pub const UNUSED_QUOTA_TIMER: u32 = 9;
}

/// Values of Termination-Cause (RFC 6733 8.15, spec B-202).
pub mod termination_cause {
    /// The user ended the session.
    pub const LOGOUT: u32 = 1;
    /// The service was not provided.
    pub const SERVICE_NOT_PROVIDED: u32 = 2;
    /// The client could not use the answer (spec C-66).
    pub const BAD_ANSWER: u32 = 3;
    /// An administrator did.
    pub const ADMINISTRATIVE: u32 = 4;
    /// The link broke.
    pub const LINK_BROKEN: u32 = 5;
    /// The authorisation expired.
    pub const AUTH_EXPIRED: u32 = 6;
    /// The user moved.
    pub const USER_MOVED: u32 = 7;
    /// The session took too long.
    pub const SESSION_TIMEOUT: u32 = 8;
}

/// Values of Trigger-Type (TS 32.299 7.2.235, spec G-52) on which a tariff may depend (spec G-53). The others only tell a
/// client's reason.
pub mod trigger_type {
    /// Another SGSN.
    pub const SGSN_ADDRESS: u32 = 1;
    /// Any change of the QoS; excludes the finer ones.
    pub const QOS: u32 = 2;
    /// Any change of the location; excludes the finer ones.
    pub const LOCATION: u32 = 3;
    /// Another radio technology.
    pub const RAT: u32 = 4;
    /// Another time zone.
    pub const TIME_ZONE: u32 = 5;
    /// Another country.
    pub const LOCATION_MCC: u32 = 30;
    /// Another network.
    pub const LOCATION_MNC: u32 = 31;
    /// Another routing area.
    pub const LOCATION_RAC: u32 = 32;
    /// Another location area.
    pub const LOCATION_LAC: u32 = 33;
    /// Another cell of GSM or UMTS.
    pub const LOCATION_CELL: u32 = 34;
    /// Another tracking area.
    pub const LOCATION_TAC: u32 = 35;
    /// Another cell of E-UTRAN.
    pub const LOCATION_ECGI: u32 = 36;
    /// Other media in a call.
    pub const MEDIA_COMPOSITION: u32 = 40;
    /// Another serving node.
    pub const SERVING_NODE: u32 = 61;
    /// In or out of a presence reporting area.
    pub const PRESENCE_REPORTING_AREA: u32 = 73;
}

/// Values of 3GPP-RAT-Type (TS 29.061 16.4.7, spec G-91). RAT-Type (1032) of Gx counts differently.
pub mod rat_type {
    /// UMTS.
    pub const UTRAN: u8 = 1;
    /// GSM.
    pub const GERAN: u8 = 2;
    /// Wireless LAN.
    pub const WLAN: u8 = 3;
    /// Generic access.
    pub const GAN: u8 = 4;
    /// HSPA evolution.
    pub const HSPA_EVOLUTION: u8 = 5;
    /// LTE.
    pub const EUTRAN: u8 = 6;
    /// Virtual.
    pub const VIRTUAL: u8 = 7;
    /// Narrow band.
    pub const NB_IOT: u8 = 8;
    /// LTE for machines.
    pub const LTE_M: u8 = 9;
    /// NR with an EPC.
    pub const NR: u8 = 10;
    /// 5G.
    pub const NG_RAN: u8 = 51;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_can_be_searched() {
        assert!(ALL.windows(2).all(|pair| pair[0].key() < pair[1].key()));
        for def in ALL {
            assert_eq!(lookup(def.vendor, def.code), Some(def));
            assert_eq!(is_grouped(def.vendor, def.code), def.data == DataType::Grouped, "{}", def.name);
        }
        assert_eq!(lookup(0, 256), None);
        assert!(!is_grouped(0, u32::MAX) && !is_grouped(1_368, 901));
    }
}
