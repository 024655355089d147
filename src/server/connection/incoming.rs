//! What was read of a connection and not worked off yet: how long it has waited tells when more is asked than can be done.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{
    diameter::{Frame, FrameError, split},
    server::overload::Level,
};

/// Octets asked of the socket at once.
const READ_OCTETS: usize = 64 << 10;
/// The same while what was read before waits: more than is worked off meanwhile, so that what waits waits here, where it is
/// known since when.
const READ_BEHIND_OCTETS: usize = 4 * READ_OCTETS;
/// Octets that may wait here; the others wait in the socket, and then with the peer (spec B-186).
const WAITING_OCTETS: usize = 1 << 20;
/// Octets worked off before others have their turn.
const TURN_OCTETS: usize = READ_OCTETS;

/// Octets of messages in the order in which they came.
#[derive(Debug)]
pub(super) struct Incoming {
    buffer: BytesMut,
    /// When they came, and how many at once; as many as are in the buffer. What is left of a message that is not whole came with
    /// what follows: until then it did not wait for us.
    arrivals: VecDeque<(Instant, usize)>,
    /// Of the present turn.
    left: usize,
    late: Late,
}

impl Incoming {
    pub(super) fn new() -> Self {
        let buffer = BytesMut::with_capacity(READ_OCTETS);
        Self { buffer, arrivals: VecDeque::new(), left: 0, late: Late::default() }
    }

    /// Whether more may be read: not as long as enough waits.
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() < WAITING_OCTETS
    }

    /// Whether messages wait that came before those that are to be read. The last may not be whole.
    pub(super) fn is_behind(&self) -> bool {
        self.left == 0 && !self.arrivals.is_empty()
    }

    /// Reads what there is; false = that was all there will ever be. May be cancelled.
    pub(super) async fn read<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> bool {
        let behind = self.is_behind();
        self.buffer.reserve(if behind { READ_BEHIND_OCTETS } else { READ_OCTETS });
        match reader.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => false,
            Ok(mut octets) => {
                if !behind {
                    self.arrivals.clear();
                    octets = self.buffer.len();
                }
                self.arrivals.push_back((Instant::now(), octets));
                true
            }
        }
    }

    /// What waits did so for the peer, that did not read its answers, or for the disk: that does not count.
    pub(super) fn pardon(&mut self, now: Instant) {
        self.arrivals.iter_mut().for_each(|(at, _)| *at = now);
    }

    /// Begins a turn at this moment: since when its first octet has waited, and what is refused because of that.
    pub(super) fn turn(&mut self, now: Instant) -> (Instant, Level) {
        self.left = TURN_OCTETS;
        let since = self.arrivals.front().map_or(now, |(at, _)| *at);
        (since, self.late.judge(now, now.saturating_duration_since(since)))
    }

    /// The next whole message of this turn.
    pub(super) fn next(&mut self, message_octets_max: usize) -> Result<Option<Frame>, FrameError> {
        if self.left == 0 {
            return Ok(None);
        }
        let before = self.buffer.len();
        let frame = split(&mut self.buffer, message_octets_max)?;
        let octets = before - self.buffer.len();
        self.left = self.left.saturating_sub(octets);
        self.forget(octets);
        Ok(frame)
    }

    /// As many octets have left the buffer.
    fn forget(&mut self, mut octets: usize) {
        while let Some((_, waiting)) = self.arrivals.front_mut() {
            if *waiting > octets {
                *waiting -= octets;
                return;
            }
            octets -= *waiting;
            self.arrivals.pop_front();
        }
    }
}

/// A message that waits so long is late: several times what it takes to answer one, and nothing to a client that waits for ten
/// seconds (Tx, spec C-153).
const LATE: Duration = Duration::from_millis(10);
/// All messages are late for so long before anything is refused: a pause of the machine, or a burst, is worked off in less.
const PATIENCE: Duration = Duration::from_millis(100);
/// So long after something was refused there is no more patience: it is the same overload.
const AGAIN: Duration = Duration::from_secs(1);
/// If it helps nothing to refuse what begins for so long, updates that ask for units are refused as well.
const HELPLESS: Duration = Duration::from_secs(1);

/// Whether there is a queue that stands, in place of one that comes and goes (after CoDel, RFC 8289): what counts is how long
/// the message has waited that waited least.
#[derive(Debug, Default)]
struct Late {
    /// Since when all were late.
    since: Option<Instant>,
    /// When something was refused last.
    refused: Option<Instant>,
}

impl Late {
    /// What is refused from now on, when a message has waited for so long. Reports are not: little is won by that.
    fn judge(&mut self, now: Instant, waited: Duration) -> Level {
        if waited < LATE {
            self.since = None;
            return Level::Nothing;
        }
        let since = *self.since.get_or_insert(now);
        let lasts = now.saturating_duration_since(since);
        let again = self.refused.is_some_and(|at| now.saturating_duration_since(at) < AGAIN);
        if !again && lasts < PATIENCE {
            return Level::Nothing;
        }
        self.refused = Some(now);
        if lasts < HELPLESS { Level::Begins } else { Level::Grants }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::{CreditControlRequest, Identity, credit_control::RequestType};

    const MAX: usize = 1 << 16;

    fn message() -> Vec<u8> {
        let origin = Identity { host: "gw.example".into(), realm: "example".into() };
        let mut bytes = Vec::new();
        CreditControlRequest::new(b"gw.example;1;1", &origin, "example", RequestType::Initial).encode(&mut bytes);
        bytes
    }

    async fn read(incoming: &mut Incoming, octets: &[u8]) {
        assert!(incoming.read(&mut &octets[..]).await);
    }

    #[test]
    fn a_queue_that_stands_is_refused_and_one_that_is_worked_off_is_not() {
        use Level::{Begins, Grants, Nothing};
        let (start, mut late) = (Instant::now(), Late::default());
        for (at, waited, expected) in [
            (0, 5, Nothing),
            // A pause of the machine, of which some is left for a while.
            (1_000, 90, Nothing),
            (1_050, 40, Nothing),
            (1_099, 10, Nothing),
            (1_100, 9, Nothing),
            (1_101, 30, Nothing),
            // It has lasted for long enough.
            (1_201, 70, Begins),
            (1_210, 9, Nothing),
            // The same overload, and it ends.
            (1_220, 10, Begins),
            (1_230, 0, Nothing),
            (2_219, 11, Begins),
            (2_220, 1, Nothing),
            // Another one.
            (3_220, 11, Nothing),
            (3_319, 40, Nothing),
            (3_320, 40, Begins),
            (4_219, 40, Begins),
            (4_220, 40, Grants),
            (9_000, 400, Grants),
            (9_001, 9, Nothing),
            (9_002, 10, Begins),
        ] {
            let found = late.judge(start + Duration::from_millis(at), Duration::from_millis(waited));
            assert_eq!(found, expected, "at {at} ms");
        }
    }

    #[tokio::test]
    async fn messages_wait_since_their_first_octet_came_and_turns_are_bounded() {
        let message = message();
        let many = message.repeat(TURN_OCTETS / message.len() + 2);
        let mut incoming = Incoming::new();
        assert!(!incoming.is_behind());
        read(&mut incoming, &many[..TURN_OCTETS]).await;
        let first = incoming.arrivals[0].0;
        read(&mut incoming, &many[TURN_OCTETS..]).await;
        let second = incoming.arrivals[1].0;
        assert!(first < second && incoming.is_behind());

        let turn = |incoming: &mut Incoming| {
            let (since, _) = incoming.turn(Instant::now());
            let mut frames = 0;
            while incoming.next(MAX).unwrap().is_some() {
                frames += 1;
            }
            (since, frames)
        };
        // The message that is whole by the second part has waited since the first.
        assert_eq!(turn(&mut incoming), (first, TURN_OCTETS.div_ceil(message.len())));
        assert!(incoming.is_behind());
        incoming.pardon(second + LATE);
        assert_eq!(
            turn(&mut incoming),
            (second + LATE, many.len() / message.len() - TURN_OCTETS.div_ceil(message.len()))
        );
        assert!(!incoming.is_behind() && incoming.arrivals.is_empty() && incoming.buffer.is_empty());

        // Half a message is not behind: there is nothing to be done, and it waits for the other half.
        read(&mut incoming, &message[..30]).await;
        assert_eq!(turn(&mut incoming).1, 0);
        assert!(!incoming.is_behind());
        let whole = Instant::now();
        read(&mut incoming, &message[30..]).await;
        let (since, frames) = turn(&mut incoming);
        assert!(since >= whole && frames == 1, "{frames}");
        assert!(!incoming.read(&mut &b""[..]).await, "the end");
    }

    #[tokio::test]
    async fn no_more_is_read_than_may_wait() {
        let mut incoming = Incoming::new();
        let flood = vec![0; 4 * WAITING_OCTETS];
        let mut reader = &flood[..];
        while incoming.has_room() {
            assert!(incoming.read(&mut reader).await);
        }
        assert!(incoming.buffer.len() < WAITING_OCTETS + 2 * READ_BEHIND_OCTETS, "{}", incoming.buffer.len());
    }
}
