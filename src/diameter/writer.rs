//! Writing messages and AVPs into a buffer (RFC 6733 3 and 4, spec B-20..B-22).

use std::net::IpAddr;

use super::{
    avp::{AVP_HEADER_LEN, AVP_VENDOR_HEADER_LEN, AvpFlags},
    dictionary::{self, AvpDef},
    frame::{HEADER_LEN, Header},
};
use crate::time::Timestamp;

/// The longest value that the 24-bit length field can describe, whatever the header.
const AVP_DATA_MAX: usize = 0x00ff_ffff - AVP_VENDOR_HEADER_LEN - 3;

/// Appends one message, or a run of AVPs, to a buffer. Flags and vendor ids come from the definitions, padding is zero.
///
/// A value that is too long for the 24-bit length field is left out: messages are limited far below.
#[must_use = "`finish` writes the message length"]
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
}

impl<'b> Writer<'b> {
    /// Starts a message with this header; its length is filled in by [`Writer::finish`].
    #[inline]
    pub fn start(out: &'b mut Vec<u8>, header: Header) -> Self {
        let start = out.len();
        out.extend_from_slice(&header.octets());
        Self { out, start }
    }

    /// Goes on with the finished message that begins at `start` and ends the buffer; `None` if there is none.
    pub fn resume(out: &'b mut Vec<u8>, start: usize) -> Option<Self> {
        (start.checked_add(HEADER_LEN)? <= out.len()).then_some(Self { out, start })
    }

    /// AVPs without a message around them, such as the content of a group.
    pub fn bare(out: &'b mut Vec<u8>) -> Bare<'b> {
        Bare(Self { start: out.len(), out })
    }

    /// Ends the message.
    #[inline]
    pub fn finish(self) {
        let length = (self.out.len() - self.start) as u32;
        let [_, a, b, c] = length.to_be_bytes();
        // The message begins with the four octets that `start` wrote.
        if let Some(field) = self.out.get_mut(self.start + 1..self.start + 4) {
            field.copy_from_slice(&[a, b, c]);
        }
    }

    /// Unsigned32 or Enumerated.
    #[inline]
    pub fn u32(&mut self, def: &AvpDef, value: u32) {
        self.fixed(def, value.to_be_bytes());
    }

    /// Unsigned64.
    #[inline]
    pub fn u64(&mut self, def: &AvpDef, value: u64) {
        self.fixed(def, value.to_be_bytes());
    }

    /// Integer32.
    #[inline]
    pub fn i32(&mut self, def: &AvpDef, value: i32) {
        self.fixed(def, value.to_be_bytes());
    }

    /// Integer64.
    #[inline]
    pub fn i64(&mut self, def: &AvpDef, value: i64) {
        self.fixed(def, value.to_be_bytes());
    }

    /// Time (spec B-49).
    #[inline]
    pub fn time(&mut self, def: &AvpDef, value: Timestamp) {
        self.u32(def, value.to_diameter());
    }

    /// UTF8String, DiameterIdentity and the other kinds of text.
    #[inline]
    pub fn utf8(&mut self, def: &AvpDef, value: &str) {
        self.octets(def, value.as_bytes());
    }

    /// OctetString, or the content of a group that is ready.
    #[inline]
    pub fn octets(&mut self, def: &AvpDef, value: &[u8]) {
        if value.len() > AVP_DATA_MAX {
            return;
        }
        self.header(def, value.len());
        self.out.extend_from_slice(value);
        pad(self.out, value.len());
    }

    /// Address (spec B-48).
    pub fn address(&mut self, def: &AvpDef, value: IpAddr) {
        match value {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                self.octets(def, &[0, 1, a, b, c, d]);
            }
            IpAddr::V6(ip) => {
                let mut octets = [0; 18];
                octets[1] = 2;
                octets[2..].copy_from_slice(&ip.octets());
                self.octets(def, &octets);
            }
        }
    }

    /// AVPs that are encoded already, such as those copied from a request.
    #[inline]
    pub fn raw(&mut self, avps: &[u8]) {
        self.out.extend_from_slice(avps);
        // Only a received AVP that was the last of its group can lack its padding.
        pad(self.out, avps.len());
    }

    /// A group with what `members` writes.
    #[inline]
    pub fn group(&mut self, def: &AvpDef, members: impl FnOnce(&mut Self)) {
        let at = self.out.len();
        self.header(def, 0);
        members(self);
        let length = (self.out.len() - at) as u32;
        let [_, a, b, c] = length.to_be_bytes();
        // The group begins with the eight or twelve octets that `header` wrote.
        if let Some(field) = self.out.get_mut(at + 5..at + 8) {
            field.copy_from_slice(&[a, b, c]);
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, def: &AvpDef, value: [u8; N]) {
        self.header(def, N);
        self.out.extend_from_slice(&value);
    }

    #[inline]
    fn header(&mut self, def: &AvpDef, data_len: usize) {
        let mandatory = if def.mandatory { AvpFlags::MANDATORY } else { 0 };
        header(self.out, def.code, AvpFlags(mandatory), def.vendor, data_len);
    }
}

/// A [`Writer`] of AVPs without a message around them; there is nothing to finish.
#[derive(Debug)]
pub struct Bare<'b>(Writer<'b>);

impl<'b> std::ops::Deref for Bare<'b> {
    type Target = Writer<'b>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl std::ops::DerefMut for Bare<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// An AVP with zeros of the minimum length for its type: what Failed-AVP shows of an AVP whose length is wrong (spec
/// B-28). M as given; V as the vendor says.
pub(super) fn example(code: u32, flags: AvpFlags, vendor: u32) -> Vec<u8> {
    let def = if vendor == 0 && flags.has_vendor() { None } else { dictionary::lookup(vendor, code) };
    let payload = def.map_or(0, |def| def.data.min_len());
    let mut out = Vec::with_capacity(AVP_VENDOR_HEADER_LEN + payload);
    header(&mut out, code, AvpFlags(flags.0 & (AvpFlags::MANDATORY | AvpFlags::VENDOR)), vendor, payload);
    out.resize(out.len() + payload, 0);
    pad(&mut out, payload);
    out
}

/// An example of a missing AVP: as defined, with zeros of the minimum length (spec B-72).
pub(super) fn example_of(def: &AvpDef) -> Vec<u8> {
    let mandatory = if def.mandatory { AvpFlags::MANDATORY } else { 0 };
    example(def.code, AvpFlags(mandatory), def.vendor)
}

/// AVPs with a group around them.
pub(super) fn wrapped(group: &AvpDef, avps: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(avps.len() + AVP_VENDOR_HEADER_LEN);
    Writer::bare(&mut out).octets(group, avps);
    out
}

/// A copy of received AVPs whose last may lack its padding.
pub(super) fn padded(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len().next_multiple_of(4));
    out.extend_from_slice(raw);
    pad(&mut out, raw.len());
    out
}

#[inline]
fn header(out: &mut Vec<u8>, code: u32, flags: AvpFlags, vendor: u32, data_len: usize) {
    let [c0, c1, c2, c3] = code.to_be_bytes();
    if vendor == 0 && !flags.has_vendor() {
        let [_, l1, l2, l3] = ((data_len + AVP_HEADER_LEN) as u32).to_be_bytes();
        out.extend_from_slice(&[c0, c1, c2, c3, flags.0, l1, l2, l3]);
    } else {
        let [_, l1, l2, l3] = ((data_len + AVP_VENDOR_HEADER_LEN) as u32).to_be_bytes();
        let [v0, v1, v2, v3] = vendor.to_be_bytes();
        out.extend_from_slice(&[c0, c1, c2, c3, flags.0 | AvpFlags::VENDOR, l1, l2, l3, v0, v1, v2, v3]);
    }
}

#[inline]
fn pad(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&[0; 3][..len.wrapping_neg() % 4]);
}
