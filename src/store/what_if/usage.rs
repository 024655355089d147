//! Usage records as what is done again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    charging::Measure,
    ids::QuotaKey,
    journal::Position,
    rating::Attributes,
    store::{RecordLine, trails::micros},
    time::Timestamp,
    units::UnitKind,
};

/// What the records say of one account.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// In the order of the records.
    pub(super) acts: Vec<Act>,
    /// All money that left it since the beginning, less what came in: also by what is later than the acts.
    pub(super) net: i128,
}

/// Something that is done again.
#[derive(Debug)]
pub(super) struct Act {
    /// When it was settled.
    pub(super) at: Timestamp,
    position: Position,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A session, or late usage.
    Session(Box<Usage>),
    Event(Box<Usage>),
    Refund(Box<Usage>),
    Given(Box<Given>),
}

/// What was used at once, of one or several services.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) session_id: Box<str>,
    pub(super) sub_session: u64,
    pub(super) number: u32,
    /// When the session opened; of an event, when it happened.
    pub(super) opened: Timestamp,
    pub(super) context: Arc<str>,
    pub(super) attributes: Option<Box<Attributes>>,
    pub(super) subscriber: Option<Arc<str>>,
    pub(super) uses: Vec<Use>,
}

/// Use of one service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) key: QuotaKey,
    pub(super) measure: Measure,
    pub(super) used: u64,
    /// Octets from the user, as far as they were charged as such.
    pub(super) uplink: u64,
    pub(super) from_allowance: u64,
    /// The service that it was charged as, and how much; micro-units.
    pub(super) service: Arc<str>,
    pub(super) charged: i128,
}

/// Money or units that came in, or went otherwise than by usage.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) kind: GivenKind,
    /// Micro-units or units; below zero = taken.
    pub(super) amount: i64,
    /// `None` = money.
    pub(super) unit: Option<UnitKind>,
    pub(super) bucket: u32,
    pub(super) name: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenKind {
    TopUp,
    Voucher,
    Allowance,
    Fee,
    /// What comes about again by itself: gifts, roll-over, what runs out.
    Consequence,
    /// Any other movement of money.
    Adjustment,
}

/// Takes in lines, account by account.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) accounts: BTreeMap<u64, Recorded>,
    /// Acts of all accounts.
    pub(super) acts: usize,
    names: BTreeSet<Arc<str>>,
}

/// A line is not what it should be.
#[derive(Debug)]
pub(super) struct BadLine;

impl Gathered {
    /// Takes in what an account did.
    pub(super) fn act(&mut self, account: u64, position: Position, line: &RecordLine) -> Result<(), BadLine> {
        let at = Timestamp::from_utc(&line.at).ok_or(BadLine)?;
        let Some(what) = self.what(at, line)? else { return Ok(()) };
        let recorded = self.accounts.entry(account).or_default();
        // The services of one session, or of one event, have a line each.
        if let Some(last) = recorded.acts.last_mut().filter(|last| last.position == position) {
            match (&mut last.what, what) {
                (What::Session(known), What::Session(more))
                | (What::Event(known), What::Event(more))
                | (What::Refund(known), What::Refund(more))
                    if known.is_of(&more) =>
                {
                    known.uses.extend(more.uses);
                    return Ok(());
                }
                (_, what) => recorded.acts.push(Act { at, position, what }),
            }
        } else {
            recorded.acts.push(Act { at, position, what });
        }
        self.acts += 1;
        Ok(())
    }

    /// Counts the money of a line, if the account is one that has done anything.
    pub(super) fn money(&mut self, account: u64, line: &RecordLine) -> Result<(), BadLine> {
        let (debited, credited) = (micros(&line.debited).ok_or(BadLine)?, micros(&line.credited).ok_or(BadLine)?);
        if let Some(recorded) = self.accounts.get_mut(&account) {
            recorded.net += debited - credited;
        }
        Ok(())
    }

    /// Leaves out accounts.
    pub(super) fn keep(&mut self, keep: impl Fn(u64) -> bool) {
        self.accounts.retain(|account, _| keep(*account));
        self.acts = self.accounts.values().map(|recorded| recorded.acts.len()).sum();
    }

    fn what(&mut self, at: Timestamp, line: &RecordLine) -> Result<Option<What>, BadLine> {
        Ok(Some(match line.kind.as_str() {
            "session" | "late" => What::Session(self.usage(at, line)?),
            "event" => What::Event(self.usage(at, line)?),
            "refund" => What::Refund(self.usage(at, line)?),
            // Nobody was charged for it.
            "orphan" | "begin" => return Ok(None),
            _ => What::Given(Box::new(self.given(line)?)),
        }))
    }

    fn usage(&mut self, at: Timestamp, line: &RecordLine) -> Result<Box<Usage>, BadLine> {
        let opened = line.opened.as_deref().map(|opened| Timestamp::from_utc(opened).ok_or(BadLine)).transpose()?;
        let key = QuotaKey {
            rating_group: line.rating_group,
            service_identifier: line.service_identifier,
            ..QuotaKey::default()
        };
        let uplink = line.tariffs.iter().filter(|one| one.tariff == "/up" || one.tariff.ends_with("/up"));
        let charged = micros(&line.debited).zip(micros(&line.credited)).ok_or(BadLine)?;
        let used = Use {
            key,
            measure: measure(line.unit.as_deref()).ok_or(BadLine)?,
            used: line.units.and_then(|units| u64::try_from(units).ok()).ok_or(BadLine)?,
            uplink: uplink.fold(0, |sum, one| one.units.saturating_add(sum)),
            from_allowance: line.from_allowance.unwrap_or(0),
            service: self.name(line.service.as_deref().unwrap_or_default()),
            charged: charged.0 + charged.1,
        };
        Ok(Box::new(Usage {
            session_id: line.session_id.as_deref().unwrap_or_default().into(),
            sub_session: line.sub_session.unwrap_or(0),
            number: line.request_number.unwrap_or(0),
            // A clock that was set back in between counts as no time.
            opened: opened.unwrap_or(at).min(at),
            context: self.name(line.context.as_deref().unwrap_or_default()),
            attributes: line.conditions.as_deref().map(|told| Box::new(told.into())),
            subscriber: line.subscriber.as_deref().map(|subscriber| self.name(subscriber)),
            uses: vec![used],
        }))
    }

    fn given(&mut self, line: &RecordLine) -> Result<Given, BadLine> {
        let unit = match line.unit.as_deref().map(|unit| measure(Some(unit)).ok_or(BadLine)).transpose()? {
            Some(Measure::Units(kind)) => Some(kind),
            Some(Measure::Money) | None => None,
        };
        let money = || {
            let (debited, credited) = (micros(&line.debited)?, micros(&line.credited)?);
            i64::try_from(credited - debited).ok()
        };
        Ok(Given {
            kind: match line.kind.as_str() {
                "top_up" => GivenKind::TopUp,
                "voucher" => GivenKind::Voucher,
                "allowance" => GivenKind::Allowance,
                "fee" => GivenKind::Fee,
                "gift" | "roll_over" | "expired" => GivenKind::Consequence,
                _ => GivenKind::Adjustment,
            },
            amount: if unit.is_some() { line.units.unwrap_or(0) } else { money().ok_or(BadLine)? },
            unit,
            bucket: line.bucket.unwrap_or(0),
            name: self.name(line.name.as_deref().unwrap_or_default()),
        })
    }

    /// One copy of a name that many have.
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }
}

impl Usage {
    fn is_of(&self, other: &Self) -> bool {
        (&self.session_id, self.sub_session, self.number) == (&other.session_id, other.sub_session, other.number)
    }
}

fn measure(unit: Option<&str>) -> Option<Measure> {
    let kinds = [UnitKind::Octets, UnitKind::Seconds, UnitKind::Events];
    match unit? {
        "money" => Some(Measure::Money),
        unit => kinds.into_iter().find(|kind| kind.name() == unit).map(Measure::Units),
    }
}
