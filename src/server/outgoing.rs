//! What a connection sends, in order: an answer leaves when what it rests on is durable, and all that is ready leaves in
//! one write. Only refusals and the watchdog overtake: they rest on nothing, and must not wait for what does.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
};

use super::Shared;
use crate::{
    charging::{self, Answered, Verdict},
    diameter::Frame,
    journal::{Fatal, Pending, Position},
    mapping::{self, ClientTraits},
    telemetry::{RequestKind, RequestMetrics, names},
};

/// Octets gathered before they are written: as much as a socket's buffer takes at once.
const WRITE_SIZE: usize = 128 << 10;

/// The command code of DWR and DWA, as a header has it.
const WATCHDOG: [u8; 3] = [0, 1, 0x18];

/// Something to be sent.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A whole message that rests on no state: base protocol, requests of ours.
    Message(Vec<u8>),
    /// A decision on a request.
    Decision { request: Frame, answered: Pending<Answered>, client: ClientTraits, kind: RequestKind, received: Instant },
    /// Nothing more; the connection closes after what was before.
    Close,
}

/// What overtakes, encoded: refusals, and the watchdog, whose silence would tell the peer that this node is dead when only its
/// disk is slow (spec B-169). Many at once cost little: under overload most of what leaves is this.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    bytes: Vec<u8>,
    messages: usize,
    /// Those among them that are counted.
    refused: Vec<Refused>,
}

/// An error answer to a request.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) kind: RequestKind,
    pub(super) result_code: u32,
    pub(super) received: Instant,
}

impl Ahead {
    /// Adds a refusal that `encode` writes.
    pub(super) fn refuse(&mut self, refused: Refused, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.messages += 1;
        self.refused.push(refused);
    }

    pub(super) const fn len(&self) -> usize {
        self.messages
    }

    fn message(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.messages += 1;
    }

    /// Adds what another has, which keeps its room.
    fn append(&mut self, other: &mut Self) {
        self.bytes.append(&mut other.bytes);
        self.messages += std::mem::take(&mut other.messages);
        self.refused.append(&mut other.refused);
    }
}

/// The queue between a connection's reader and its writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: Mutex<Items>,
    filled: Notify,
    /// There are refusals: wakes a writer that waits for durability.
    refused: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Items {
    waiting: VecDeque<Outgoing>,
    ahead: Ahead,
    /// In the queue, or taken by the writer and not yet sent.
    in_flight: usize,
    /// The writer has ended: nothing will be sent any more.
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Items> {
        // Counters and a queue: whole after each single operation.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a batch, and what overtakes it; both are left empty. `false`: the writer has ended.
    pub(super) fn push(&self, batch: &mut Vec<Outgoing>, ahead: &mut Ahead) -> bool {
        if batch.is_empty() && ahead.len() == 0 {
            return true;
        }
        let mut items = self.lock();
        items.in_flight += batch.len() + ahead.len();
        items.ahead.append(ahead);
        for item in batch.drain(..) {
            match item {
                Outgoing::Message(bytes) if bytes.get(5..8) == Some(&WATCHDOG) => items.ahead.message(&bytes),
                item => items.waiting.push_back(item),
            }
        }
        let (open, refused) = (!items.closed, items.ahead.len() > 0);
        drop(items);
        self.filled.notify_one();
        if refused {
            self.refused.notify_one();
        }
        open
    }

    /// Requests read and not yet answered, about.
    pub(super) fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    /// Waits until fewer than `max` are in flight, or the writer has ended. Cancel safe.
    pub(super) async fn room(&self, max: usize) {
        loop {
            let drained = self.drained.notified();
            {
                let items = self.lock();
                if items.in_flight < max || items.closed {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Waits until the writer has ended. Cancel safe.
    pub(super) async fn ended(&self) {
        loop {
            let drained = self.drained.notified();
            if self.lock().closed {
                return;
            }
            drained.await;
        }
    }

    fn done(&self, count: usize) {
        let mut items = self.lock();
        items.in_flight = items.in_flight.saturating_sub(count);
        drop(items);
        self.drained.notify_waiters();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.drained.notify_waiters();
    }
}

/// Why a writer ended.
#[derive(Debug)]
pub(super) enum WriterEnd {
    /// All was sent.
    Closed,
    /// The peer is gone.
    Socket(std::io::Error),
    /// Nothing becomes durable any more: what is left must not be answered.
    Journal(Fatal),
}

/// Sends what is queued until [`Outgoing::Close`].
pub(super) async fn write<W: AsyncWrite + Unpin>(
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    mut socket: W,
    metrics: Arc<std::sync::OnceLock<Arc<RequestMetrics>>>,
) -> WriterEnd {
    let mut writer = Writer {
        shared,
        metrics,
        ahead: Ahead::default(),
        ready: Vec::with_capacity(WRITE_SIZE),
        closing: false,
        sent: 0,
        now: Instant::now(),
    };
    let end = writer.run(&queue, &mut socket).await;
    queue.close();
    // The peer sees an orderly end of the stream; that it is gone already is no matter.
    let _ = socket.shutdown().await;
    end
}

struct Writer {
    shared: Arc<Shared>,
    /// Known when the peer has introduced itself.
    metrics: Arc<std::sync::OnceLock<Arc<RequestMetrics>>>,
    /// Taken from the queue; empty but for its room.
    ahead: Ahead,
    /// Encoded and not yet written.
    ready: Vec<u8>,
    closing: bool,
    /// Items in `ready`.
    sent: usize,
    /// When the answers in `ready` became ready to leave, about: a look at the clock for each would cost more than it tells.
    now: Instant,
}

impl Writer {
    async fn run<W: AsyncWrite + Unpin>(&mut self, queue: &Queue, socket: &mut W) -> WriterEnd {
        let mut taken: VecDeque<Outgoing> = VecDeque::new();
        while !self.closing {
            while taken.is_empty() && self.sent == 0 {
                let filled = queue.filled.notified();
                {
                    let mut items = queue.lock();
                    std::mem::swap(&mut taken, &mut items.waiting);
                    std::mem::swap(&mut self.ahead, &mut items.ahead);
                }
                self.overtake();
                if taken.is_empty() && self.sent == 0 {
                    filled.await;
                }
            }
            while let Some(item) = taken.pop_front() {
                if let Some(item) = self.encode(item) {
                    // Not durable yet. What is ready leaves now, then the head of the queue is waited for.
                    let wait = item.position();
                    taken.push_front(item);
                    if let Err(error) = self.flush(queue, socket).await {
                        return WriterEnd::Socket(error);
                    }
                    if let Err(end) = self.wait_for(wait, queue, socket).await {
                        return end;
                    }
                }
                if self.closing {
                    break;
                }
                if self.ready.len() >= WRITE_SIZE
                    && let Err(error) = self.flush(queue, socket).await
                {
                    return WriterEnd::Socket(error);
                }
            }
            if let Err(error) = self.flush(queue, socket).await {
                return WriterEnd::Socket(error);
            }
        }
        WriterEnd::Closed
    }

    /// Waits until a position is durable; refusals leave meanwhile.
    async fn wait_for<W: AsyncWrite + Unpin>(
        &mut self,
        position: Position,
        queue: &Queue,
        socket: &mut W,
    ) -> Result<(), WriterEnd> {
        let mark = self.shared.store.mark().clone();
        loop {
            tokio::select! {
                biased;
                durable = mark.wait_for(position) => return durable.map(drop).map_err(WriterEnd::Journal),
                () = queue.refused.notified() => {
                    std::mem::swap(&mut self.ahead, &mut queue.lock().ahead);
                    self.overtake();
                    self.flush(queue, socket).await.map_err(WriterEnd::Socket)?;
                }
            }
        }
    }

    /// What overtakes leaves next.
    fn overtake(&mut self) {
        self.begin();
        self.ready.append(&mut self.ahead.bytes);
        self.sent += std::mem::take(&mut self.ahead.messages);
        if let Some(metrics) = self.metrics.get() {
            for Refused { kind, result_code, received } in &self.ahead.refused {
                metrics.answered(*kind, *result_code, self.now.saturating_duration_since(*received));
            }
        }
        self.ahead.refused.clear();
    }

    fn begin(&mut self) {
        if self.sent == 0 {
            self.now = Instant::now();
        }
    }

    /// Encodes an item, or hands it back if it must wait.
    fn encode(&mut self, item: Outgoing) -> Option<Outgoing> {
        self.begin();
        match item {
            Outgoing::Message(bytes) => self.ready.extend_from_slice(&bytes),
            Outgoing::Decision { request, answered, client, kind, received } => {
                let durable = match self.shared.store.mark().admit(answered) {
                    Ok(durable) => durable,
                    Err(answered) => return Some(Outgoing::Decision { request, answered, client, kind, received }),
                };
                let local = &self.shared.local.identity;
                let start = self.ready.len();
                if mapping::encode_answer(&durable, &request, client, local, &mut self.ready) {
                    self.shared.overload.tell(&mut self.ready, start, self.now);
                }
                if let Some(metrics) = self.metrics.get() {
                    let result_code = mapping::result_code(durable.answer.verdict).0;
                    metrics.answered(kind, result_code, self.now.saturating_duration_since(received));
                }
                count_refused_quotas(&durable);
            }
            Outgoing::Close => self.closing = true,
        }
        self.sent += 1;
        None
    }

    async fn flush<W: AsyncWrite + Unpin>(&mut self, queue: &Queue, socket: &mut W) -> std::io::Result<()> {
        if !self.ready.is_empty() {
            socket.write_all(&self.ready).await?;
            // TLS keeps what it has not yet sent; TCP has nothing to do here.
            socket.flush().await?;
            self.ready.clear();
        }
        if self.sent > 0 {
            queue.done(std::mem::take(&mut self.sent));
        }
        Ok(())
    }
}

impl Outgoing {
    fn position(&self) -> Position {
        match self {
            Self::Decision { answered, .. } => answered.position(),
            Self::Message(_) | Self::Close => Position::ZERO,
        }
    }
}

fn count_refused_quotas(answered: &Answered) {
    let answer = &answered.answer;
    if answer.verdict == Verdict::ResourcesExceeded {
        // An initial request would be one session too many; later ones report on more quotas than a session may have.
        let begins = answer.kind == charging::RequestKind::Initial;
        bound_hit(if begins { "account_sessions_max" } else { "session_quotas_max" });
    }
    for reply in answered.answer.replies.iter().filter(|reply| reply.verdict != Verdict::Success) {
        if reply.verdict == Verdict::ResourcesExceeded {
            bound_hit("session_quotas_max");
        }
        let code = mapping::result_code(reply.verdict).0.to_string();
        metrics::counter!(names::QUOTAS_REFUSED, "result_code" => code).increment(1);
    }
}

/// Counts something that was larger or more than a setting allows.
pub(super) fn bound_hit(setting: &'static str) {
    metrics::counter!(names::BOUNDS_HIT, "bound" => setting).increment(1);
}
