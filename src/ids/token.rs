//! Refund-Information: what a client shows to have a debit given back (spec G-83).

use siphasher::sip::SipHasher13;

use super::SessionKey;
use std::hash::Hasher as _;

/// Octets of a token.
const OCTETS: usize = 28;

/// Names a debit, under a seal that only this store can make: nobody can name a debit that no answer has told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundToken {
    /// The key of the debit's Session-Id and sub-session.
    pub key: SessionKey,
    /// Its CC-Request-Number.
    pub number: u32,
    seal: u64,
}

impl RefundToken {
    /// The token of a debit.
    pub fn new(key: SessionKey, number: u32, secret: [u64; 2]) -> Self {
        Self { key, number, seal: seal(key, number, secret) }
    }

    /// A token as it was received; `None` if it is none.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let octets: &[u8; OCTETS] = octets.try_into().ok()?;
        let (key, rest) = octets.split_first_chunk::<16>()?;
        let (number, seal) = rest.split_first_chunk::<4>()?;
        let seal = u64::from_be_bytes(seal.try_into().ok()?);
        Some(Self { key: SessionKey(u128::from_be_bytes(*key)), number: u32::from_be_bytes(*number), seal })
    }

    /// A token as it was received; what is none names nothing.
    pub fn read_or_invalid(octets: &[u8]) -> Self {
        Self::read(octets).unwrap_or(Self { key: SessionKey(0), number: 0, seal: 0 })
    }

    /// As it is sent.
    pub fn octets(self) -> [u8; OCTETS] {
        let mut octets = [0; OCTETS];
        octets[..16].copy_from_slice(&self.key.0.to_be_bytes());
        octets[16..20].copy_from_slice(&self.number.to_be_bytes());
        octets[20..].copy_from_slice(&self.seal.to_be_bytes());
        octets
    }

    /// Whether this store has made it.
    pub fn is_genuine(self, secret: [u64; 2]) -> bool {
        self.seal == seal(self.key, self.number, secret)
    }
}

fn seal(key: SessionKey, number: u32, [first, second]: [u64; 2]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(first, second);
    hasher.write(&key.0.to_be_bytes());
    hasher.write_u32(number);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests: G-83
    #[test]
    fn a_token_is_read_as_it_was_made_and_cannot_be_changed() {
        let token = RefundToken::new(SessionKey::of(b"smsc;1"), 3, [1, 2]);
        let read = RefundToken::read(&token.octets()).unwrap();
        assert_eq!(read, token);
        assert!(read.is_genuine([1, 2]) && !read.is_genuine([1, 3]));
        for place in 0..OCTETS {
            let mut octets = token.octets();
            octets[place] ^= 1;
            assert!(!RefundToken::read(&octets).unwrap().is_genuine([1, 2]), "octet {place}");
        }
        assert_eq!(RefundToken::read(&token.octets()[1..]), None);
        assert_eq!(RefundToken::read(b""), None);
    }
}
