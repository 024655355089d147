//! What is wrong with a message, while it is being read: the gravest finding wins, in the order of the checks (spec
//! B-65..B-71).

use crate::diameter::{
    avp::{AVP_DEPTH_MAX, Avp, AvpError, Avps},
    dictionary::{self, AvpDef, key},
    error::{RequestError, ResultCode},
    limits::{Bound, Limits},
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
    strictness: Strictness,
    /// Keys of the groups around what is being read.
    path: [u64; AVP_DEPTH_MAX],
    depth: usize,
    limits: Limits,
    /// AVPs that may still come.
    avps_left: u32,
    first: Option<Box<(Check, RequestError)>>,
}

/// The checks, in their order (spec section 4 of diameter-base).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    /// A bound was hit and the rest is not read, so that nothing can be said of what is missing.
    Bound,
    /// B-64.
    Routing,
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
    pub(super) const fn new(strictness: Strictness, limits: &Limits) -> Self {
        let limits = *limits;
        Self { strictness, path: [0; AVP_DEPTH_MAX], depth: 0, limits, avps_left: limits.avps_max, first: None }
    }

    /// How many MSCCs a request may have.
    pub(super) const fn services_max(&self) -> usize {
        self.limits.services_max
    }

    /// The verdict.
    #[inline]
    pub(super) fn verdict(self) -> Result<(), RequestError> {
        match self.first {
            None => Ok(()),
            Some(first) => Err(first.1),
        }
    }

    /// Takes note, with the groups around it (spec B-73); an earlier finding of the same check stays.
    #[cold]
    pub(super) fn note(&mut self, check: Check, error: impl Into<RequestError>) {
        if self.first.as_ref().is_none_or(|first| check < first.0) {
            let groups = self.path.get(..self.depth).unwrap_or_default();
            let error = groups.iter().rev().fold(error.into(), |error: RequestError, key| {
                match dictionary::lookup((key >> 32) as u32, *key as u32) {
                    Some(group) => error.inside(group),
                    None => error,
                }
            });
            self.first = Some(Box::new((check, error)));
        }
    }

    /// Reads the members of a group, which `take` is given one by one. Too deep a nest is not read (spec B-33).
    #[inline]
    pub(super) fn members<'a>(&mut self, group: &Avp<'a>, mut take: impl FnMut(&Avp<'a>, &mut Self)) {
        let Some(level) = self.path.get_mut(self.depth).filter(|_| self.depth < self.limits.avp_depth_max) else {
            self.note(Check::Framing, RequestError::from(group.too_deep()).at_bound(Bound::AvpDepth));
            return;
        };
        *level = group.key();
        self.depth += 1;
        self.each(group.grouped(), &mut take);
        self.depth -= 1;
    }

    /// Reads AVPs up to the end or to where the framing breaks.
    #[inline]
    pub(super) fn each<'a>(&mut self, mut avps: Avps<'a>, take: &mut impl FnMut(&Avp<'a>, &mut Self)) {
        while let Some(avp) = avps.readable() {
            // By reference: a copy of what was just stored piece by piece stalls the processor.
            let Some(left) = self.avps_left.checked_sub(1) else { return self.too_many_avps(&avp) };
            self.avps_left = left;
            take(&avp, self);
        }
        if let Some(error) = avps.broken() {
            self.note(Check::Framing, error);
        }
    }

    /// 5009 with the first AVP beyond the permitted number (spec B-72).
    #[cold]
    fn too_many_avps(&mut self, avp: &Avp<'_>) {
        let error = avp.error(ResultCode::AVP_OCCURS_TOO_MANY_TIMES, "is one AVP too many");
        self.note(Check::Bound, RequestError::from(error).at_bound(Bound::Avps));
    }

    /// Reads a value that may occur once (spec B-52).
    #[inline]
    pub(super) fn once<'a, T>(
        &mut self,
        place: &mut Option<T>,
        avp: &Avp<'a>,
        read: impl FnOnce(&Avp<'a>) -> Result<T, AvpError>,
    ) {
        if place.is_some() {
            self.note(Check::Occurrence, too_many(avp));
            return;
        }
        match read(avp) {
            Ok(value) => *place = Some(value),
            Err(error) => self.note(Check::Value, error),
        }
    }

    /// Reads one of several values; what cannot be read is noted and left out.
    pub(super) fn another<'a, T>(
        &mut self,
        values: &mut Vec<T>,
        avp: &Avp<'a>,
        read: impl FnOnce(&Avp<'a>) -> Result<T, AvpError>,
    ) {
        match read(avp) {
            Ok(value) => values.push(value),
            Err(error) => self.note(Check::Value, error),
        }
    }

    /// A required member, or 5005 (spec B-67). An unreadable one is there, and noted already.
    #[inline]
    pub(super) fn require<T>(&mut self, value: Option<&T>, def: &AvpDef, among: &[u8]) {
        if value.is_none() && !Avps::new(among).map_while(Result::ok).any(|avp| avp.is(def)) {
            self.note(Check::Missing, RequestError::missing(def));
        }
    }

    /// An AVP that is not read here. Its framing must be right all the same (spec B-65), and what is not known at all
    /// may be refused (spec B-22, B-24).
    #[inline]
    pub(super) fn skip(&mut self, avp: &Avp<'_>) {
        if avp.key() == u64::MAX {
            if avp.flags.is_mandatory() && self.depth == 0 {
                self.note(Check::Unknown, avp.error(ResultCode::INVALID_AVP_BITS, "has the V bit and no vendor"));
            }
        } else if dictionary::is_grouped(avp.vendor, avp.code) {
            self.walk(avp);
        } else if self.strictness == Strictness::Strict {
            self.refuse(avp);
        }
    }

    /// Not inlined, because it recurses: up to [`AVP_DEPTH_MAX`] deep, see [`Problems::members`].
    #[inline(never)]
    fn walk(&mut self, group: &Avp<'_>) {
        if self.strictness == Strictness::Strict {
            self.refuse(group);
        }
        self.members(group, |avp, problems| problems.skip(avp));
    }

    fn refuse(&mut self, avp: &Avp<'_>) {
        if avp.flags.is_mandatory() && dictionary::lookup(avp.vendor, avp.code).is_none() {
            self.note(Check::Unknown, avp.error(ResultCode::AVP_UNSUPPORTED, "is not known"));
        }
        if self.depth == 0 && is_for_answers(avp.key()) {
            self.note(Check::Occurrence, avp.error(ResultCode::AVP_NOT_ALLOWED, "has no place in a request"));
        }
    }
}

#[cold]
pub(super) fn too_many(avp: &Avp<'_>) -> AvpError {
    avp.error(ResultCode::AVP_OCCURS_TOO_MANY_TIMES, "occurs too many times")
}

/// AVPs of a CCA that a CCR must not have (RFC 8506 10.1).
const fn is_for_answers(key: u64) -> bool {
    matches!(
        key,
        key::RESULT_CODE
            | key::CC_SESSION_FAILOVER
            | key::CHECK_BALANCE_RESULT
            | key::COST_INFORMATION
            | key::CREDIT_CONTROL_FAILURE_HANDLING
            | key::DIRECT_DEBITING_FAILURE_HANDLING
            | key::FAILED_AVP
            | key::FINAL_UNIT_INDICATION
            | key::GRANTED_SERVICE_UNIT
            | key::QOS_FINAL_UNIT_INDICATION
            | key::VALIDITY_TIME
    )
}
