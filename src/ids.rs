//! Identifiers. Small numbers where the hot path needs them, text only where a peer or a person chose it.

mod token;
mod voucher;

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::Arc,
};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

pub use self::{
    token::RefundToken,
    voucher::{VOUCHER_DIGITS, VoucherCode, VoucherCodeError, VoucherKey},
};

/// An account. Chosen by whoever creates it; above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AccountId(pub u64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A bucket, unique within its account. [`BucketId::MAIN`] is the main money bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(pub u32);

impl BucketId {
    /// The main money bucket, which every account has and which alone may go below zero.
    pub const MAIN: Self = Self(1);
}

/// A credit-control session, numbered upwards within its partition and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionNo(pub u64);

/// A partition of the store: an account and all that it touches live in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u16);

impl PartitionId {
    /// Where an account lives. The mapping is stored with the data by way of the number of partitions: both stay.
    pub fn of(account: AccountId, partitions: u16) -> Self {
        // Fibonacci hashing: neighbours are spread, and the high half of the product is uniform.
        let spread = account.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        Self((spread % u64::from(partitions.max(1))) as u16)
    }
}

/// Rating-Group (RFC 8506 8.29).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RatingGroup(pub u32);

/// The key of a quota inside a session (spec C-31): Rating-Group and the set of Service-Identifiers. Both may be absent
/// (spec I-9): then the default rating group of the service context applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct QuotaKey {
    /// Rating-Group as received.
    pub rating_group: Option<u32>,
    /// Service-Identifier as received; the lowest, if there are several.
    pub service_identifier: Option<u32>,
    /// A digest of the further Service-Identifiers, in ascending order; 0 = there are none (spec C-30).
    pub further: u32,
}

impl QuotaKey {
    /// The key of a rating group and of services in any order (spec C-30: a set).
    pub fn of(rating_group: Option<u32>, service_identifiers: &[u32]) -> Self {
        let (service_identifier, further) = match service_identifiers {
            [] => (None, 0),
            [one] => (Some(*one), 0),
            several => {
                let mut several = several.to_vec();
                several.sort_unstable();
                several.dedup();
                // FNV-1a, which is spread well enough over the few keys of one session.
                let mix = |hash: u32, octet: u8| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193);
                let further = several.get(1..).unwrap_or_default().iter().flat_map(|id| id.to_be_bytes());
                let digest = further.fold(0x811c_9dc5, mix);
                (several.first().copied(), if several.len() > 1 { digest.max(1) } else { 0 })
            }
        };
        Self { rating_group, service_identifier, further }
    }
}

/// A Diameter Session-Id: opaque octets, compared octet by octet (RFC 6733 8.8, spec B-100).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Arc<[u8]>);

impl SessionId {
    /// A copy of the octets.
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.into())
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// 128 bits that stand for a Session-Id: SipHash-1-3 under an all-zero key. Stable: checkpoints store it.
///
/// What has ended is remembered by its key alone. That two Session-Ids of millions have the same one by chance is less
/// likely than that memory fails (about 10^-24 for 10^7 of them). Who makes two on purpose can only confuse sessions that
/// he opens himself, and is a client of the operator's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SessionKey(pub u128);

impl SessionKey {
    /// The key of a Session-Id.
    pub fn of(session_id: &[u8]) -> Self {
        let hash = SipHasher13::new().hash(session_id);
        Self::from_halves(hash.h1, hash.h2)
    }

    /// The key of a sub-session (spec C-23); 0 is the session itself.
    pub fn of_sub_session(session_id: &[u8], sub_session: u64) -> Self {
        if sub_session == 0 {
            return Self::of(session_id);
        }
        let mut hasher = SipHasher13::new();
        hasher.write(session_id);
        // No Session-Id is valid UTF-8 with this octet in it.
        hasher.write_u8(0xff);
        hasher.write_u64(sub_session);
        let hash = hasher.finish128();
        Self::from_halves(hash.h1, hash.h2)
    }

    /// The key of something that goes by the name of a session and is none: what it is says `what`, from 1.
    pub const fn derived(self, what: u64) -> Self {
        // An odd factor: different things have different keys.
        Self(self.0 ^ (what as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    /// From its halves, high and low.
    pub const fn from_halves(high: u64, low: u64) -> Self {
        Self((high as u128) << 64 | low as u128)
    }

    /// Its halves, high and low.
    pub const fn halves(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }
}

/// The key is a hash already.
impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 as u64);
    }
}

/// The kind of a subscriber's identity (Subscription-Id-Type, RFC 8506 8.47).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityKind {
    /// MSISDN: digits in international form without "+".
    E164,
    /// International mobile subscriber identity: digits.
    Imsi,
    /// SIP URI.
    SipUri,
    /// Network access identifier.
    Nai,
    /// An operator's own.
    Private,
}

impl IdentityKind {
    /// Its Subscription-Id-Type.
    pub const fn subscription_id_type(self) -> u32 {
        match self {
            Self::E164 => 0,
            Self::Imsi => 1,
            Self::SipUri => 2,
            Self::Nai => 3,
            Self::Private => 4,
        }
    }

    /// The kind with this Subscription-Id-Type.
    pub const fn from_subscription_id_type(value: u32) -> Option<Self> {
        Some(match value {
            0 => Self::E164,
            1 => Self::Imsi,
            2 => Self::SipUri,
            3 => Self::Nai,
            4 => Self::Private,
            _ => return None,
        })
    }
}

/// The longest identity that is stored: RFC 3261 and RFC 4282 names fit, a megabyte does not.
pub const IDENTITY_OCTETS_MAX: usize = 253;
/// The most digits that pack into a `u64` beside kind and length; IMSIs of 16 digits occur in the field.
const PACKED_DIGITS_MAX: usize = 16;

/// A subscriber's identity in its one normal form: digits are packed into a number, all else is text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// E.164 or IMSI of up to 16 digits: kind (1 bit), number of digits (5 bits), the digits as a number.
    Packed(u64),
    /// Anything else.
    Text(IdentityKind, Box<str>),
}

/// Why a text is not an identity of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No characters.
    #[error("an identity must not be empty")]
    Empty,
    /// Longer than [`IDENTITY_OCTETS_MAX`].
    #[error("an identity has at most {IDENTITY_OCTETS_MAX} octets")]
    TooLong,
    /// An E.164 number or IMSI with other characters than digits, or more than 16 of them.
    #[error("an E.164 number or IMSI has 1 to {PACKED_DIGITS_MAX} digits and nothing else")]
    NotDigits,
}

impl Identity {
    /// Normalises and checks: one leading "+" is taken off an E.164 number (spec C-163), digits are packed.
    pub fn new(kind: IdentityKind, text: &str) -> Result<Self, IdentityError> {
        let text = if kind == IdentityKind::E164 { text.strip_prefix('+').unwrap_or(text) } else { text };
        if text.is_empty() {
            return Err(IdentityError::Empty);
        }
        if text.len() > IDENTITY_OCTETS_MAX {
            return Err(IdentityError::TooLong);
        }
        if !matches!(kind, IdentityKind::E164 | IdentityKind::Imsi) {
            return Ok(Self::Text(kind, text.into()));
        }
        if text.len() > PACKED_DIGITS_MAX || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(IdentityError::NotDigits);
        }
        let digits = text.bytes().fold(0u64, |number, b| number * 10 + u64::from(b - b'0'));
        let kind_bit = u64::from(kind == IdentityKind::Imsi);
        Ok(Self::Packed(kind_bit << 63 | (text.len() as u64) << 58 | digits))
    }

    /// What kind of identity it is.
    pub fn kind(&self) -> IdentityKind {
        match self {
            Self::Packed(packed) if packed >> 63 == 1 => IdentityKind::Imsi,
            Self::Packed(_) => IdentityKind::E164,
            Self::Text(kind, _) => *kind,
        }
    }

    /// The text in full. For answers to those who may see it; logs use [`Identity::masked`].
    pub fn text(&self) -> String {
        match self {
            Self::Packed(packed) => {
                let (length, digits) = ((packed >> 58 & 0x1f) as usize, packed & ((1 << 58) - 1));
                format!("{digits:0length$}")
            }
            Self::Text(_, text) => text.to_string(),
        }
    }

    /// The text with its middle masked, for logs.
    pub fn masked(&self) -> String {
        mask(&self.text())
    }
}

/// Masks the middle of a personal identifier: at most the first four and last two characters stay.
pub fn mask(text: &str) -> String {
    let count = text.chars().count();
    if count <= 8 {
        return "*".repeat(count);
    }
    text.chars().enumerate().map(|(i, c)| if i < 4 || i + 2 >= count { c } else { '*' }).collect()
}

/// Hashes numbers that no outsider can choose at will: one multiplication. Not for text.
#[derive(Debug, Clone, Copy, Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        // The table takes its bucket from the low bits and its tag from the high ones: fold one half into the other.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A map keyed by numbers that no outsider can choose at will.
pub type NumberMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<NumberHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    // tests: C-163
    #[test]
    fn identities_have_one_normal_form() {
        let plus = Identity::new(IdentityKind::E164, "+8613900000001").unwrap();
        let plain = Identity::new(IdentityKind::E164, "8613900000001").unwrap();
        assert_eq!(plus, plain);
        assert_eq!(plain.text(), "8613900000001");
        assert_ne!(plain, Identity::new(IdentityKind::Imsi, "8613900000001").unwrap());
    }

    #[test]
    fn leading_zeros_and_sixteen_digits_survive_packing() {
        for digits in ["001010000000001", "0", "00", "9999999999999999", "0000000000000000"] {
            let identity = Identity::new(IdentityKind::Imsi, digits).unwrap();
            assert_eq!((identity.kind(), identity.text().as_str()), (IdentityKind::Imsi, digits));
        }
        assert_eq!(Identity::new(IdentityKind::Imsi, "12345678901234567"), Err(IdentityError::NotDigits));
        assert_eq!(Identity::new(IdentityKind::E164, "+"), Err(IdentityError::Empty));
        assert_eq!(Identity::new(IdentityKind::E164, "49x"), Err(IdentityError::NotDigits));
    }

    /// Keys are in checkpoints: if one of these changes, old checkpoints are read wrongly. Computed by another program.
    #[test]
    fn session_keys_stay_what_they_are() {
        let long = [b'x'; 300];
        let expected: [(&[u8], u128); 4] = [
            (b"", 0x2134_935d_61d9_b40d_b91c_5ed0_31fb_3303),
            (b"a", 0x3710_b5e8_72fb_f647_5fcd_71c2_5537_0408),
            (b"pgw-3.epc.example;1790000000;00000001", 0x80a7_4794_ef20_62e4_f168_9ebc_18d2_9b9c),
            (&long, 0x37b2_eff1_19d7_2c8c_24b2_c12f_58fe_47ee),
        ];
        for (session_id, key) in expected {
            assert_eq!(SessionKey::of(session_id), SessionKey(key), "{:#034x}", SessionKey::of(session_id).0);
        }
    }

    #[test]
    fn masks_the_middle() {
        assert_eq!(mask("8613900000001"), "8613*******01");
        assert_eq!(mask("12345678"), "********");
    }

    #[test]
    fn accounts_spread_over_partitions() {
        let mut counts = [0u32; 16];
        for id in 1..=16_000 {
            counts[usize::from(PartitionId::of(AccountId(id), 16).0)] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }
}
