//! One connection: reads, cuts off messages, has them decided, queues the answers.

mod incoming;
mod standing;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

use self::{incoming::Incoming, standing::Standing};
use super::{
    DISCONNECT_WAIT, Shared,
    admission::{self, Certificate},
    clients::Clients,
    closing::Closing,
    outgoing::{self, Ahead, Outgoing, Queue, WriterEnd, bound_hit},
    overload::{self, Here, Level},
    registry::{self, Command, Errand, Outcome, Place, What},
    router,
    signal::Handle,
};
use crate::{
    diameter::{
        Frame, FrameError, LocalNode,
        base::DisconnectCause,
        dictionary::{application, command},
        error::write_frame_error_answer,
        peer::{Action, Arrival, CloseReason, Event, Input, Peer, Timers},
        reauth::{SessionAnswer, SessionRequest},
    },
    telemetry::{RequestMetrics, names},
    time::Timestamp,
};

/// Requests of ours that wait for an answer on one connection; the oldest is given up for a new one.
const ASKED_MAX: usize = 4_096;

/// A connection whose transport is up.
pub(super) struct Link<R, W> {
    pub(super) reader: R,
    pub(super) writer: W,
    /// The other end.
    pub(super) address: SocketAddr,
    /// This end.
    pub(super) local: Option<IpAddr>,
    /// What the peer has shown; `None` = the connection has no TLS.
    pub(super) certificate: Option<Certificate>,
    pub(super) place: Place,
}

/// Who opened a connection.
pub(super) enum Role {
    /// The peer, at this moment.
    Accepted(Handle, Timestamp),
    /// This node, to reach the peer of this name.
    Called(Handle, Box<str>),
}

/// Serves a connection until it ends. Returns why, and whether it was ever open.
pub(super) async fn run<R, W>(shared: Arc<Shared>, link: Link<R, W>, role: Role) -> (Closing, bool)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let Link { reader, writer, address, local, certificate, place } = link;
    let local = named_as_found(&shared.local, local);
    let queue = Arc::new(Queue::default());
    let metrics = Arc::new(OnceLock::new());
    let writing = outgoing::write(Arc::clone(&shared), Arc::clone(&queue), writer, Arc::clone(&metrics));
    let mut writing = tokio::spawn(writing);
    let now = shared.store.clock().now();
    let (handle, peer, host) = match role {
        Role::Accepted(handle, at) => {
            let admission = admission::of(&shared, address, certificate);
            let peer = Peer::responder(local, admission, shared.timers, handle.id, at).asking();
            (handle, peer, None)
        }
        Role::Called(handle, host) => {
            // A peer that is to be called is wanted, whether there is traffic or not.
            let timers = Timers { idle_ms: 0, ..shared.timers };
            let peer = Peer::initiator(local, timers, handle.id, now).expecting(&host);
            let peer = if shared.peers.was_down(&host) { peer.reopening() } else { peer };
            (handle, peer, Some(host))
        }
    };
    let (commands, mut asked) = registry::commands(handle.id);
    let mut connection = Connection {
        peer,
        shared,
        queue,
        metrics,
        batch: Vec::new(),
        ahead: Ahead::default(),
        clients: Clients::new(commands),
        asked: HashMap::default(),
        called: host.is_some(),
        host,
        handle,
        standing: Standing::default(),
        closing: None,
        refused: Level::Nothing,
        address,
        _place: place,
    };
    if connection.called {
        connection.happened(Event::Connected);
    }
    connection.serve(reader, &mut asked).await;
    let ended = connection.end(&mut asked);
    // What is queued still leaves, for as long as a peer may take; a peer that reads nothing is cut off.
    match tokio::time::timeout(DISCONNECT_WAIT, &mut writing).await {
        Ok(Ok(WriterEnd::Journal(fatal))) => {
            tracing::error!(%address, %fatal, "connection closed: its answers cannot be made durable")
        }
        Ok(Ok(WriterEnd::Socket(error))) => tracing::info!(%address, %error, "connection broken: the peer is gone"),
        Ok(Ok(WriterEnd::Closed)) => {}
        Ok(Err(_)) | Err(_) => writing.abort(),
    }
    ended
}

/// This node as one peer sees it: Host-IP-Address is the address of this connection first, then those that it listens on
/// besides (RFC 6733 5.3.5, spec B-148).
fn named_as_found(local: &Arc<LocalNode>, found: Option<IpAddr>) -> Arc<LocalNode> {
    let Some(found) = found.map(|ip| ip.to_canonical()) else { return Arc::clone(local) };
    let mut host_ips = vec![found];
    host_ips.extend(local.host_ips.iter().filter(|ip| !ip.is_unspecified() && **ip != found));
    Arc::new(LocalNode { host_ips, ..LocalNode::clone(local) })
}

struct Connection {
    shared: Arc<Shared>,
    peer: Peer,
    queue: Arc<Queue>,
    metrics: Arc<OnceLock<Arc<RequestMetrics>>>,
    /// Gathered while what was read is worked off, queued at once.
    batch: Vec<Outgoing>,
    /// The same of what overtakes.
    ahead: Ahead,
    /// Whose requests came over this connection.
    clients: Clients,
    /// Requests of ours by hop-by-hop id.
    asked: HashMap<u32, Errand, ahash::RandomState>,
    /// This node has opened it.
    called: bool,
    /// The peer's Origin-Host, once it is known.
    host: Option<Box<str>>,
    handle: Handle,
    standing: Standing,
    closing: Option<Closing>,
    /// What is refused because requests wait here for too long.
    refused: Level,
    address: SocketAddr,
    _place: Place,
}

impl Connection {
    async fn serve<R: AsyncRead + Unpin>(&mut self, mut reader: R, commands: &mut mpsc::Receiver<Command>) {
        let shared = Arc::clone(&self.shared);
        let handle = self.handle.clone();
        let mut stopping = shared.stopping.subscribe();
        let mut stop_seen = false;
        let (mut incoming, mut stood) = (Incoming::new(), false);
        let in_flight_max = shared.config.in_flight_max;
        while self.closing.is_none() {
            if !self.queue.push(&mut self.batch, &mut self.ahead) {
                self.closing = Some(Closing::Writer);
                return;
            }
            let in_flight = self.queue.in_flight();
            let full = in_flight >= in_flight_max;
            // Where they wait for the disk, and not for the peer to read, more are read to be refused (spec I-6).
            let crowded = full && shared.overload.is_on() && in_flight < 2 * in_flight_max;
            let works = !full || crowded;
            if works && stood {
                incoming.pardon(Instant::now());
            }
            stood = !works;
            let (behind, room) = (incoming.is_behind(), incoming.has_room());
            let deadline = self.until_deadline();
            // While nothing is read nothing else may look how far the disk is.
            let deadline = if full { deadline.min(overload::LOOK_EVERY) } else { deadline };
            tokio::select! {
                // A peer that asks faster than it is answered is not read from meanwhile (spec B-186).
                more = incoming.read(&mut reader), if works && room => match more {
                    true => self.work_off(&mut incoming),
                    false => self.closing = Some(Closing::Gone),
                },
                // After the others had their turn.
                () = tokio::task::yield_now(), if works && behind => self.work_off(&mut incoming),
                () = self.queue.room(in_flight_max), if full => bound_hit("in_flight_max"),
                () = self.queue.ended() => self.closing = Some(Closing::Writer),
                () = tokio::time::sleep(deadline) => {
                    self.look(Instant::now());
                    self.step(Input::Tick);
                }
                _ = stopping.wait_for(|stopping| *stopping), if !stop_seen => {
                    stop_seen = true;
                    self.step(Input::Stop(DisconnectCause::Rebooting));
                }
                effects = handle.told() => self.obey(effects),
                Some(command) = commands.recv() => self.command(command),
            }
        }
        self.queue.push(&mut self.batch, &mut self.ahead);
    }

    fn until_deadline(&self) -> Duration {
        let now = self.shared.store.clock().now();
        self.peer.deadline().map_or(Duration::ZERO, |deadline| deadline.since(now))
    }

    /// Looks how far the disk is behind, if it is time.
    fn look(&self, now: Instant) {
        let store = &self.shared.store;
        self.shared.overload.look(now, || {
            // In this order: what is durable was given out.
            let durable = store.mark().current();
            (store.last_position(), durable)
        });
    }

    /// Takes whole messages off what was read, as many as are one turn.
    fn work_off(&mut self, incoming: &mut Incoming) {
        let at = Instant::now();
        let now = self.shared.store.clock().now();
        self.look(at);
        let (received, refused) = incoming.turn(at);
        self.refused = refused;
        while self.closing.is_none() {
            match incoming.next(self.shared.config.message_octets_max) {
                Ok(Some(frame)) => self.message(frame, received, now),
                Ok(None) => return,
                Err(error) => self.not_diameter(&error),
            }
        }
    }

    fn message(&mut self, frame: Frame, received: Instant, now: Timestamp) {
        let header = frame.header();
        let is_ccr = header.command == command::CREDIT_CONTROL
            && header.application == application::CREDIT_CONTROL
            && header.flags.is_request()
            && !header.flags.is_error();
        if is_ccr && self.peer.is_served() {
            self.peer.heard(now);
            if self.standing.doubted {
                self.tell_standing();
            }
            self.credit_control(frame, received, now);
        } else {
            self.act(Input::Message(&frame), now);
        }
    }

    fn credit_control(&mut self, frame: Frame, received: Instant, now: Timestamp) {
        // While the connection is being ended its requests are answered still, but it leads nowhere (spec B-172, B-173).
        let open = self.peer.may_ask();
        let (shared, clients) = (&self.shared, &mut self.clients);
        let traits = |host: Option<&str>| clients.sender(shared, host, open);
        // As many as may wait for the disk do so already.
        let in_flight = || self.queue.in_flight() + self.batch.len() + self.ahead.len();
        let crowded = shared.overload.is_on() && in_flight() >= shared.config.in_flight_max;
        let refused = if crowded { Here::Crowded } else { Here::Late(self.refused) };
        let decided = router::credit_control(shared, frame, received, now, refused, traits, &mut self.ahead);
        self.batch.extend(decided);
    }

    /// The stream has lost its framing: say so if that can be said, then close, and only this connection (spec B-3).
    fn not_diameter(&mut self, error: &FrameError) {
        let reason = if matches!(error, FrameError::Version { .. }) { "version" } else { "length" };
        metrics::counter!(names::FRAME_ERRORS, "reason" => reason).increment(1);
        if matches!(error, FrameError::Length { length, max, .. } if length > max) {
            bound_hit("message_octets_max");
        }
        tracing::warn!(address = %self.address, %error, "connection closed: not a Diameter message");
        if let Some(header) = error.answerable() {
            let mut bytes = Vec::new();
            write_frame_error_answer(&mut bytes, &header, &self.shared.local.identity, error.result_code());
            self.batch.push(Outgoing::Message(bytes));
        }
        self.closing = Some(Closing::Frame);
    }

    fn step(&mut self, input: Input<'_>) {
        let now = self.shared.store.clock().now();
        self.act(input, now);
    }

    fn act(&mut self, input: Input<'_>, now: Timestamp) {
        for action in self.peer.handle(input, now) {
            match action {
                Action::Send(bytes) => self.batch.push(Outgoing::Message(bytes)),
                Action::Introduced(capabilities) => {
                    self.host = Some(capabilities.origin_host.as_str().into());
                    let origin_state_id = capabilities.origin_state_id;
                    self.happened(Event::Arrived(Arrival { connection: self.handle.id, origin_state_id }));
                }
                Action::Opened(capabilities) => {
                    if self.called {
                        self.happened(Event::Answered { origin_state_id: capabilities.origin_state_id });
                    }
                    self.opened(&capabilities.origin_host, capabilities.origin_state_id);
                }
                Action::Deliver(frame) => self.deliver(&frame),
                Action::Suspect => tracing::warn!(address = %self.address, "the peer does not answer the watchdog"),
                Action::Trusted => tracing::info!(address = %self.address, "the peer answers the watchdog"),
                Action::Leaving(cause) => {
                    tracing::info!(address = %self.address, ?cause, "the peer disconnects");
                    self.standing.cause = Some(cause);
                }
                Action::Close(reason) => self.closing = Some(Closing::Peer(reason)),
            }
        }
        self.tell_standing();
    }

    fn opened(&mut self, host: &str, state_id: u32) {
        metrics::counter!(names::CONNECTIONS_ACCEPTED).increment(1);
        metrics::gauge!(names::CONNECTIONS).increment(1);
        tracing::info!(address = %self.address, peer = host, "peer connected");
        // Opened once for each connection.
        let _ = self.metrics.set(RequestMetrics::of_peer(host));
        self.clients.connected(&self.shared, host, state_id);
    }

    /// An answer to a request of ours; CCRs do not come this way.
    fn deliver(&mut self, frame: &Frame) {
        let header = frame.header();
        if header.flags.is_request() {
            return;
        }
        // An answer that nobody waits for is dropped (spec B-88).
        let Some(errand) = self.asked.remove(&header.hop_by_hop) else { return };
        match SessionAnswer::parse(frame) {
            Ok(answer) => errand.report(Outcome::Answered(answer.result_code)),
            // Counts as unanswered (spec B-89).
            Err(error) => tracing::warn!(address = %self.address, %error, "an answer could not be read"),
        }
    }

    fn command(&mut self, command: Command) {
        let Command { what, session, sub_session, host, realm, errand } = command;
        if !self.peer.may_ask() {
            return errand.report(Outcome::NotSent);
        }
        let hop_by_hop = self.peer.next_hop_by_hop();
        let end_to_end = self.shared.next_end_to_end();
        let request = SessionRequest {
            session_id: session.as_bytes(),
            destination_host: &host,
            destination_realm: &realm,
            origin_state_id: self.shared.local.origin_state_id,
            sub_session_id: Some(sub_session).filter(|id| *id != 0),
            rating_group: match what {
                What::ReAuthorise { group } => group,
                What::Abort => None,
            },
            ..SessionRequest::default()
        };
        let mut bytes = Vec::new();
        let local = &self.shared.local.identity;
        match what {
            What::ReAuthorise { .. } => request.write_rar(&mut bytes, local, hop_by_hop, end_to_end),
            What::Abort => request.write_asr(&mut bytes, local, hop_by_hop, end_to_end),
        }
        if self.asked.len() >= ASKED_MAX
            && let Some(oldest) = self.asked.keys().copied().min_by_key(|id| id.wrapping_sub(hop_by_hop))
        {
            self.asked.remove(&oldest);
        }
        self.asked.insert(hop_by_hop, errand);
        self.batch.push(Outgoing::Message(bytes));
    }

    /// Says goodbye to all who know of it. Returns why it ended, and whether it was ever open.
    fn end(&mut self, commands: &mut mpsc::Receiver<Command>) -> (Closing, bool) {
        self.clients.leave(&self.shared);
        commands.close();
        while let Ok(Command { errand, .. }) = commands.try_recv() {
            errand.report(Outcome::NotSent);
        }
        self.asked.drain().for_each(|(_, errand)| errand.report(Outcome::Lost));
        let opened = self.metrics.get().is_some();
        if opened {
            metrics::gauge!(names::CONNECTIONS).decrement(1);
        }
        let closing = self.closing.unwrap_or(Closing::Gone);
        closing.report(self.address, self.host.as_deref().or(self.peer.refused()), opened);
        let late = self.called && closing == Closing::Peer(CloseReason::HandshakeTimeout);
        self.happened(if late { Event::TimedOut } else { Event::Gone(self.handle.id) });
        self.batch.push(Outgoing::Close);
        self.queue.push(&mut self.batch, &mut self.ahead);
        (closing, opened)
    }
}
