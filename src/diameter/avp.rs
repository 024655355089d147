//! Reading AVPs in place (RFC 6733 4, spec sections 2 and 3): nothing is copied and nothing is allocated, except to say
//! what was wrong.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str,
};

use super::{
    dictionary::{self, AvpDef, key_of},
    error::{RequestError, ResultCode},
    writer,
};
use crate::time::Timestamp;

pub use super::writer::Writer;

/// How deep groups may be nested; real messages have five levels (spec B-33).
pub const AVP_DEPTH_MAX: usize = 16;

/// Octets of an AVP header without a vendor id.
pub(super) const AVP_HEADER_LEN: usize = 8;
/// Octets of an AVP header with a vendor id.
pub(super) const AVP_VENDOR_HEADER_LEN: usize = 12;

/// The AVPs of a message body or of a group, in order. After an error there is nothing more: the framing is lost.
#[derive(Debug, Clone)]
pub struct Avps<'a> {
    rest: &'a [u8],
}

impl<'a> Avps<'a> {
    /// Over the body of a message or the data of a group.
    #[inline]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// The next one that can be read: where there is none [`broken`](Self::broken) says whether that is the end. Half the
    /// way of `next`, which has to move what may be an error.
    #[inline]
    pub(super) fn readable(&mut self) -> Option<Avp<'a>> {
        let rest = self.rest;
        let header = rest.first_chunk::<AVP_HEADER_LEN>()?;
        // One load: code, flags and length are 32, 8 and 24 bits of the same word.
        let header = u64::from_be_bytes(*header);
        let (code, flags) = ((header >> 32) as u32, AvpFlags((header >> 24) as u8));
        let length = (header & 0x00ff_ffff) as usize;
        let (vendor, header_len) = if flags.has_vendor() {
            (u32::from_be_bytes(*rest.get(AVP_HEADER_LEN..)?.first_chunk::<4>()?), AVP_VENDOR_HEADER_LEN)
        } else {
            (0, AVP_HEADER_LEN)
        };
        // Also false when the length is below the header's.
        let data = rest.get(header_len..length)?;
        // The last AVP of a group may lack its padding; nothing is lost by reading it (spec B-21).
        let (raw, rest) = rest.split_at(length.next_multiple_of(4).min(rest.len()));
        self.rest = rest;
        // Vendor 0 with the V bit is no vendor at all (spec B-22).
        let key = if vendor == 0 && flags.has_vendor() { u64::MAX } else { key_of(vendor, code) };
        Some(Avp { code, flags, vendor, data, raw, key })
    }

    /// What is wrong with the AVP that cannot be read; `None` at the end.
    #[inline]
    pub(super) fn broken(&mut self) -> Option<AvpError> {
        if self.rest.is_empty() { None } else { Some(self.fail()) }
    }

    #[cold]
    fn fail(&mut self) -> AvpError {
        AvpError::framing(std::mem::take(&mut self.rest))
    }
}

impl<'a> Iterator for Avps<'a> {
    type Item = Result<Avp<'a>, AvpError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.readable() {
            Some(avp) => Some(Ok(avp)),
            None => self.broken().map(Err),
        }
    }
}

/// AVP flags (RFC 6733 4.1). P and the reserved bits are ignored (spec B-27).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AvpFlags(pub u8);

impl AvpFlags {
    /// V: a vendor id follows.
    pub const VENDOR: u8 = 0x80;
    /// M: a receiver must understand it.
    pub const MANDATORY: u8 = 0x40;

    /// Whether V is set.
    pub const fn has_vendor(self) -> bool {
        self.0 & Self::VENDOR != 0
    }

    /// Whether M is set.
    pub const fn is_mandatory(self) -> bool {
        self.0 & Self::MANDATORY != 0
    }
}

/// One AVP, as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avp<'a> {
    /// AVP code.
    pub code: u32,
    /// AVP flags.
    pub flags: AvpFlags,
    /// Vendor id; 0 without the V bit.
    pub vendor: u32,
    /// The value, without padding.
    pub data: &'a [u8],
    /// Header, value and padding, as received.
    pub raw: &'a [u8],
    /// What `key` returns: it is looked at more often than anything else.
    key: u64,
}

impl<'a> Avp<'a> {
    /// Vendor and code as one number, to be matched against [`dictionary::key`]. An AVP with the V bit and vendor 0 must
    /// not be sent and is no known AVP (spec B-22): its key matches nothing.
    #[inline]
    pub const fn key(&self) -> u64 {
        self.key
    }

    /// Whether it is this AVP. The M bit makes no difference (spec B-26).
    #[inline]
    pub const fn is(&self, def: &AvpDef) -> bool {
        self.key() == def.key()
    }

    /// Unsigned32, and Enumerated where only known (hence small) values matter.
    ///
    /// # Errors
    /// 5014 when it has not 4 octets (spec B-29); so have all of the fixed size types below.
    #[inline]
    pub fn u32(&self) -> Result<u32, AvpError> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// Unsigned64.
    ///
    /// # Errors
    /// 5014 when it has not 8 octets.
    #[inline]
    pub fn u64(&self) -> Result<u64, AvpError> {
        self.fixed().map(u64::from_be_bytes)
    }

    /// Integer32.
    ///
    /// # Errors
    /// 5014 when it has not 4 octets.
    #[inline]
    pub fn i32(&self) -> Result<i32, AvpError> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// Integer64.
    ///
    /// # Errors
    /// 5014 when it has not 8 octets.
    #[inline]
    pub fn i64(&self) -> Result<i64, AvpError> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// Time (spec B-49).
    ///
    /// # Errors
    /// 5014 when it has not 4 octets.
    #[inline]
    pub fn time(&self) -> Result<Timestamp, AvpError> {
        self.u32().map(Timestamp::from_diameter)
    }

    /// UTF8String, DiameterIdentity and the other kinds of text.
    ///
    /// # Errors
    /// 5004 when it is not UTF-8 (spec B-45).
    #[inline]
    pub fn utf8(&self) -> Result<&'a str, AvpError> {
        str::from_utf8(self.data).map_err(|_| self.bad_value("is not UTF-8"))
    }

    /// OctetString.
    #[inline]
    pub const fn octets(&self) -> &'a [u8] {
        self.data
    }

    /// Address (spec B-48).
    ///
    /// # Errors
    /// 5014 when the size does not fit the address family, 5004 when it is not UTF-8.
    pub fn address(&self) -> Result<Address<'a>, AvpError> {
        let Some((&family, address)) = self.data.split_first_chunk::<2>() else { return Err(self.bad_size()) };
        match u16::from_be_bytes(family) {
            1 => <[u8; 4]>::try_from(address)
                .map(|octets| Address::Ip(IpAddr::V4(Ipv4Addr::from(octets))))
                .map_err(|_| self.bad_size()),
            2 => <[u8; 16]>::try_from(address)
                .map(|octets| Address::Ip(IpAddr::V6(Ipv6Addr::from(octets))))
                .map_err(|_| self.bad_size()),
            8 => str::from_utf8(address).map(Address::E164).map_err(|_| self.bad_value("is not UTF-8")),
            family => Ok(Address::Other { family, octets: address }),
        }
    }

    /// The members of a group.
    #[inline]
    pub const fn grouped(&self) -> Avps<'a> {
        Avps::new(self.data)
    }

    /// 5004 with a copy of this AVP (spec B-72).
    #[cold]
    pub fn bad_value(&self, why: &'static str) -> AvpError {
        self.error(ResultCode::INVALID_AVP_VALUE, why)
    }

    /// An error about this AVP, with a copy of it (spec B-72).
    #[cold]
    pub fn error(&self, result_code: ResultCode, why: &'static str) -> AvpError {
        AvpError { result_code, why, code: self.code, vendor: self.vendor, failed: writer::padded(self.raw) }
    }

    /// 5014 with the header of this AVP and a zero payload of the right size (spec B-28, B-29).
    #[cold]
    fn bad_size(&self) -> AvpError {
        let failed = writer::example(self.code, self.flags, self.vendor);
        let result_code = ResultCode::INVALID_AVP_LENGTH;
        AvpError { result_code, why: "has the wrong size", code: self.code, vendor: self.vendor, failed }
    }

    /// 5014 for a group that is nested too deeply to be read: an empty one is shown in its place (spec B-28, B-33).
    #[cold]
    pub(super) fn too_deep(&self) -> AvpError {
        AvpError { why: "is nested too deeply", ..self.bad_size() }
    }

    #[inline]
    fn fixed<const N: usize>(&self) -> Result<[u8; N], AvpError> {
        <[u8; N]>::try_from(self.data).map_err(|_| self.bad_size())
    }
}

/// A value of type Address (RFC 6733 4.3.1, spec B-48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// Families 1 and 2.
    Ip(IpAddr),
    /// Family 8: a number, as 3GPP's SMS addresses use it.
    E164(&'a str),
    /// Any other.
    Other {
        /// IANA address family number.
        family: u16,
        /// The rest.
        octets: &'a [u8],
    },
}

/// An AVP that cannot be read, and what the answer says about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("AVP {code} {why}")]
pub struct AvpError {
    /// 5014, 5004 or another code of RFC 6733 7.1.5.
    pub result_code: ResultCode,
    /// The end of a sentence that begins with the AVP's code. Never holds data of the message (spec B-86).
    pub why: &'static str,
    /// AVP code.
    pub code: u32,
    /// Vendor id.
    pub vendor: u32,
    /// The content of Failed-AVP.
    pub failed: Vec<u8>,
}

impl AvpError {
    /// The error seen from outside of the group: Failed-AVP shows the place (spec B-73).
    #[must_use]
    #[cold]
    pub fn inside(mut self, group: &AvpDef) -> Self {
        self.failed = writer::wrapped(group, &self.failed);
        self
    }

    /// 5014 for octets that begin with no readable AVP: its header, filled up with zeros (spec B-28).
    #[cold]
    fn framing(rest: &[u8]) -> Self {
        let octet = |at: usize| rest.get(at).copied().unwrap_or(0);
        let word = |at: usize| u32::from_be_bytes([octet(at), octet(at + 1), octet(at + 2), octet(at + 3)]);
        let flags = AvpFlags(octet(4));
        let vendor = if flags.has_vendor() { word(AVP_HEADER_LEN) } else { 0 };
        let failed = writer::example(word(0), flags, vendor);
        let why = "does not fit its surroundings";
        Self { result_code: ResultCode::INVALID_AVP_LENGTH, why, code: word(0), vendor, failed }
    }
}

impl From<AvpError> for RequestError {
    #[cold]
    fn from(error: AvpError) -> Self {
        let message = match dictionary::lookup(error.vendor, error.code) {
            Some(def) => format!("{} {}", def.name, error.why),
            None => error.to_string(),
        };
        Self::new(error.result_code, message).with_failed_avp(error.failed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diameter::{dictionary as d, vectors::hex};

    fn first(octets: &[u8]) -> Result<Avp<'_>, AvpError> {
        Avps::new(octets).next().unwrap()
    }

    // tests: B-28
    #[test]
    fn a_broken_length_shows_a_well_formed_header() {
        for (broken, failed) in [
            // Shorter than its own header.
            ("0000019f4000000400000000", "0000019f4000000c00000000"),
            // Beyond the end; CC-Total-Octets has eight octets at least.
            ("000001a5400000180000000000000000", "000001a5400000100000000000000000"),
            // With a vendor, shorter than that header.
            ("00000365c0000008000028af", "00000365c0000010000028af00000000"),
            // A group may be empty.
            ("000001c840000020", "000001c840000008"),
            // Not even a header: filled up with zeros.
            ("000001c8", "000001c800000008"),
            ("00000365c00000", "00000365c000000c00000000"),
            // Unknown: no payload.
            ("00ffffff40000100", "00ffffff40000008"),
        ] {
            let broken = hex(broken);
            let error = first(&broken).unwrap_err();
            assert_eq!((error.result_code, &error.failed), (ResultCode::INVALID_AVP_LENGTH, &hex(failed)));
            assert!(first(&error.failed).is_ok());
            // Nothing is read after that.
            assert_eq!(Avps::new(&broken).count(), 1);
        }
    }

    // tests: B-29 B-45
    #[test]
    fn values_of_the_wrong_form() {
        let short = hex("000001a440000009ff000000");
        let error = first(&short).unwrap().u32().unwrap_err();
        assert_eq!((error.result_code.0, error.failed), (5014, hex("000001a44000000c00000000")));

        let text = hex("000001cd4000000aff41");
        let error = first(&text).unwrap().utf8().unwrap_err();
        assert_eq!((error.result_code.0, error.failed), (5004, hex("000001cd4000000aff410000")));

        let address = hex("000001014000000e0002c000020a0000");
        assert_eq!(first(&address).unwrap().address().unwrap_err().result_code.0, 5014);
    }

    // tests: B-22 B-26 B-27
    #[test]
    fn flags_other_than_the_vendors_make_no_difference() {
        for flags in ["00", "40", "20", "7f"] {
            let octets = hex(&format!("000001a4{flags}00000c0000012c"));
            assert!(first(&octets).unwrap().is(&d::CC_TIME), "{flags}");
        }
        let vendor_zero = hex("000001a4c0000010000000000000012c");
        assert!(!first(&vendor_zero).unwrap().is(&d::CC_TIME));
    }

    // tests: B-48
    #[test]
    fn addresses_may_be_telephone_numbers() {
        let octets = hex("000007e1c0000011000028af0008343931000000");
        assert_eq!(first(&octets).unwrap().address().unwrap(), Address::E164("491"));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut read = 0;
            for avp in Avps::new(&octets) {
                match avp {
                    Ok(avp) => {
                        read += avp.raw.len();
                        let _ = (avp.u32(), avp.u64(), avp.utf8(), avp.address(), avp.grouped().count());
                    }
                    Err(error) => prop_assert_eq!(Avps::new(&error.failed).filter_map(Result::ok).count(), 1),
                }
            }
            prop_assert!(read <= octets.len());
        }

        // tests: B-20 B-21
        #[test]
        fn what_is_written_is_read(
            values in prop::collection::vec((0_usize..500, prop::collection::vec(any::<u8>(), 0..20), 0_u8..4), 0..20)
        ) {
            let mut out = Vec::new();
            let mut w = Writer::bare(&mut out);
            let defs: Vec<_> = values.iter().map(|(at, ..)| &d::all()[at % d::all().len()]).collect();
            for (def, (_, data, depth)) in defs.iter().zip(&values) {
                match depth {
                    0 => w.octets(def, data),
                    _ => w.group(&d::FAILED_AVP, |w| w.octets(def, data)),
                }
            }
            prop_assert_eq!(out.len() % 4, 0);
            let mut read = Avps::new(&out);
            for (def, (_, data, depth)) in defs.iter().zip(&values) {
                let mut avp = read.next().unwrap().unwrap();
                if *depth > 0 {
                    avp = avp.grouped().next().unwrap().unwrap();
                }
                prop_assert!(avp.is(def) && avp.data == data && avp.flags.is_mandatory() == def.mandatory);
            }
            prop_assert!(read.next().is_none());
        }
    }
}
