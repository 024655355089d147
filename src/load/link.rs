//! A connection of the load: handshake, buffers, and the loop that keeps its slots busy.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use super::{
    pace::Arrivals,
    plan::{Plan, Progress},
    report::Tally,
    slot::{Scanned, Slot},
    template::Template,
};
use crate::{
    diameter::{
        Avps, Frame, Header, LocalNode, ResultCode,
        base::DisconnectCause,
        credit_control::RequestType,
        dictionary::{command, key},
        frame::{HEADER_LEN, MESSAGE_MAX_DEFAULT},
        peer::{Action, CloseReason, Input, Peer, Timers, end_to_end_start},
        reauth::SessionAnswer,
    },
    time::{Clock, SystemClock, Timestamp},
};

/// Free space for each read: the answers to some hundreds of requests.
const READ_SPACE: usize = 256 * 1024;
/// How often a quiet connection looks at the time.
const LOOK_AROUND: Duration = Duration::from_millis(20);

/// A connection whose capabilities are exchanged.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    peer: Peer,
    local: Arc<LocalNode>,
    inbox: BytesMut,
    outbox: Vec<u8>,
    plan: Plan,
    templates: [Template; 3],
    slots: Vec<Slot>,
    /// Slots that may send.
    free: Vec<u16>,
    session: u32,
    end_to_end: u32,
    tally: Tally,
}

impl Link {
    /// Connects and exchanges capabilities.
    pub(super) async fn open(plan: Plan) -> anyhow::Result<Self> {
        let now = SystemClock.now();
        let stream = TcpStream::connect(&plan.target).await?;
        stream.set_nodelay(true)?;
        let ip = stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let local = Arc::new(LocalNode::gateway(plan.identity.clone(), vec![ip]));
        // The ids of one run follow the clock, and those of its connections the hosts, which is random enough here.
        let seed = now.millis() ^ u64::from(stream.local_addr()?.port()) << 48;
        let in_flight = plan.slots.len();
        let mut link = Self {
            peer: Peer::initiator(local.clone(), Timers::default(), seed, now),
            local,
            stream,
            inbox: BytesMut::with_capacity(READ_SPACE),
            outbox: Vec::with_capacity(READ_SPACE),
            templates: [RequestType::Initial, RequestType::Update, RequestType::Termination]
                .map(|kind| Template::new(&plan, kind)),
            slots: (0_u16..).zip(&plan.slots).map(|(number, range)| Slot::new(number, &plan, *range)).collect(),
            free: (0..in_flight).map(|number| number as u16).collect(),
            plan,
            session: 0,
            end_to_end: end_to_end_start(now, seed.rotate_left(20)),
            tally: Tally::default(),
        };
        link.shake_hands().await?;
        Ok(link)
    }

    /// Keeps the slots busy until the time is up and the last answer is there.
    pub(super) async fn drive(mut self, start: Instant, pace: Option<Arc<Notify>>, progress: Arc<Progress>) -> Tally {
        if let Err(error) = self.exchange(start, pace, &progress).await {
            self.tally.failures.push(format!("{}: {error:#}", self.plan.identity.host));
        }
        self.tally.unanswered = self.slots.iter().filter(|slot| slot.in_flight().is_some()).count() as u64;
        if self.tally.failures.is_empty()
            && let Err(error) = self.say_goodbye().await
        {
            self.tally.failures.push(format!("{}: {error:#}", self.plan.identity.host));
        }
        self.tally
    }

    async fn exchange(&mut self, start: Instant, pace: Option<Arc<Notify>>, progress: &Progress) -> anyhow::Result<()> {
        let base = SystemClock.now();
        let schedule = self.plan.schedule;
        let mut arrivals = self.plan.arrivals.take();
        let mut look_around = tokio::time::interval(LOOK_AROUND);
        loop {
            let now = start.elapsed().as_nanos() as u64;
            let clock = Timestamp::from_millis(base.millis() + now / 1_000_000);
            if now < schedule.end {
                self.send_due(now, clock, arrivals.as_mut());
            } else if self.wind_up(now, clock) || now >= schedule.give_up {
                self.tally.never_sent = arrivals.as_mut().map_or(0, |arrivals| overdue(arrivals, schedule.end));
                return Ok(());
            }
            self.flush()?;
            let (mut reader, writer) = self.stream.split();
            self.inbox.reserve(READ_SPACE / 2);
            tokio::select! {
                read = reader.read_buf(&mut self.inbox) => {
                    if read? == 0 {
                        bail!("closed by the server");
                    }
                    let now = start.elapsed().as_nanos() as u64;
                    let before = self.tally.answered;
                    self.receive(now, clock)?;
                    progress.add(self.tally.answered - before);
                }
                ready = writer.writable(), if !self.outbox.is_empty() => ready?,
                () = tick(pace.as_deref()), if pace.is_some() => {}
                _ = look_around.tick() => {
                    let actions = self.peer.handle(Input::Tick, clock);
                    self.act(actions)?;
                }
            }
        }
    }

    /// Lets free slots send: all of them in a closed loop, as many as are due in an open one.
    #[inline]
    fn send_due(&mut self, now: u64, clock: Timestamp, mut arrivals: Option<&mut Arrivals>) {
        while let Some(number) = self.free.last().copied() {
            let at = match &mut arrivals {
                None => now,
                Some(arrivals) => match arrivals.next(now) {
                    Some(at) => at,
                    None => return,
                },
            };
            self.free.pop();
            self.send(number, at, clock);
        }
    }

    #[inline]
    fn send(&mut self, number: u16, at: u64, clock: Timestamp) {
        let Some(slot) = self.slots.get_mut(usize::from(number)) else { return };
        let kind = slot.start(&self.plan, &mut self.session, at);
        let [initial, update, termination] = &self.templates;
        let template = match kind {
            RequestType::Initial => initial,
            RequestType::Update => update,
            RequestType::Termination | RequestType::Event => termination,
        };
        self.end_to_end = self.end_to_end.wrapping_add(1);
        template.write(&mut self.outbox, &slot.varying(self.end_to_end, clock.to_diameter(), self.plan.used));
        self.tally.sent += 1;
    }

    /// Ends the sessions that are open; `true` when nothing is in flight any more.
    fn wind_up(&mut self, now: u64, clock: Timestamp) -> bool {
        for number in std::mem::take(&mut self.free) {
            let Some(slot) = self.slots.get_mut(usize::from(number)) else { continue };
            slot.wind_up();
            if !slot.is_between_sessions() {
                self.send(number, now, clock);
            }
        }
        self.slots.iter().all(|slot| slot.in_flight().is_none())
    }

    /// One write for all that is ready; what does not fit waits.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        match self.stream.try_write(&self.outbox) {
            Ok(written) if written == self.outbox.len() => self.outbox.clear(),
            Ok(written) => drop(self.outbox.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes all messages that are complete.
    fn receive(&mut self, now: u64, clock: Timestamp) -> anyhow::Result<()> {
        self.peer.heard(clock);
        let inbox = std::mem::take(&mut self.inbox);
        let mut at = 0;
        let result = loop {
            let rest = inbox.get(at..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<HEADER_LEN>().map(Header::read) else { break Ok(()) };
            let length = header.length as usize;
            if rest.first() != Some(&1) || !(HEADER_LEN..=MESSAGE_MAX_DEFAULT).contains(&length) {
                break Err(anyhow::anyhow!("an answer has lost its framing"));
            }
            let Some(message) = rest.get(..length) else { break Ok(()) };
            if header.command == command::CREDIT_CONTROL && !header.flags.is_request() {
                self.answer(&header, message, now);
            } else if let Err(error) = self.other(message, clock) {
                break Err(error);
            }
            at += length;
        };
        self.inbox = inbox;
        self.inbox.advance(at);
        result
    }

    #[inline]
    fn answer(&mut self, header: &Header, message: &[u8], now: u64) {
        let number = Slot::number_of(header.hop_by_hop);
        let slot = self.slots.get_mut(number).filter(|slot| slot.awaits(header.hop_by_hop));
        let Some(slot) = slot else {
            self.tally.unexpected += 1;
            return;
        };
        let scanned = scan(message.get(HEADER_LEN..).unwrap_or_default());
        if !slot.is_echoed(&scanned, header.flags.is_error()) {
            self.tally.wrong_echoes += 1;
        }
        let (kind, at) = slot.answered(&scanned);
        self.tally.count(kind, scanned.result_code, scanned.service_code);
        let schedule = &self.plan.schedule;
        if (schedule.measure_from..schedule.end).contains(&now) {
            self.tally.measured += 1;
        }
        if (schedule.measure_from..schedule.end).contains(&at) {
            self.tally.latency.saturating_record(now.saturating_sub(at));
        }
        self.free.push(number as u16);
    }

    /// Watchdogs, disconnects, and requests of the server.
    #[cold]
    fn other(&mut self, message: &[u8], clock: Timestamp) -> anyhow::Result<()> {
        let frame = Frame::from_bytes(Bytes::copy_from_slice(message))?;
        let actions = self.peer.handle(Input::Message(&frame), clock);
        self.act(actions)
    }

    fn act(&mut self, actions: Vec<Action>) -> anyhow::Result<()> {
        for action in actions {
            match action {
                Action::Send(octets) => self.outbox.extend_from_slice(&octets),
                // RAR and ASR: the session goes on as planned, its next request is on its way anyhow (spec C-101).
                Action::Deliver(frame) if frame.header().flags.is_request() => {
                    SessionAnswer::write(&mut self.outbox, &frame, &self.local.identity, ResultCode::SUCCESS);
                }
                Action::Close(reason) => bail!("{reason:?}"),
                Action::Leaving(cause) => bail!("the server disconnects: {cause:?}"),
                Action::Deliver(_) | Action::Introduced(_) | Action::Opened(_) | Action::Suspect | Action::Trusted => {}
            }
        }
        Ok(())
    }

    async fn shake_hands(&mut self) -> anyhow::Result<()> {
        let actions = self.peer.handle(Input::Connected, SystemClock.now());
        self.act(actions)?;
        tokio::time::timeout(HANDSHAKE_MAX, async {
            while !self.peer.is_open() {
                self.turn().await?;
            }
            Ok(())
        })
        .await
        .context("no answer to CER")?
    }

    /// DPR, and the server's DPA or close.
    async fn say_goodbye(&mut self) -> anyhow::Result<()> {
        let actions = self.peer.handle(Input::Stop(DisconnectCause::Rebooting), SystemClock.now());
        self.act(actions)?;
        let closed = tokio::time::timeout(HANDSHAKE_MAX, async {
            while self.peer.deadline().is_some() {
                self.turn().await?;
            }
            anyhow::Ok(())
        });
        match closed.await {
            Ok(Err(error)) if error.to_string() != format!("{:?}", CloseReason::Disconnected) => Err(error),
            Ok(_) => Ok(()),
            Err(_) => bail!("no answer to DPR"),
        }
    }

    /// Sends what there is to send and takes what comes.
    async fn turn(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.outbox).await?;
        self.outbox.clear();
        if self.stream.read_buf(&mut self.inbox).await? == 0 {
            bail!("closed by the server");
        }
        self.receive(0, SystemClock.now())
    }
}

/// How long the server may take for CEA and DPA.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

async fn tick(pace: Option<&Notify>) {
    if let Some(pace) = pace {
        pace.notified().await;
    }
}

/// How many requests were due before the end and not sent.
fn overdue(arrivals: &mut Arrivals, end: u64) -> u64 {
    let mut count = 0;
    while arrivals.next(end.saturating_sub(1)).is_some() {
        count += 1;
    }
    count
}

/// Reads the few AVPs of a CCA that matter here.
#[inline]
fn scan(body: &[u8]) -> Scanned {
    let mut scanned = Scanned::default();
    for avp in Avps::new(body) {
        let Ok(avp) = &avp else { break };
        match avp.key() {
            key::RESULT_CODE => scanned.result_code = avp.u32().unwrap_or(0),
            key::CC_REQUEST_TYPE => scanned.request_type = avp.u32().ok(),
            key::CC_REQUEST_NUMBER => scanned.request_number = avp.u32().ok(),
            key::MULTIPLE_SERVICES_CREDIT_CONTROL => {
                for member in avp.grouped() {
                    match &member {
                        Ok(avp) if avp.key() == key::RESULT_CODE => scanned.service_code = avp.u32().ok(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    scanned
}
