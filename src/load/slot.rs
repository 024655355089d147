//! One in-flight slot: a subscriber's session, step by step, then the next subscriber's.

use super::{
    plan::Plan,
    template::{SESSION_DIGITS, Varying},
};
use crate::diameter::credit_control::RequestType;

/// The most digits that an MSISDN has: all of a `u64`.
const MSISDN_DIGITS_MAX: usize = 20;

/// A slot: at most one request of it is in flight.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    number: u16,
    /// How often it has sent: the other half of the hop-by-hop id.
    generation: u16,
    /// First subscriber, how many, and which of them is next.
    subscribers: (u64, u64),
    subscriber: u64,
    session: [u8; SESSION_DIGITS],
    msisdn: [u8; MSISDN_DIGITS_MAX],
    msisdn_len: usize,
    next: RequestType,
    request_number: u32,
    updates_left: u32,
    /// The server grants something.
    granted: bool,
    /// When the request in flight was sent or meant to be, nanoseconds since the start.
    in_flight: Option<u64>,
}

/// What an answer says, as far as it matters here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    pub(super) result_code: u32,
    /// Of the MSCC.
    pub(super) service_code: Option<u32>,
    pub(super) request_type: Option<u32>,
    pub(super) request_number: Option<u32>,
}

impl Slot {
    pub(super) fn new(number: u16, plan: &Plan, subscribers: (u64, u64)) -> Self {
        Self {
            number,
            generation: 0,
            subscribers,
            subscriber: 0,
            session: [b'0'; SESSION_DIGITS],
            msisdn: [b'0'; MSISDN_DIGITS_MAX],
            msisdn_len: plan.first_msisdn.to_string().len(),
            next: RequestType::Initial,
            request_number: 0,
            updates_left: plan.updates,
            granted: false,
            in_flight: None,
        }
    }

    /// The slot of an answer.
    pub(super) const fn number_of(hop_by_hop: u32) -> usize {
        (hop_by_hop & 0xffff) as usize
    }

    /// Whether the next request begins a session.
    pub(super) fn is_between_sessions(&self) -> bool {
        self.next == RequestType::Initial
    }

    /// When the request in flight was meant to be sent.
    pub(super) const fn in_flight(&self) -> Option<u64> {
        self.in_flight
    }

    /// The next request's type; `session` numbers the session if this begins one.
    #[inline]
    pub(super) fn start(&mut self, plan: &Plan, session: &mut u32, at: u64) -> RequestType {
        if self.next == RequestType::Initial {
            *session = session.wrapping_add(1);
            write_digits(&mut self.session, u64::from(*session));
            let subscriber = self.subscribers.0 + self.subscriber;
            self.subscriber = (self.subscriber + 1) % self.subscribers.1;
            let len = self.msisdn_len;
            if let Some(digits) = self.msisdn.get_mut(..len) {
                write_digits(digits, plan.first_msisdn + subscriber);
            }
            self.request_number = 0;
            self.updates_left = plan.updates;
            self.granted = false;
        }
        self.generation = self.generation.wrapping_add(1);
        self.in_flight = Some(at);
        self.next
    }

    /// The octets that vary in the request that [`Slot::start`] announced.
    #[inline]
    pub(super) fn varying(&self, end_to_end: u32, time: u32, used: u64) -> Varying<'_> {
        Varying {
            hop_by_hop: self.hop_by_hop(),
            end_to_end,
            session: &self.session,
            number: self.request_number,
            time,
            msisdn: self.msisdn.get(..self.msisdn_len).unwrap_or_default(),
            // What was not granted was not used.
            used: if self.granted { used } else { 0 },
        }
    }

    /// Whether an answer is to the request in flight.
    #[inline]
    pub(super) fn awaits(&self, hop_by_hop: u32) -> bool {
        self.in_flight.is_some() && hop_by_hop == self.hop_by_hop()
    }

    /// Whether the answer repeats what it must (spec C-2); an error answer may lack it (spec B-82).
    #[inline]
    pub(super) fn is_echoed(&self, answer: &Scanned, is_error: bool) -> bool {
        let same = |echoed: Option<u32>, sent: u32| echoed.map_or(is_error, |echoed| echoed == sent);
        same(answer.request_type, self.next as u32) && same(answer.request_number, self.request_number)
    }

    /// Takes the answer to the request in flight: its type, and when it was meant to be sent. Moves on to the session's
    /// next step.
    #[inline]
    pub(super) fn answered(&mut self, answer: &Scanned) -> (RequestType, u64) {
        let sent = (self.next, self.in_flight.take().unwrap_or(0));
        self.request_number += 1;
        let success = answer.result_code / 1000 == 2;
        self.granted = success && answer.service_code.is_none_or(|code| code / 1000 == 2);
        self.next = match self.next {
            // A failure of the command ends the session (spec C-12).
            RequestType::Termination | RequestType::Event => RequestType::Initial,
            _ if !success => RequestType::Initial,
            _ if self.updates_left > 0 && self.granted => {
                self.updates_left -= 1;
                RequestType::Update
            }
            _ => RequestType::Termination,
        };
        sent
    }

    /// The time is up: an open session is ended as soon as it can be.
    pub(super) fn wind_up(&mut self) {
        if self.in_flight.is_none() && self.next == RequestType::Update {
            self.next = RequestType::Termination;
        }
    }

    fn hop_by_hop(&self) -> u32 {
        u32::from(self.generation) << 16 | u32::from(self.number)
    }
}

fn write_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{plan::RunId, tests::options};

    fn play(answers: &[(u32, Option<u32>)]) -> String {
        let plan = Plan::new(&options(), 0, RunId::now());
        let mut slot = Slot::new(3, &plan, (7, 2));
        let mut session = 0;
        let mut story = String::new();
        for (result_code, service_code) in answers {
            let kind = slot.start(&plan, &mut session, 1);
            let varying = slot.varying(0, 0, 9);
            let subscriber = std::str::from_utf8(varying.msisdn).unwrap().trim_start_matches("86139000000");
            story += &format!("{session}:{subscriber} {kind:?} {} {}; ", varying.number, varying.used);
            let (hop_by_hop, number) = (varying.hop_by_hop, varying.number);
            assert!(slot.awaits(hop_by_hop) && !slot.awaits(hop_by_hop + (1 << 16)));
            assert_eq!(Slot::number_of(hop_by_hop), 3);
            let answer = Scanned {
                result_code: *result_code,
                service_code: *service_code,
                request_type: Some(kind as u32),
                request_number: Some(number),
            };
            assert!(slot.is_echoed(&answer, false));
            assert!(!slot.is_echoed(&Scanned { request_number: Some(77), ..answer }, true));
            assert!(!slot.is_echoed(&Scanned { request_number: None, ..answer }, false));
            assert_eq!(slot.answered(&answer), (kind, 1));
        }
        story
    }

    #[test]
    fn sessions_follow_one_another() {
        let granted = (2001, Some(2001));
        assert_eq!(
            play(&[granted, granted, granted, (2001, None), granted, granted]),
            "1:07 Initial 0 0; 1:07 Update 1 9; 1:07 Update 2 9; 1:07 Termination 3 9; 2:08 Initial 0 0; 2:08 Update 1 9; "
        );
    }

    #[test]
    fn refusals_shorten_a_session() {
        assert_eq!(
            play(&[(5030, None), (2001, Some(4012)), (2001, None), (3004, None)]),
            "1:07 Initial 0 0; 2:08 Initial 0 0; 2:08 Termination 1 0; 3:07 Initial 0 0; "
        );
    }
}
