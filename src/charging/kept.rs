//! Answers as they are remembered after all is over: the ordinary ones in a few octets, any other whole.

use std::sync::Arc;

use super::{Answer, Draw, Grant, Measure, Reply, RequestKind, Step, Verdict};
use crate::{
    ids::{BucketId, QuotaKey},
    units::Money,
};

/// The ordinary answer of its kind, in short.
pub(super) trait Short: Sized {
    /// `None` if the answer says more than fits.
    fn of(answer: &Answer) -> Option<Self>;
    /// The very answer again.
    fn answer(&self) -> Answer;
    /// Its CC-Request-Number.
    fn number(&self) -> u32;
}

/// A remembered answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept<S> {
    /// In short.
    Short(S),
    /// Anything else.
    Whole(Arc<Answer>),
    /// The answer to a debit that came from other places than the main bucket, or of which a part has been given back: with
    /// what may still be given back, a step for each service; never none.
    Itemised(Box<(Self, Box<[Step]>)>),
}

impl<S: Short> Kept<S> {
    pub(super) fn new(answer: &Arc<Answer>) -> Self {
        S::of(answer).map_or_else(|| Self::Whole(Arc::clone(answer)), Self::Short)
    }

    pub(super) fn answer(&self) -> Arc<Answer> {
        match self {
            Self::Short(short) => Arc::new(short.answer()),
            Self::Whole(answer) => Arc::clone(answer),
            Self::Itemised(items) => items.0.answer(),
        }
    }

    pub(super) fn number(&self) -> u32 {
        match self {
            Self::Short(short) => short.number(),
            Self::Whole(answer) => answer.number,
            Self::Itemised(items) => items.0.number(),
        }
    }
}

impl Kept<Charged> {
    /// With what may still be given back: never nothing. There is one of these for each event that an allowance pays for, so
    /// nothing is kept but what is needed.
    pub(super) fn itemised(answer: &Arc<Answer>, left: Vec<Step>) -> Self {
        let bare = |mut step: Step| {
            // How it was charged is told elsewhere.
            step.facts = None;
            step.debits.shrink_to_fit();
            step.holds.shrink_to_fit();
            step
        };
        Self::Itemised(Box::new((Self::new(answer), left.into_iter().map(bare).collect())))
    }

    /// What may still be given back of the debit that was answered so. Of an ordinary one that is what the answer says, from
    /// the main bucket.
    pub(super) fn left(&self) -> Vec<Step> {
        match self {
            Self::Short(short) => short.left().into_iter().collect(),
            Self::Whole(_) => Vec::new(),
            Self::Itemised(items) => items.1.to_vec(),
        }
    }

    /// What may still be given back, where that does not follow from the answer.
    pub(super) fn items(&self) -> &[Step] {
        match self {
            Self::Itemised(items) => &items.1,
            Self::Short(_) | Self::Whole(_) => &[],
        }
    }

    /// The same answer to a debit of which all has been given back.
    pub(super) fn refunded(answer: &Arc<Answer>) -> Self {
        match Charged::of(answer) {
            Some(short) => Self::Short(Charged { flags: short.flags | REFUNDED, ..short }),
            None => Self::Whole(Arc::clone(answer)),
        }
    }

    /// Whether an ordinary debit has been given back.
    pub(super) fn is_refunded(&self) -> bool {
        matches!(self, Self::Short(short) if short.flags & REFUNDED != 0)
    }
}

impl Charged {
    fn left(&self) -> Option<Step> {
        let measure = self.measure.filter(|_| self.amount > 0 && self.flags & REFUNDED == 0)?;
        let amount = self.cost.micros();
        Some(Step {
            key: self.key(),
            measure,
            used: self.amount,
            rated: self.amount,
            charged: self.cost,
            debits: (amount > 0).then_some(Draw { bucket: BucketId::MAIN, amount }).into_iter().collect(),
            ..Step::default()
        })
    }

    fn key(&self) -> QuotaKey {
        let is_set = |bit: u8| self.flags & bit != 0;
        QuotaKey {
            rating_group: is_set(RATING_GROUP).then_some(self.rating_group),
            service_identifier: is_set(SERVICE_IDENTIFIER).then_some(self.service_identifier),
            further: 0,
        }
    }
}

/// The answer that ends a session: it grants nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Final {
    cost: Money,
    number: u32,
    kind: RequestKind,
    verdict: Verdict,
    at_command_level: bool,
}

impl Short for Final {
    fn of(answer: &Answer) -> Option<Self> {
        let Answer { kind, number, verdict, ref replies, at_command_level, cost, enough_credit, ref extras } = *answer;
        (replies.is_empty() && enough_credit.is_none() && extras.is_none()).then_some(Self {
            cost,
            number,
            kind,
            verdict,
            at_command_level,
        })
    }

    fn answer(&self) -> Answer {
        let Self { cost, number, kind, verdict, at_command_level } = *self;
        Answer { cost, at_command_level, ..Answer::bare(kind, number, verdict) }
    }

    fn number(&self) -> u32 {
        self.number
    }
}

/// The answer to a one-time event for at most one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charged {
    cost: Money,
    /// Units granted.
    amount: u64,
    number: u32,
    rating_group: u32,
    service_identifier: u32,
    verdict: Verdict,
    /// Set if there is a reply.
    reply: Option<Verdict>,
    /// Set if units are granted.
    measure: Option<Measure>,
    /// [`AT_COMMAND_LEVEL`], [`RATING_GROUP`], [`SERVICE_IDENTIFIER`] and [`REFUNDED`].
    flags: u8,
}

const AT_COMMAND_LEVEL: u8 = 1;
const RATING_GROUP: u8 = 2;
const SERVICE_IDENTIFIER: u8 = 4;
/// All of it has been given back.
const REFUNDED: u8 = 8;

impl Short for Charged {
    fn of(answer: &Answer) -> Option<Self> {
        let Answer { kind: RequestKind::Event, number, verdict, ref replies, at_command_level, cost, .. } = *answer
        else {
            return None;
        };
        let reply = match replies.as_slice() {
            [] => None,
            [
                Reply {
                    validity_secs: 0,
                    threshold: 0,
                    holding_secs: None,
                    final_action: None,
                    extras: None,
                    key: key @ QuotaKey { further: 0, .. },
                    verdict,
                    grant,
                },
            ] => Some((*key, *verdict, *grant)),
            _ => return None,
        };
        let (key, grant) = reply.map_or((QuotaKey::default(), None), |(key, _, grant)| (key, grant));
        let flag = |bit: u8, is_set: bool| if is_set { bit } else { 0 };
        (answer.enough_credit.is_none() && answer.extras.is_none()).then_some(Self {
            cost,
            amount: grant.map_or(0, |grant| grant.amount),
            number,
            rating_group: key.rating_group.unwrap_or(0),
            service_identifier: key.service_identifier.unwrap_or(0),
            verdict,
            reply: reply.map(|(_, verdict, _)| verdict),
            measure: grant.map(|grant| grant.measure),
            flags: flag(AT_COMMAND_LEVEL, at_command_level)
                | flag(RATING_GROUP, key.rating_group.is_some())
                | flag(SERVICE_IDENTIFIER, key.service_identifier.is_some()),
        })
    }

    fn answer(&self) -> Answer {
        let replies = self.reply.map(|verdict| Reply {
            key: self.key(),
            verdict,
            grant: self.measure.map(|measure| Grant { measure, amount: self.amount }),
            ..Reply::default()
        });
        Answer {
            cost: self.cost,
            at_command_level: self.flags & AT_COMMAND_LEVEL != 0,
            replies: replies.into_iter().collect(),
            ..Answer::bare(RequestKind::Event, self.number, self.verdict)
        }
    }

    fn number(&self) -> u32 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{charging::FinalUnits, units::UnitKind};

    fn answers() -> Vec<Answer> {
        let mut answers = Vec::new();
        let units = Measure::Units(UnitKind::Events);
        let key = |rating_group, service_identifier| QuotaKey { rating_group, service_identifier, further: 0 };
        let plain = |key, verdict, grant| Reply { key, verdict, grant, ..Reply::default() };
        let granted = |amount| Some(Grant { measure: units, amount });
        let one = plain(key(Some(7), None), Verdict::Success, granted(3));
        let replies = [
            vec![],
            vec![one.clone()],
            vec![plain(
                key(None, Some(0)),
                Verdict::Success,
                Some(Grant { measure: Measure::Money, amount: u64::MAX }),
            )],
            vec![plain(key(None, None), Verdict::CreditLimitReached, None)],
            vec![plain(key(Some(u32::MAX), Some(u32::MAX)), Verdict::Success, granted(0))],
            vec![Reply { validity_secs: 1, ..one.clone() }],
            vec![Reply { threshold: 1, ..one.clone() }],
            vec![Reply { holding_secs: Some(0), ..one.clone() }],
            vec![Reply { final_action: Some(FinalUnits::Terminate), ..one.clone() }],
            vec![one.clone(), one],
        ];
        for kind in [RequestKind::Initial, RequestKind::Update, RequestKind::Termination, RequestKind::Event] {
            for replies in &replies {
                for enough_credit in [None, Some(false), Some(true)] {
                    let (replies, cost) = (replies.clone(), Money::from_micros(-17));
                    let bare = Answer::bare(kind, u32::MAX, Verdict::ServiceDenied);
                    answers.push(Answer { replies: replies.clone(), enough_credit, ..bare.clone() });
                    answers.push(Answer { replies, enough_credit, at_command_level: true, cost, ..bare });
                }
            }
        }
        answers
    }

    #[test]
    fn every_answer_comes_back_as_it_was() {
        let (mut finals, mut charged) = (0, 0);
        for answer in answers() {
            let answer = Arc::new(answer);
            let (one, other) = (Kept::<Final>::new(&answer), Kept::<Charged>::new(&answer));
            assert_eq!((one.answer(), one.number()), (Arc::clone(&answer), answer.number));
            assert_eq!((other.answer(), other.number()), (Arc::clone(&answer), answer.number));
            finals += usize::from(matches!(one, Kept::Short(_)));
            charged += usize::from(matches!(other, Kept::Short(_)));
        }
        assert_eq!((finals, charged), (4 * 2, 5 * 2));
    }

    #[test]
    fn ordinary_answers_are_small() {
        assert_eq!((size_of::<Option<Kept<Final>>>(), size_of::<Kept<Charged>>()), (16, 32));
    }
}
