//! Reads protobuf fields one after the other, where they stand: the other way round than [`super::writer`].
//!
//! The generated code makes a message of them first, with an allocation for each text and each list: too dear for what a start
//! reads millions of.

use super::RecordError;

type Result<T> = std::result::Result<T, RecordError>;

/// Octets of the longest number.
const NUMBER_MAX: u32 = 10;

/// The fields of one message that are still to be read.
pub(in crate::journal) struct Fields<'a>(pub(in crate::journal) &'a [u8]);

/// What one field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) enum Value<'a> {
    /// `uint32`, `uint64`, `sint64`, `bool` and enumerations.
    Number(u64),
    /// `fixed64`.
    Fixed(u64),
    /// `bytes`, `string` and messages.
    Octets(&'a [u8]),
    /// What we never write.
    Other,
}

impl<'a> Fields<'a> {
    /// The next field and its number; `None` = there are no more.
    pub(in crate::journal) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.number()?;
        let field = u32::try_from(key >> 3).ok().filter(|field| *field > 0).ok_or(RecordError::Field)?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => Value::Fixed(self.0.split_off(..8).and_then(number_of).ok_or(RecordError::Field)?),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| RecordError::Field)?;
                Value::Octets(self.0.split_off(..length).ok_or(RecordError::Field)?)
            }
            5 => self.0.split_off(..4).map(|_| Value::Other).ok_or(RecordError::Field)?,
            _ => return Err(RecordError::Field),
        };
        Ok(Some((field, value)))
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for place in 0..NUMBER_MAX {
            let octet = *self.0.split_off_first().ok_or(RecordError::Field)?;
            number |= u64::from(octet & 0x7f) << (7 * place);
            if octet < 0x80 {
                // The last of ten has one bit.
                let fits = place + 1 < NUMBER_MAX || octet < 2;
                return if fits { Ok(number) } else { Err(RecordError::Field) };
            }
        }
        Err(RecordError::Field)
    }
}

fn number_of(octets: &[u8]) -> Option<u64> {
    octets.try_into().ok().map(u64::from_le_bytes)
}

impl<'a> Value<'a> {
    /// `uint64`.
    pub(in crate::journal) fn number(self) -> Result<u64> {
        if let Self::Number(number) = self { Ok(number) } else { Err(RecordError::Field) }
    }

    /// `uint32`, and enumerations: of more, the lower bits, as protobuf has it.
    pub(in crate::journal) fn small(self) -> Result<u32> {
        self.number().map(|number| number as u32)
    }

    /// `sint64`.
    pub(in crate::journal) fn signed(self) -> Result<i64> {
        self.number().map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// `bool`.
    pub(in crate::journal) fn bool(self) -> Result<bool> {
        self.number().map(|number| number != 0)
    }

    /// `fixed64`.
    pub(in crate::journal) fn fixed(self) -> Result<u64> {
        if let Self::Fixed(number) = self { Ok(number) } else { Err(RecordError::Field) }
    }

    /// `bytes`.
    pub(in crate::journal) fn octets(self) -> Result<&'a [u8]> {
        if let Self::Octets(octets) = self { Ok(octets) } else { Err(RecordError::Field) }
    }

    /// `string`.
    pub(in crate::journal) fn text(self) -> Result<&'a str> {
        str::from_utf8(self.octets()?).map_err(|_| RecordError::Field)
    }

    /// A message.
    pub(in crate::journal) fn message(self) -> Result<Fields<'a>> {
        self.octets().map(Fields)
    }
}
