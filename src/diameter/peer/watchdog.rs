//! The watchdog of an open connection (RFC 3539 3.4.1, spec section 12): what its timer and what comes in make of it.
//!
//! INITIAL and DOWN are not here: they are a peer without a connection, which [`Connections`](super::Connections) knows.

/// OKAY, SUSPECT or REOPEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watchdog {
    status: Status,
    /// A DWR is out; there is never more than one (spec B-166).
    pending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Okay,
    Suspect,
    /// Back after it was down: NumDWA counts the exchanges that have succeeded, -1 = one was missed (spec B-168).
    Reopen(i8),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A DWA.
    Answer,
    /// Any other message.
    Other,
    /// Tw is over.
    Expired,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Set Tw.
    SetTimer,
    /// Nothing: the timer runs on.
    Nothing,
    /// Send a DWR, set Tw.
    SendRequest,
    /// Requests of ours go elsewhere; set Tw.
    FailOver,
    /// Requests of ours may come again; set Tw.
    FailBack,
    /// Close the connection.
    Down,
}

/// Exchanges that must succeed before a connection that was down carries traffic again (spec B-168).
const REOPEN_EXCHANGES: i8 = 3;

impl Watchdog {
    /// A first connection, or one that the other side opened (spec B-169): OKAY at once.
    pub(super) const OKAY: Self = Self { status: Status::Okay, pending: false };

    /// A connection to a peer that was down. A DWR goes out with it.
    pub(super) const REOPEN: Self = Self { status: Status::Reopen(0), pending: true };

    /// The table of RFC 3539 3.4.1.
    #[inline]
    pub(super) fn step(&mut self, event: Event) -> Step {
        let (status, pending, step) = match (self.status, event) {
            (Status::Okay, Event::Answer) => (Status::Okay, false, Step::SetTimer),
            (Status::Okay, Event::Other) => (Status::Okay, self.pending, Step::SetTimer),
            (Status::Okay, Event::Expired) if !self.pending => (Status::Okay, true, Step::SendRequest),
            (Status::Okay, Event::Expired) => (Status::Suspect, true, Step::FailOver),
            (Status::Suspect, Event::Answer) => (Status::Okay, false, Step::FailBack),
            // The DWR is still out: only a DWA clears that.
            (Status::Suspect, Event::Other) => (Status::Okay, self.pending, Step::FailBack),
            (Status::Suspect, Event::Expired) => (Status::Suspect, true, Step::Down),
            (Status::Reopen(answered), Event::Answer) if answered + 1 >= REOPEN_EXCHANGES => {
                (Status::Okay, false, Step::FailBack)
            }
            (Status::Reopen(answered), Event::Answer) => (Status::Reopen(answered + 1), false, Step::Nothing),
            (Status::Reopen(answered), Event::Other) => (Status::Reopen(answered), self.pending, Step::Nothing),
            (Status::Reopen(answered), Event::Expired) if !self.pending => {
                (Status::Reopen(answered), true, Step::SendRequest)
            }
            (Status::Reopen(answered), Event::Expired) if answered >= 0 => (Status::Reopen(-1), true, Step::SetTimer),
            (Status::Reopen(answered), Event::Expired) => (Status::Reopen(answered), true, Step::Down),
        };
        (self.status, self.pending) = (status, pending);
        step
    }

    /// A DWR out of turn, to see whether the peer is there (spec B-162). `false`: one is out already.
    pub(super) fn probe(&mut self) -> bool {
        !std::mem::replace(&mut self.pending, true)
    }

    /// Whether requests of ours may be sent.
    pub(super) const fn is_okay(self) -> bool {
        matches!(self.status, Status::Okay)
    }

    pub(super) const fn is_suspect(self) -> bool {
        matches!(self.status, Status::Suspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OKAY: Status = Status::Okay;
    const SUSPECT: Status = Status::Suspect;

    const fn reopen(answered: i8) -> Status {
        Status::Reopen(answered)
    }

    // tests: B-166 B-167 B-168
    #[test]
    fn every_line_of_the_table() {
        use Event::{Answer, Expired, Other};
        let table = [
            (OKAY, true, Answer, OKAY, false, Step::SetTimer),
            (OKAY, false, Answer, OKAY, false, Step::SetTimer),
            (OKAY, true, Other, OKAY, true, Step::SetTimer),
            (OKAY, false, Other, OKAY, false, Step::SetTimer),
            (OKAY, false, Expired, OKAY, true, Step::SendRequest),
            (OKAY, true, Expired, SUSPECT, true, Step::FailOver),
            (SUSPECT, true, Answer, OKAY, false, Step::FailBack),
            (SUSPECT, true, Other, OKAY, true, Step::FailBack),
            (SUSPECT, true, Expired, SUSPECT, true, Step::Down),
            (reopen(0), true, Answer, reopen(1), false, Step::Nothing),
            (reopen(1), true, Answer, reopen(2), false, Step::Nothing),
            (reopen(2), true, Answer, OKAY, false, Step::FailBack),
            (reopen(-1), true, Answer, reopen(0), false, Step::Nothing),
            (reopen(1), true, Other, reopen(1), true, Step::Nothing),
            (reopen(1), false, Expired, reopen(1), true, Step::SendRequest),
            (reopen(2), true, Expired, reopen(-1), true, Step::SetTimer),
            (reopen(0), true, Expired, reopen(-1), true, Step::SetTimer),
            (reopen(-1), false, Expired, reopen(-1), true, Step::SendRequest),
            (reopen(-1), true, Expired, reopen(-1), true, Step::Down),
        ];
        for (status, pending, event, next, next_pending, step) in table {
            let mut watchdog = Watchdog { status, pending };
            let line = format!("{watchdog:?} {event:?}");
            assert_eq!(watchdog.step(event), step, "{line}");
            assert_eq!(watchdog, Watchdog { status: next, pending: next_pending }, "{line}");
        }
    }
}
