//! A disk that has become slow: what is refused, in which order, and that nothing is lost by it.

use std::sync::{Condvar, Mutex};

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    charging::{Subscriber, SubscriberSpec},
    diameter::{
        LocalNode,
        avp::Avps,
        base::write_dwr,
        credit_control::{MultipleServices, ServiceUnits, SupportedFeatures, UsedUnits, append_overload},
        dictionary as d,
    },
    ids::{Identity as Subscription, IdentityKind},
    server::overload::Level,
};

const BACKLOG: u64 = 100;
const MB: u64 = 1_000_000;
/// Of the account, in micro-units; the demo's internet costs 10,000 a MB.
const BALANCE: i64 = 100_000_000;

/// Where the thread that writes and syncs waits, as it would on a disk that has become slow.
#[derive(Default)]
struct Disk {
    /// Whether it is to wait, and whether it does.
    held: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Disk {
    /// Runs in that thread, after each sync.
    fn synced(&self) {
        let mut held = self.held.lock().unwrap();
        held.1 = true;
        self.changed.notify_all();
        // Not for ever, so that a test that fails ends.
        held = self.changed.wait_timeout_while(held, PATIENCE, |held| held.0).unwrap().0;
        held.1 = false;
    }

    fn quick(&self) {
        self.held.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    /// From now on nothing becomes durable. What is written now is the last that does.
    fn slow(&self, write: impl FnOnce()) {
        self.held.lock().unwrap().0 = true;
        write();
        let held = self.held.lock().unwrap();
        let (_held, waited) = self.changed.wait_timeout_while(held, PATIENCE, |held| !held.1).unwrap();
        assert!(!waited.timed_out(), "nothing was synced");
    }
}

struct Slow {
    server: Server,
    disk: Arc<Disk>,
    _directory: TempDir,
    /// The connection under test.
    gateway: Gateway,
    /// Another, which has nothing to wait for: its watchdog requests make the server look.
    other: Gateway,
    serving: JoinHandle<()>,
    hop_by_hop: u32,
    /// Requests that were accepted while the disk was slow, by hop-by-hop id: their answers are to come.
    accepted: Vec<u32>,
}

impl Slow {
    async fn start(in_flight_max: usize) -> Self {
        let (directory, disk) = (tempfile::tempdir().unwrap(), Arc::new(Disk::default()));
        let syncs = Arc::clone(&disk);
        let config = config::Diameter { overload_backlog: BACKLOG, in_flight_max, ..config::Diameter::default() };
        let server = server_with(directory.path(), config, move |_| syncs.synced());
        let store = &server.0.store;
        create_account(store, AccountId(1));
        let identities = [Subscription::new(IdentityKind::E164, MSISDN).unwrap()];
        let subscriber = Subscriber { id: "1".into(), identities: identities.into() };
        drop(store.create_subscriber(SubscriberSpec { account: AccountId(1), subscriber }));
        store.mark().wait_for_blocking(store.last_position()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = server.clone();
        let serving = tokio::spawn(async move { accepting.accept(listener.try_into().unwrap()).await });
        let gateway = Gateway::connect(address, "gw.example", "example").await.unwrap();
        let other = Gateway::connect(address, "other.example", "example").await.unwrap();
        let (_directory, accepted) = (directory, Vec::new());
        Self { server, disk, _directory, gateway, other, serving, hop_by_hop: 100, accepted }
    }

    /// Records that wait to become durable.
    fn backlog(&self) -> u64 {
        let store = &self.server.0.store;
        store.last_position().0 - store.mark().current().0
    }

    fn slow_down(&self) {
        self.disk.slow(|| create_account(&self.server.0.store, AccountId(2)));
    }

    /// A request about the internet: `used` and `wanted` say what its one MSCC has.
    fn message(&mut self, kind: RequestType, session: &str, number: u32, used: u64, wanted: bool) -> Vec<u8> {
        self.hop_by_hop += 1;
        let me = self.gateway.identity().clone();
        let mut request = self.gateway.request(session, &me, kind, number, "32251@3gpp.org", MSISDN);
        (request.hop_by_hop, request.end_to_end) = (self.hop_by_hop, self.hop_by_hop);
        let units = ServiceUnits { total_octets: Some(used), ..ServiceUnits::default() };
        request.services = vec![MultipleServices {
            rating_group: Some(1),
            requested: wanted.then(ServiceUnits::default),
            used: (used > 0).then(|| UsedUnits { units, ..UsedUnits::default() }),
            ..MultipleServices::default()
        }];
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        bytes
    }

    /// Sends a request and tells whether it was refused at once; otherwise its answer is to come.
    async fn is_refused(&mut self, message: &[u8]) -> bool {
        let before = self.server.0.store.last_position();
        self.gateway.send(message).await.unwrap();
        let (store, id) = (Arc::clone(&self.server.0.store), self.hop_by_hop);
        let decided = async {
            while store.last_position() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            answer = self.gateway.receive() => {
                let header = answer.as_ref().unwrap().header();
                assert!(header.hop_by_hop == id && header.flags.is_error());
                assert_eq!(result_of(&answer.unwrap()), ResultCode::TOO_BUSY);
                true
            }
            () = decided => {
                self.accepted.push(id);
                false
            }
        }
    }

    /// Sends a request on a quick disk and returns its result.
    async fn ask(&mut self, message: &[u8]) -> ResultCode {
        result_of(&self.gateway.exchange(message, self.hop_by_hop).await.unwrap())
    }

    /// Has the server look until it finds this.
    async fn until(&mut self, level: Level) {
        let local = LocalNode::credit_control(self.other.identity().clone(), Vec::new());
        let looking = async {
            while self.server.0.overload.level() != level {
                let mut dwr = Vec::new();
                write_dwr(&mut dwr, &local, 1, 1);
                self.other.exchange(&dwr, 1).await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never {level:?}"));
    }
}

fn create_account(store: &Store, id: AccountId) {
    let account = AccountSpec {
        id,
        currency: "CNY".parse().unwrap(),
        balance: Money::from_micros(BALANCE),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    drop(store.account_command(id, &Command::CreateAccount(account)));
}

fn result_of(answer: &Frame) -> ResultCode {
    CreditControlAnswer::parse(answer).unwrap().answer.result_code
}

// tests: B-82 B-186 C-21 C-156 I-6
#[tokio::test]
async fn a_slow_disk_refuses_what_begins_first_and_what_ends_last_and_loses_nothing() {
    use RequestType::{Event, Initial, Termination, Update};
    let mut slow = Slow::start(4_096).await;
    for session in ["gw.example;1;1", "gw.example;1;2", "gw.example;1;3", "gw.example;1;4"] {
        let message = slow.message(Initial, session, 0, 0, true);
        assert_eq!(slow.ask(&message).await, ResultCode::SUCCESS);
    }
    slow.slow_down();
    let (mut number, mut charged) = (0, 0);
    for (mark, level, refused) in [
        (BACKLOG, Level::Begins, [true, true, false, false, false]),
        (2 * BACKLOG, Level::Grants, [true, true, true, false, false]),
        (4 * BACKLOG, Level::Reports, [true, true, true, true, true]),
    ] {
        // At once, so that the backlog is beyond this mark long before the delay is.
        let mut reports = Vec::new();
        for _ in slow.backlog()..=mark {
            number += 1;
            charged += 1;
            reports.extend(slow.message(Update, "gw.example;1;1", number, MB, false));
            slow.accepted.push(slow.hop_by_hop);
        }
        slow.gateway.send(&reports).await.unwrap();
        slow.until(level).await;
        assert_eq!(slow.backlog(), mark + 1, "usage is refused last");
        number += 2;
        let ended = ["gw.example;1;2", "gw.example;1;3", "gw.example;1;4"][level as usize - 1];
        let probes = [
            slow.message(Initial, "gw.example;1;5", 0, 0, true),
            slow.message(Event, "gw.example;1;6", 0, 0, true),
            slow.message(Update, "gw.example;1;1", number - 1, MB, true),
            slow.message(Update, "gw.example;1;1", number, MB, false),
            slow.message(Termination, ended, 1, MB, false),
        ];
        let first = slow.hop_by_hop - 4;
        for (at, (probe, refused)) in probes.iter().zip(refused).enumerate() {
            slow.hop_by_hop = first + at as u32;
            assert_eq!(slow.is_refused(probe).await, refused, "probe {at} at {level:?}");
            charged += u64::from(!refused);
        }
    }
    // The disk is quick again: what was accepted is answered, in order, and all is served.
    slow.disk.quick();
    for id in std::mem::take(&mut slow.accepted) {
        let answer = slow.gateway.receive().await.unwrap();
        assert_eq!((answer.header().hop_by_hop, result_of(&answer)), (id, ResultCode::SUCCESS));
    }
    slow.until(Level::Nothing).await;
    for (kind, session, number, used, wanted) in [
        (Update, "gw.example;1;1", number, MB, false),
        (Termination, "gw.example;1;4", 1, MB, false),
        (Initial, "gw.example;1;5", 0, 0, true),
    ] {
        let message = slow.message(kind, session, number, used, wanted);
        assert_eq!(slow.ask(&message).await, ResultCode::SUCCESS);
        charged += u64::from(used > 0);
    }
    // Each report that was accepted is charged once, and none that was refused.
    let store = &slow.server.0.store;
    let account = store.mark().admit(store.account(AccountId(1)).unwrap()).unwrap().into_inner();
    assert_eq!(account.balance().micros(), BALANCE - 10_000 * charged as i64);
    let Slow { server, gateway, other, serving, .. } = slow;
    drop((gateway, other));
    server.stop().await;
    serving.await.unwrap();
}

// tests: B-169 B-186 I-6
#[tokio::test]
async fn nobody_is_left_without_an_answer_while_the_disk_stands_still() {
    const IN_FLIGHT: usize = 20;
    let mut slow = Slow::start(IN_FLIGHT).await;
    let initial = slow.message(RequestType::Initial, "gw.example;1;1", 0, 0, true);
    assert_eq!(slow.ask(&initial).await, ResultCode::SUCCESS);
    slow.slow_down();
    // As many as may wait on one connection, which is read no further then; until it is known that the disk is behind.
    // Nobody else says anything: the connection looks by itself.
    for number in 1..=IN_FLIGHT as u32 {
        let report = slow.message(RequestType::Update, "gw.example;1;1", number, MB, false);
        assert!(!slow.is_refused(&report).await);
    }
    let refused = slow.message(RequestType::Termination, "gw.example;1;1", 100, MB, false);
    assert_eq!(slow.ask(&refused).await, ResultCode::TOO_BUSY);
    assert_eq!(slow.server.0.overload.level(), Level::Begins, "by its kind it would have been served");
    // And a watchdog request is answered past the answers that wait.
    let local = LocalNode::credit_control(slow.gateway.identity().clone(), Vec::new());
    let mut dwr = Vec::new();
    write_dwr(&mut dwr, &local, 7, 7);
    slow.gateway.exchange(&dwr, 7).await.unwrap();

    slow.disk.quick();
    for id in std::mem::take(&mut slow.accepted) {
        let answer = slow.gateway.receive().await.unwrap();
        assert_eq!((answer.header().hop_by_hop, result_of(&answer)), (id, ResultCode::SUCCESS));
    }
    slow.until(Level::Nothing).await;
    let again = slow.message(RequestType::Termination, "gw.example;1;1", 100, MB, false);
    assert_eq!(slow.ask(&again).await, ResultCode::SUCCESS);
    let Slow { server, gateway, other, serving, .. } = slow;
    drop((gateway, other));
    server.stop().await;
    serving.await.unwrap();
}

/// The AVPs of an answer that are about overload, outermost only.
fn about_overload(answer: &Frame) -> Vec<u32> {
    let avps = Avps::new(answer.body()).map(Result::unwrap);
    avps.map(|avp| avp.code).filter(|code| (621..=627).contains(code)).collect()
}

// tests: G-23
#[tokio::test]
async fn who_takes_part_in_overload_control_is_told_in_every_answer_and_nobody_else() {
    let mut slow = Slow::start(4_096).await;
    let offer = |mut message: Vec<u8>| {
        append_overload(&mut message, 0, &SupportedFeatures::default(), None);
        message
    };
    let plain = slow.message(RequestType::Initial, "gw.example;1;1", 0, 0, true);
    let answer = slow.gateway.exchange(&plain, slow.hop_by_hop).await.unwrap();
    assert_eq!(about_overload(&answer), [0_u32; 0]);
    let offering = offer(slow.message(RequestType::Update, "gw.example;1;1", 1, MB, true));
    let answer = slow.gateway.exchange(&offering, slow.hop_by_hop).await.unwrap();
    assert_eq!(about_overload(&answer), [621]);

    slow.slow_down();
    for number in 0..=BACKLOG as u32 {
        let report = slow.message(RequestType::Update, "gw.example;1;1", 2 + number, MB, false);
        assert!(!slow.is_refused(&report).await);
    }
    slow.until(Level::Begins).await;
    let plain = slow.message(RequestType::Initial, "gw.example;1;2", 0, 0, true);
    let answer = slow.gateway.exchange(&plain, slow.hop_by_hop).await.unwrap();
    assert_eq!((result_of(&answer), about_overload(&answer)), (ResultCode::TOO_BUSY, vec![]));
    let offering = offer(slow.message(RequestType::Initial, "gw.example;1;2", 0, 0, true));
    let answer = slow.gateway.exchange(&offering, slow.hop_by_hop).await.unwrap();
    assert_eq!((result_of(&answer), about_overload(&answer)), (ResultCode::TOO_BUSY, vec![621, 623]));
    let report = Avps::new(answer.body()).map(Result::unwrap).find(|avp| avp.is(&d::OC_OLR)).unwrap();
    let said: Vec<_> = report.grouped().map(Result::unwrap).map(|avp| (avp.code, avp.flags.0)).collect();
    assert_eq!(said, [(624, 0), (626, 0), (627, 0), (625, 0)]);
    let number = |def| report.grouped().map(Result::unwrap).find(|avp| avp.is(def)).unwrap().u32().unwrap();
    assert_eq!((number(&d::OC_REPORT_TYPE), number(&d::OC_VALIDITY_DURATION)), (0, 30));
    assert!((1..=100).contains(&number(&d::OC_REDUCTION_PERCENTAGE)));
    let sequence = |report: &crate::diameter::Avp<'_>| {
        let avp = report.grouped().map(Result::unwrap).find(|avp| avp.is(&d::OC_SEQUENCE_NUMBER)).unwrap();
        avp.u64().unwrap()
    };

    // It is over, and that is told in answers that succeed.
    slow.disk.quick();
    for _ in std::mem::take(&mut slow.accepted) {
        slow.gateway.receive().await.unwrap();
    }
    slow.until(Level::Nothing).await;
    let offering = offer(slow.message(RequestType::Initial, "gw.example;1;3", 0, 0, true));
    let answer = slow.gateway.exchange(&offering, slow.hop_by_hop).await.unwrap();
    assert_eq!((result_of(&answer), about_overload(&answer)), (ResultCode::SUCCESS, vec![621, 623]));
    let end = Avps::new(answer.body()).map(Result::unwrap).find(|avp| avp.is(&d::OC_OLR)).unwrap();
    let value = |def| end.grouped().map(Result::unwrap).find(|avp| avp.is(def)).unwrap().u32().unwrap();
    assert_eq!((value(&d::OC_REDUCTION_PERCENTAGE), value(&d::OC_VALIDITY_DURATION)), (0, 0));
    assert!(sequence(&end) > sequence(&report));
    let Slow { server, gateway, other, serving, .. } = slow;
    drop((gateway, other));
    server.stop().await;
    serving.await.unwrap();
}
