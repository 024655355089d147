//! Writes protobuf fields in one pass: a message's length is filled in when the message is complete.
//!
//! The generated code would need a copy of the whole event first, and would count every length before it writes.

/// Appends the fields of one message to a buffer. Zero, false and empty are left out, as proto3 has it.
pub(in crate::journal) struct Writer<'a>(&'a mut Vec<u8>);

/// The wire types of protobuf that are used.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Delimited = 2,
}

impl<'a> Writer<'a> {
    pub(in crate::journal) fn new(out: &'a mut Vec<u8>) -> Self {
        Self(out)
    }

    #[inline]
    fn key(&mut self, field: u32, wire: Wire) {
        // One octet below 16, where all common fields are.
        self.varint(u64::from(field << 3 | wire as u32));
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// `uint32`, `uint64` and enumerations.
    #[inline]
    pub(in crate::journal) fn uint(&mut self, field: u32, value: impl Into<u64>) {
        let value = value.into();
        if value == 0 {
            return;
        }
        if field < 16 && value < 0x80 {
            // Most fields: two octets at once.
            self.0.extend_from_slice(&[(field << 3 | Wire::Varint as u32) as u8, value as u8]);
            return;
        }
        self.key(field, Wire::Varint);
        self.varint(value);
    }

    /// `optional uint32` and `optional uint64`.
    #[inline]
    pub(in crate::journal) fn optional(&mut self, field: u32, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            self.key(field, Wire::Varint);
            self.varint(value.into());
        }
    }

    /// `optional sint64`.
    pub(in crate::journal) fn optional_sint(&mut self, field: u32, value: Option<i64>) {
        self.optional(field, value.map(|value| (value << 1 ^ value >> 63) as u64));
    }

    /// `sint64`.
    #[inline]
    pub(in crate::journal) fn sint(&mut self, field: u32, value: i64) {
        self.uint(field, (value << 1 ^ value >> 63) as u64);
    }

    /// `bool`.
    #[inline]
    pub(in crate::journal) fn bool(&mut self, field: u32, value: bool) {
        self.uint(field, value);
    }

    /// `fixed64` in a `oneof`: written even if it is zero.
    pub(in crate::journal) fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, Wire::Fixed64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// `bytes` and `string`.
    #[inline]
    pub(in crate::journal) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.present(field, value);
        }
    }

    /// `optional` or `repeated` `bytes` and `string`: written even if empty.
    #[inline]
    pub(in crate::journal) fn present(&mut self, field: u32, value: &[u8]) {
        self.key(field, Wire::Delimited);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// One number of a packed `repeated uint64`, in the body of its field.
    pub(in crate::journal) fn packed(&mut self, value: u64) {
        self.varint(value);
    }

    /// A message, even if it is empty. `body` writes its fields.
    #[inline]
    pub(in crate::journal) fn message(&mut self, field: u32, body: impl FnOnce(&mut Writer<'_>)) {
        self.key(field, Wire::Delimited);
        let start = self.0.len();
        self.0.push(0);
        body(&mut Writer(self.0));
        let length = self.0.len() - start - 1;
        match self.0.get_mut(start) {
            Some(place) if length < 0x80 => *place = length as u8,
            _ => self.widen(start, length),
        }
    }

    /// Makes room for a length that does not fit in the one octet left for it at `start`.
    fn widen(&mut self, start: usize, length: usize) {
        let more = length.ilog2() as usize / 7;
        let end = self.0.len();
        self.0.resize(end + more, 0);
        self.0.copy_within(start + 1..end, start + 1 + more);
        let mut rest = length;
        for place in self.0.iter_mut().skip(start).take(more) {
            *place = rest as u8 | 0x80;
            rest >>= 7;
        }
        if let Some(place) = self.0.get_mut(start + more) {
            *place = rest as u8;
        }
    }
}
