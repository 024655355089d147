//! One connection: reads, cuts off messages, has them decided, queues the answers.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, tcp::OwnedReadHalf},
    sync::mpsc,
};

use super::{
    DISCONNECT_WAIT, Shared,
    clients::Clients,
    outgoing::{self, Outgoing, Queue, WriterEnd, bound_hit},
    registry::{self, Command, Errand, Outcome, Place},
    router,
};
use crate::{
    diameter::{
        Frame, FrameError, LocalNode,
        base::DisconnectCause,
        dictionary::{application, command},
        error::write_frame_error_answer,
        peer::{Action, CloseReason, Input, Peer},
        reauth::{SessionAnswer, SessionRequest},
        split,
    },
    telemetry::{RequestMetrics, names},
    time::Timestamp,
};

/// Octets asked of the socket at once.
const READ_SIZE: usize = 64 << 10;
/// Requests of ours that wait for an answer on one connection; the oldest is given up for a new one.
const ASKED_MAX: usize = 4_096;

/// Serves a connection until it ends.
pub(super) async fn run(shared: Arc<Shared>, stream: TcpStream, address: SocketAddr, place: Place, seed: u64) {
    let local = named_as_found(&shared.local, stream.local_addr().map(|address| address.ip()).ok());
    let (reader, writer) = stream.into_split();
    let queue = Arc::new(Queue::default());
    let metrics = Arc::new(OnceLock::new());
    let writing = outgoing::write(Arc::clone(&shared), Arc::clone(&queue), writer, Arc::clone(&metrics));
    let mut writing = tokio::spawn(writing);
    let (commands, mut asked) = registry::commands(seed);
    let now = shared.store.clock().now();
    let mut connection = Connection {
        peer: Peer::responder(local, shared.admission.clone(), shared.timers, seed, now),
        shared,
        queue,
        metrics,
        batch: Vec::new(),
        clients: Clients::new(commands),
        asked: HashMap::default(),
        closing: None,
        address,
        _place: place,
    };
    connection.serve(reader, &mut asked).await;
    connection.end(&mut asked);
    // What is queued still leaves, for as long as a peer may take; a peer that reads nothing is cut off.
    match tokio::time::timeout(DISCONNECT_WAIT, &mut writing).await {
        Ok(Ok(WriterEnd::Journal(fatal))) => {
            tracing::error!(%address, %fatal, "connection closed: its answers cannot be made durable")
        }
        Ok(Ok(WriterEnd::Socket(error))) => tracing::info!(%address, %error, "connection broken: the peer is gone"),
        Ok(Ok(WriterEnd::Closed)) => {}
        Ok(Err(_)) | Err(_) => writing.abort(),
    }
}

/// This node as one peer sees it: where it listens on every address of the machine, Host-IP-Address is the one that the
/// peer has found (RFC 6733 5.3.5, spec B-148).
fn named_as_found(local: &Arc<LocalNode>, found: Option<IpAddr>) -> Arc<LocalNode> {
    let Some(found) = found.filter(|_| local.host_ips.iter().any(IpAddr::is_unspecified)) else {
        return Arc::clone(local);
    };
    let mut host_ips = vec![found.to_canonical()];
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
    /// Whose requests came over this connection.
    clients: Clients,
    /// Requests of ours by hop-by-hop id.
    asked: HashMap<u32, Errand, ahash::RandomState>,
    closing: Option<Closing>,
    address: SocketAddr,
    _place: Place,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy)]
enum Closing {
    /// The peer machine says so.
    Peer(CloseReason),
    /// What came is not Diameter.
    Frame,
    /// The peer has closed.
    Gone,
    /// Nothing can be sent any more; the writer knows why.
    Writer,
}

impl Connection {
    async fn serve(&mut self, mut reader: OwnedReadHalf, commands: &mut mpsc::Receiver<Command>) {
        let shared = Arc::clone(&self.shared);
        let mut stopping = shared.stopping.subscribe();
        let mut stop_seen = false;
        let mut buffer = BytesMut::with_capacity(READ_SIZE);
        let in_flight_max = shared.config.in_flight_max;
        while self.closing.is_none() {
            let full = self.queue.in_flight() >= in_flight_max;
            buffer.reserve(READ_SIZE);
            let deadline = self.until_deadline();
            tokio::select! {
                // A peer that asks faster than it is answered is not read from meanwhile (spec B-186).
                read = reader.read_buf(&mut buffer), if !full => match read {
                    Ok(0) | Err(_) => self.closing = Some(Closing::Gone),
                    Ok(_) => self.work_off(&mut buffer),
                },
                () = self.queue.room(in_flight_max), if full => bound_hit("in_flight_max"),
                () = self.queue.ended() => self.closing = Some(Closing::Writer),
                () = tokio::time::sleep(deadline) => self.step(Input::Tick),
                _ = stopping.wait_for(|stopping| *stopping), if !stop_seen => {
                    stop_seen = true;
                    self.step(Input::Stop(DisconnectCause::Rebooting));
                }
                Some(command) = commands.recv() => self.command(command),
            }
            if !self.queue.push(&mut self.batch) {
                self.closing = Some(Closing::Writer);
            }
        }
    }

    fn until_deadline(&self) -> Duration {
        let now = self.shared.store.clock().now();
        self.peer.deadline().map_or(Duration::ZERO, |deadline| deadline.since(now))
    }

    /// Takes every whole message off the buffer.
    fn work_off(&mut self, buffer: &mut BytesMut) {
        let received = Instant::now();
        let now = self.shared.store.clock().now();
        let store = &self.shared.store;
        self.shared.overload.look(received, || {
            // In this order: what is durable was given out.
            let durable = store.mark().current();
            (store.last_position(), durable)
        });
        while self.closing.is_none() {
            match split(buffer, self.shared.config.message_octets_max) {
                Ok(Some(frame)) => self.message(&frame, received, now),
                Ok(None) => return,
                Err(error) => self.not_diameter(&error),
            }
        }
    }

    fn message(&mut self, frame: &Frame, received: Instant, now: Timestamp) {
        let header = frame.header();
        let is_ccr = header.command == command::CREDIT_CONTROL
            && header.application == application::CREDIT_CONTROL
            && header.flags.is_request()
            && !header.flags.is_error();
        if is_ccr && self.peer.is_served() {
            self.peer.heard(now);
            self.credit_control(frame, received);
        } else {
            self.act(Input::Message(frame), now);
        }
    }

    fn credit_control(&mut self, frame: &Frame, received: Instant) {
        // While the connection is being ended its requests are answered still, but it leads nowhere (spec B-172, B-173).
        let open = self.peer.is_open();
        let (shared, clients) = (&self.shared, &mut self.clients);
        let traits = |host: Option<&str>| clients.sender(shared, host, open);
        self.batch.push(router::credit_control(shared, frame, received, traits));
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
                Action::Opened(capabilities) => self.opened(&capabilities.origin_host),
                Action::Deliver(frame) => self.deliver(&frame),
                Action::Suspect => tracing::warn!(address = %self.address, "the peer does not answer the watchdog"),
                Action::Leaving(cause) => {
                    tracing::info!(address = %self.address, ?cause, "the peer disconnects");
                    self.clients.leave(&self.shared);
                }
                Action::Close(reason) => self.closing = Some(Closing::Peer(reason)),
            }
        }
    }

    fn opened(&mut self, host: &str) {
        metrics::counter!(names::CONNECTIONS_ACCEPTED).increment(1);
        metrics::gauge!(names::CONNECTIONS).increment(1);
        tracing::info!(address = %self.address, peer = host, "peer connected");
        // Opened once for each connection.
        let _ = self.metrics.set(RequestMetrics::of_peer(host));
        self.clients.connected(&self.shared, host);
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
        let Command::ReAuthorise { session, host, realm, errand } = command;
        if !self.peer.is_open() {
            return errand.report(Outcome::NotSent);
        }
        let hop_by_hop = self.peer.next_hop_by_hop();
        let end_to_end = self.peer.next_end_to_end();
        let request = SessionRequest {
            session_id: session.as_bytes(),
            destination_host: &host,
            destination_realm: &realm,
            ..SessionRequest::default()
        };
        let mut bytes = Vec::new();
        request.write_rar(&mut bytes, &self.shared.local.identity, hop_by_hop, end_to_end);
        if self.asked.len() >= ASKED_MAX
            && let Some(oldest) = self.asked.keys().copied().min_by_key(|id| id.wrapping_sub(hop_by_hop))
        {
            self.asked.remove(&oldest);
        }
        self.asked.insert(hop_by_hop, errand);
        self.batch.push(Outgoing::Message(bytes));
    }

    fn end(&mut self, commands: &mut mpsc::Receiver<Command>) {
        self.clients.leave(&self.shared);
        commands.close();
        while let Ok(Command::ReAuthorise { errand, .. }) = commands.try_recv() {
            errand.report(Outcome::NotSent);
        }
        self.asked.drain().for_each(|(_, errand)| errand.report(Outcome::Lost));
        if self.metrics.get().is_some() {
            metrics::gauge!(names::CONNECTIONS).decrement(1);
        }
        match self.closing {
            Some(Closing::Peer(CloseReason::Disconnected)) | None => {
                tracing::info!(address = %self.address, "disconnected");
            }
            Some(Closing::Peer(CloseReason::Refused(code))) => {
                metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => "capabilities").increment(1);
                tracing::warn!(address = %self.address, %code, "connection refused");
            }
            Some(Closing::Peer(reason @ (CloseReason::HandshakeTimeout | CloseReason::NotCapabilities))) => {
                metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => "handshake").increment(1);
                tracing::warn!(address = %self.address, ?reason, "connection closed: no capabilities exchange");
            }
            Some(Closing::Peer(reason)) => tracing::warn!(address = %self.address, ?reason, "connection closed"),
            Some(Closing::Gone) => tracing::info!(address = %self.address, "the peer closed the connection"),
            // Told where it was found, or by the writer's end.
            Some(Closing::Frame | Closing::Writer) => {}
        }
        self.batch.push(Outgoing::Close);
        self.queue.push(&mut self.batch);
    }
}
