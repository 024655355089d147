//! Neighbours of a load: connections beside it that are idle, slow, half open, or dribble, and must not be felt.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::BytesMut;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    LoadOptions,
    plan::{Plan, RunId},
    slot::Slot,
    template::Template,
};
use crate::{
    diameter::{
        Identity, LocalNode,
        credit_control::RequestType,
        frame::{MESSAGE_MAX_DEFAULT, split},
        peer::{Action, Input, Peer, Timers},
    },
    time::{Clock, SystemClock},
};

/// One of each bad kind for this many idle ones: as many as would be noticed in a network.
const IDLE_PER_BAD: usize = 100;
/// Handshakes at a time while the neighbours move in.
const OPENING_AT_ONCE: usize = 64;
/// How long one of them may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// A slow reader takes this many octets at a time, and an octet writer sends one ...
const SLOW_READ: usize = 100;
/// ... after a pause of this.
const PAUSE: Duration = Duration::from_millis(100);
/// Neighbours have settled when slow readers get rid of no more than this many octets each ...
const SETTLED: u64 = 16 << 10;
/// ... from one look to the next; a server that never holds them up is measured as it is.
const SETTLE_LOOK: Duration = Duration::from_millis(250);
const SETTLE_LOOKS: usize = 120;
/// Room for what a quiet connection is sent: a watchdog now and then.
const QUIET_ROOM: usize = 512;

/// What a neighbour does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Says who it is, answers watchdogs, and asks nothing.
    Idle,
    /// Asks as fast as it is read, and hardly takes the answers.
    SlowReader,
    /// Begins a CER and goes no further; comes back when it is thrown out.
    HalfOpen,
    /// Sends its requests octet by octet.
    OctetWriter,
}

/// How many neighbours there were, and how they fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Neighbours {
    /// Connections that asked nothing.
    pub idle: usize,
    /// Connections that took hardly any of their answers.
    pub slow_readers: usize,
    /// Connections that never said who they are.
    pub half_open: usize,
    /// Connections that sent octet by octet.
    pub octet_writers: usize,
    /// Octets of requests that the server took from slow readers: bounded by what the system buffers and by the requests
    /// that it lets be under way.
    pub slow_readers_sent: u64,
    /// Half-open connections that the server has closed.
    pub half_open_closed: u64,
    /// Connections that the server closed and should not have.
    pub lost: u64,
}

/// Neighbours that are there until they leave.
#[derive(Debug)]
pub(super) struct Neighbourhood {
    tasks: JoinSet<()>,
    count: [usize; 4],
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    leaving: AtomicBool,
    slow_readers_sent: AtomicU64,
    half_open_closed: AtomicU64,
    lost: AtomicU64,
}

impl Neighbourhood {
    /// Connections that `idle` idle ones and their company need.
    pub(super) fn connections(idle: usize) -> usize {
        idle + 3 * bad(idle)
    }

    /// Opens all of them; returns when each is there.
    ///
    /// # Errors
    /// One that cannot be opened: the server or the system lets too few in.
    pub(super) async fn open(options: &LoadOptions, idle: usize) -> anyhow::Result<Self> {
        let bad = bad(idle);
        let count = [idle, bad, bad, bad];
        let kinds = [Kind::Idle, Kind::SlowReader, Kind::HalfOpen, Kind::OctetWriter];
        let (seen, run) = (Arc::new(Seen::default()), RunId::now());
        let permits = Arc::new(Semaphore::new(OPENING_AT_ONCE));
        let (opened, mut all_opened) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let all = kinds.iter().zip(count).flat_map(|(kind, count)| (0..count).map(|_| *kind));
        for (number, kind) in all.enumerate() {
            let plan = plan(options, number, run);
            let (seen, permits, opened) = (Arc::clone(&seen), Arc::clone(&permits), opened.clone());
            tasks.spawn(async move {
                let Ok(permit) = permits.acquire_owned().await else { return };
                let neighbour = Neighbour::open(plan, kind).await;
                drop(permit);
                match neighbour {
                    Ok(neighbour) => {
                        let _ = opened.send(Ok(()));
                        neighbour.live(&seen).await;
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            });
        }
        drop(opened);
        for number in 0..Self::connections(idle) {
            let Some(outcome) = all_opened.recv().await else { bail!("a neighbour was lost") };
            outcome.with_context(|| {
                let all = Self::connections(idle) + options.connections;
                format!(
                    "neighbour {number} of {}: the server's diameter.connections_max must be above {all}, and \
                     `ulimit -n` here and there well above it",
                    Self::connections(idle)
                )
            })?;
        }
        let neighbourhood = Self { tasks, count, seen };
        neighbourhood.settle().await;
        Ok(neighbourhood)
    }

    /// Waits until slow readers are held up: before that they are only fast writers. It takes what the system buffers.
    async fn settle(&self) {
        let sent = || self.seen.slow_readers_sent.load(Ordering::Relaxed);
        for _ in 0..SETTLE_LOOKS {
            let before = sent();
            tokio::time::sleep(SETTLE_LOOK).await;
            if sent() - before <= SETTLED * self.count[1] as u64 {
                return;
            }
        }
    }

    /// Sends them away and tells how they fared.
    pub(super) async fn leave(mut self) -> Neighbours {
        self.seen.leaving.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
        let [idle, slow_readers, half_open, octet_writers] = self.count;
        Neighbours {
            idle,
            slow_readers,
            half_open,
            octet_writers,
            slow_readers_sent: self.seen.slow_readers_sent.load(Ordering::Relaxed),
            half_open_closed: self.seen.half_open_closed.load(Ordering::Relaxed),
            lost: self.seen.lost.load(Ordering::Relaxed),
        }
    }
}

/// Neighbours of each bad kind.
fn bad(idle: usize) -> usize {
    idle.div_ceil(IDLE_PER_BAD)
}

/// What a neighbour would ask: one session of its own subscriber.
fn plan(options: &LoadOptions, number: usize, run: RunId) -> Plan {
    let one = LoadOptions {
        connections: 1,
        in_flight: 1,
        rate: None,
        origin_host: "neighbour{n}.tollgate.example".into(),
        ..options.clone()
    };
    let subscriber = number as u64 % options.subscribers;
    Plan { slots: vec![(subscriber, 1)], ..Plan::new(&one, number, run) }
}

/// One connection of the neighbourhood.
struct Neighbour {
    kind: Kind,
    plan: Plan,
    stream: TcpStream,
    peer: Peer,
}

impl Neighbour {
    async fn open(plan: Plan, kind: Kind) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&plan.target).await?;
        stream.set_nodelay(true)?;
        let address = stream.local_addr()?;
        let identity = Identity { host: plan.identity.host.clone(), realm: plan.identity.realm.clone() };
        let local = Arc::new(LocalNode::gateway(identity, vec![address.ip()]));
        let now = SystemClock.now();
        let seed = now.millis() ^ u64::from(address.port()) << 48;
        let mut neighbour = Self { kind, plan, stream, peer: Peer::initiator(local, Timers::default(), seed, now) };
        tokio::time::timeout(HANDSHAKE_MAX, neighbour.shake_hands()).await.context("no answer to CER")??;
        Ok(neighbour)
    }

    async fn shake_hands(&mut self) -> anyhow::Result<()> {
        let mut inbox = BytesMut::with_capacity(QUIET_ROOM);
        let mut out = Vec::new();
        act(self.peer.handle(Input::Connected, SystemClock.now()), &mut out)?;
        if self.kind == Kind::HalfOpen {
            // Not even the header.
            self.stream.write_all(out.get(..10).unwrap_or_default()).await?;
            return Ok(());
        }
        self.stream.write_all(&out).await?;
        while !self.peer.is_open() {
            if self.stream.read_buf(&mut inbox).await? == 0 {
                bail!("closed by the server");
            }
            while let Some(frame) = split(&mut inbox, MESSAGE_MAX_DEFAULT)? {
                act(self.peer.handle(Input::Message(&frame), SystemClock.now()), &mut out)?;
            }
        }
        Ok(())
    }

    /// Until the end of the neighbourhood, or of the connection.
    async fn live(mut self, seen: &Seen) {
        let ended = match self.kind {
            Kind::Idle => self.idle().await,
            Kind::SlowReader => self.read_slowly(seen).await,
            Kind::HalfOpen => self.stay_half_open(seen).await,
            Kind::OctetWriter => self.write_octets().await,
        };
        if ended.is_err() && !seen.leaving.load(Ordering::Relaxed) {
            seen.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn idle(&mut self) -> anyhow::Result<()> {
        let mut inbox = BytesMut::with_capacity(QUIET_ROOM);
        loop {
            if self.stream.read_buf(&mut inbox).await? == 0 {
                bail!("closed by the server");
            }
            let mut out = Vec::new();
            while let Some(frame) = split(&mut inbox, MESSAGE_MAX_DEFAULT)? {
                act(self.peer.handle(Input::Message(&frame), SystemClock.now()), &mut out)?;
            }
            self.stream.write_all(&out).await?;
        }
    }

    /// One request of a session that it opens again and again: every copy but the first is a repetition.
    fn request(&self) -> Vec<u8> {
        let template = Template::new(&self.plan, RequestType::Initial);
        let mut slot = Slot::new(0, &self.plan, self.plan.slots.first().copied().unwrap_or((0, 1)));
        let mut session = 0;
        slot.start(&self.plan, &mut session, 0);
        let mut out = Vec::new();
        template.write(&mut out, &slot.varying(1, SystemClock.now().to_diameter(), 0));
        out
    }

    async fn read_slowly(&mut self, seen: &Seen) -> anyhow::Result<()> {
        // A piece that ends within a request goes on with the next write.
        let requests = self.request().repeat(16);
        let (mut reader, mut writer) = self.stream.split();
        let read = async {
            let mut octets = [0; SLOW_READ];
            loop {
                tokio::time::sleep(PAUSE).await;
                if reader.read(&mut octets).await? == 0 {
                    bail!("closed by the server");
                }
            }
        };
        let write = async {
            let mut at = 0;
            loop {
                let written = writer.write(requests.get(at..).unwrap_or_default()).await?;
                at = (at + written) % requests.len();
                seen.slow_readers_sent.fetch_add(written as u64, Ordering::Relaxed);
            }
        };
        tokio::select! {
            ended = read => ended,
            ended = write => ended,
        }
    }

    async fn stay_half_open(&mut self, seen: &Seen) -> anyhow::Result<()> {
        let mut octet = [0];
        loop {
            // The server has enough of it after a while: that is right, and it comes back.
            while self.stream.read(&mut octet).await.is_ok_and(|read| read > 0) {}
            seen.half_open_closed.fetch_add(1, Ordering::Relaxed);
            self.stream = TcpStream::connect(&self.plan.target).await?;
            self.stream.write_all(&[1, 0, 0]).await?;
        }
    }

    async fn write_octets(&mut self) -> anyhow::Result<()> {
        let request = self.request();
        let mut inbox = BytesMut::with_capacity(QUIET_ROOM);
        for octet in request.iter().cycle() {
            self.stream.write_all(&[*octet]).await?;
            // Watchdogs stay without an answer, but not without traffic, which is as good.
            if let Ok(read) = tokio::time::timeout(PAUSE, self.stream.read_buf(&mut inbox)).await {
                if read? == 0 {
                    bail!("closed by the server");
                }
                inbox.clear();
            }
        }
        Ok(())
    }
}

fn act(actions: Vec<Action>, out: &mut Vec<u8>) -> anyhow::Result<()> {
    for action in actions {
        match action {
            Action::Send(octets) => out.extend(octets),
            Action::Close(reason) => bail!("{reason:?}"),
            Action::Leaving(cause) => bail!("the server disconnects: {cause:?}"),
            Action::Deliver(_) | Action::Introduced(_) | Action::Opened(_) | Action::Suspect | Action::Trusted => {}
        }
    }
    Ok(())
}
