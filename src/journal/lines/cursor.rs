use std::{fmt, str::FromStr};

use crate::journal::Position;

/// The place of a line: the journal's record that it follows from, and which of that record's lines it is. Written
/// `4711.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor {
    /// The record.
    pub position: Position,
    /// From 0.
    pub index: u32,
}

impl Cursor {
    /// Of a record's line.
    pub const fn new(position: Position, index: u32) -> Self {
        Self { position, index }
    }

    /// The cursor just before; `None` = there is none.
    pub fn before(self) -> Option<Self> {
        match (self.index.checked_sub(1), self.position.0.checked_sub(1)) {
            (Some(index), _) => Some(Self { index, ..self }),
            (None, Some(position)) => Some(Self::new(Position(position), u32::MAX)),
            (None, None) => None,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position.0, self.index)
    }
}

/// Not a cursor: two numbers with a point in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is written like 4711.0")]
pub struct NoCursor;

/// Reads what [`Display`](fmt::Display) writes and nothing else.
impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (position, index) = text.split_once('.').ok_or(NoCursor)?;
        let position = Position(position.parse().map_err(|_| NoCursor)?);
        let cursor = Self { position, index: index.parse().map_err(|_| NoCursor)? };
        (cursor.to_string() == text).then_some(cursor).ok_or(NoCursor)
    }
}
