//! What is wrong with a request, while it is being read: the gravest finding wins, in the order of the checks (spec
//! B-65..B-71).

use crate::diameter::{
    avp::{Avp, AvpError},
    dictionary::AvpDef,
    error::{RequestError, ResultCode},
};

/// Whether unknown mandatory AVPs are refused (spec B-24). Real chains carry operators' own AVPs with M set, so the
/// default is to tolerate them; it is a setting per peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strictness {
    /// Ignore what is unknown.
    #[default]
    Tolerant,
    /// 5001 for an unknown AVP with M, 5008 for an AVP that has no place in a CCR.
    Strict,
}

/// The gravest problem so far. Reading goes on after all but a broken framing, because the answer must name the problem
/// that comes first in the order of the checks, not in the order of the AVPs.
#[derive(Debug)]
pub(super) struct Problems {
    pub(super) strictness: Strictness,
    first: Option<(Check, RequestError)>,
}

/// The checks, in their order (spec section 4 of diameter-base).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    /// B-65.
    Framing,
    /// B-66.
    Unknown,
    /// B-67.
    Missing,
    /// B-68.
    Occurrence,
    /// B-69.
    Value,
}

impl Problems {
    pub(super) const fn new(strictness: Strictness) -> Self {
        Self { strictness, first: None }
    }

    /// Takes note; an earlier finding of the same check stays.
    #[cold]
    pub(super) fn note(&mut self, check: Check, error: impl Into<RequestError>) {
        if self.first.as_ref().is_none_or(|(noted, _)| check < *noted) {
            self.first = Some((check, error.into()));
        }
    }

    /// Reads a value that may occur once (spec B-52).
    #[inline]
    pub(super) fn once<'a, T>(
        &mut self,
        place: &mut Option<T>,
        avp: &Avp<'a>,
        read: impl FnOnce(&Avp<'a>) -> Result<T, AvpError>,
    ) -> Result<(), AvpError> {
        if place.is_some() {
            self.note(Check::Occurrence, avp.error(ResultCode::AVP_OCCURS_TOO_MANY_TIMES, "occurs too many times"));
            return Ok(());
        }
        match read(avp) {
            Ok(value) => *place = Some(value),
            Err(error) => self.note(Check::Value, error),
        }
        Ok(())
    }

    /// A required AVP, or 5005 (spec B-67).
    #[inline]
    pub(super) fn required<T>(&mut self, value: Option<T>, def: &AvpDef) -> Option<T> {
        if value.is_none() {
            self.note(Check::Missing, RequestError::missing(def));
        }
        value
    }

    /// The verdict.
    pub(super) fn verdict(self) -> Result<(), RequestError> {
        self.first.map_or(Ok(()), |(_, error)| Err(error))
    }
}
