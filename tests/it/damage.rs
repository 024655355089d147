//! Every byte of a store, of its usage records and of its audit trail is flipped, files go missing, are cut, swapped and
//! doubled: whatever opens is exactly what it was, and of what does not the message names a command that brings back what is
//! said to be whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex},
};

use tollgate::{
    charging::{
        AccountSpec, Command, CreditCommand, CreditKind, EventAction, EventRequest, Interrogation, RequestKind,
        Retention, ServiceRequest, Subscriber, SubscriberSpec, Used, Want,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::{Disk as _, MemoryDisk, Position},
    rating::Catalog,
    store::{
        By, Directories, Place, RecordFilter, RecordFormat, RecordsAt, RecoveryError, Rotation, Settings,
        SilentObserver, Store, Until, copy, salvage, way_out,
    },
    time::{ManualClock, Timestamp},
    units::Money,
};

use crate::charging_property::CATALOG;

const ACCOUNTS: u64 = 3;
const ROTATION: Rotation = Rotation { bytes: 4_000, secs: 0 };
const CARE: By<'static> = By { name: "care1", role: "care", address: "10.0.0.7:4711", method: "TopUp", reason: "paid" };
/// Of zeros, which fill what is not used, one in so many is flipped.
const ZEROS_BETWEEN: usize = 499;

static PRICES: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(Catalog::from_toml(CATALOG).unwrap()));

fn settings() -> Settings {
    Settings {
        partitions: 2,
        segment_bytes: 4 << 10,
        retention: Retention::default(),
        outbox_keep: 100,
        outbox_keep_max: 1_000,
    }
}

/// Store, usage records, audit trail: names and contents.
type Files = [Directory; 3];
type Directory = BTreeMap<String, Vec<u8>>;

fn disks(files: &Files) -> [MemoryDisk; 3] {
    files.each_ref().map(|files| {
        let disk = MemoryDisk::new();
        files.iter().for_each(|(name, bytes)| disk.put(name, bytes.clone()));
        disk
    })
}

fn files(disks: &[MemoryDisk; 3]) -> Files {
    disks.each_ref().map(|disk| {
        let names = disk.list().unwrap();
        names.into_iter().map(|name| (name.clone(), disk.contents(&name).unwrap())).collect()
    })
}

fn open([store, records, audit]: &[MemoryDisk; 3]) -> Result<Store<MemoryDisk>, RecoveryError> {
    let records =
        RecordsAt { disk: records.clone(), format: RecordFormat::Both, rotation: ROTATION, queue_max: 1_000_000 };
    let place = Place { disk: store.clone(), records: Some(records), audit: Some((audit.clone(), ROTATION)) };
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
    let opened = Store::open(place, settings(), Arc::clone(&PRICES), clock, Arc::new(SilentObserver), |_| {}, |_| {});
    opened.map(|(store, _)| store)
}

fn msisdn(account: u64) -> Identity {
    Identity::new(IdentityKind::E164, &(8_613_900_000_000 + account).to_string()).unwrap()
}

fn services(used: Option<u64>, want: bool) -> Vec<ServiceRequest> {
    vec![ServiceRequest {
        key: QuotaKey { rating_group: Some(1), ..QuotaKey::default() },
        used: used.map(|octets| Used { octets, ..Used::default() }),
        want: want.then_some(Want::Any),
        ..ServiceRequest::default()
    }]
}

/// A request of a session, or a one-time event: `None`.
fn charge(store: &Store<MemoryDisk>, account: u64, session: &str, interrogation: Option<(RequestKind, u32)>) {
    let (id, key) = (session.as_bytes(), SessionKey::of(session.as_bytes()));
    let (kind, number) = interrogation.unwrap_or((RequestKind::Event, 0));
    let context = store.catalog().context("32251@3gpp.org");
    let done = store.charge(&[msisdn(account)], key, kind, number, |account| match interrogation {
        Some(_) => Command::Interrogate(Interrogation {
            session_id: id,
            key,
            account,
            kind,
            number,
            context,
            context_name: "32251@3gpp.org",
            origin_host: "gw.example",
            origin_realm: "example",
            services: services((number > 0).then_some(700), kind != RequestKind::Termination),
            ..Interrogation::default()
        }),
        None => Command::ChargeEvent(EventRequest {
            session_id: id,
            key,
            account,
            action: EventAction::Debit,
            context,
            context_name: "32251@3gpp.org",
            services: services(None, true),
            ..EventRequest::default()
        }),
    });
    store.mark().wait_for_blocking(done.position()).unwrap();
}

fn top_up(store: &Store<MemoryDisk>, account: u64, request_id: &str) {
    let kind = CreditKind::TopUp(Money::from_micros(5_000_000));
    let currency = Some(store.catalog().currency());
    let done = store.by(CARE).credit(CreditCommand { account: AccountId(account), kind, currency, request_id });
    store.mark().wait_for_blocking(done.position()).unwrap();
}

/// A store with all kinds of files, two checkpoints, running and ended sessions, that was stopped in good order.
fn used() -> Files {
    let disks = [MemoryDisk::new(), MemoryDisk::new(), MemoryDisk::new()];
    let store = open(&disks).unwrap();
    for id in 1..=ACCOUNTS {
        let spec = AccountSpec {
            id: AccountId(id),
            currency: store.catalog().currency(),
            balance: Money::from_micros(3_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        drop(store.by(CARE).account_command(AccountId(id), &Command::CreateAccount(spec)));
        let subscriber = Subscriber { id: "1".into(), identities: [msisdn(id)].into() };
        drop(store.by(CARE).create_subscriber(SubscriberSpec { account: AccountId(id), subscriber }));
    }
    for part in 0..3 {
        for account in 1..=ACCOUNTS {
            let session = format!("gw;{part};{account}");
            charge(&store, account, &session, Some((RequestKind::Initial, 0)));
            charge(&store, account, &session, Some((RequestKind::Update, 1)));
            if (part + account) % 2 == 0 {
                charge(&store, account, &session, Some((RequestKind::Termination, 2)));
            }
            top_up(&store, account, &format!("t{part}"));
        }
        charge(&store, 1, &format!("sms;{part}"), None);
        store.acknowledge("hlr", store.outbox().newest());
        store.write_trails().unwrap();
        if part < 2 {
            store.checkpoint().unwrap();
        }
    }
    store.shutdown().unwrap();
    drop(store);
    files(&disks)
}

/// All that anyone can ask a store for.
fn told(store: &Store<MemoryDisk>) -> String {
    use std::fmt::Write as _;
    let mark = store.mark();
    mark.wait_for_blocking(store.last_position()).unwrap();
    let mut told = format!("{:?} {:?}", store.totals(), store.last_position());
    for id in 1..=ACCOUNTS {
        let id = AccountId(id);
        write!(told, "\n{:?}\n{:?}\n{:?}", store.account(id), store.sessions_of(id), store.history(id)).unwrap();
        write!(told, "\n{:?}", store.identities_of(id)).unwrap();
    }
    store.for_each_state(|state| write!(told, "\n{:?}", state.remembered()).unwrap());
    let events = store.outbox().after(0, 1_000, mark);
    write!(told, "\n{events:?} {:?} {}", store.outbox().consumers(), store.version().number()).unwrap();
    told
}

/// The usage records and the audit trail say what they said; `None` = it is noticed that they do not.
fn trails(store: &Store<MemoryDisk>, head: &(u64, String)) -> Option<String> {
    store.write_trails().unwrap();
    let records = store.record_files().unwrap().page(&RecordFilter::default(), None, usize::MAX).ok()?.0;
    let is_exact = store.reconcile().is_ok_and(|found| found.is_exact());
    let audit = store.audit_trail().unwrap().verify(Some((head.0, &head.1)));
    (is_exact && audit.is_ok()).then(|| format!("{records:?}"))
}

struct Sound {
    files: Files,
    told: String,
    trails: String,
    head: (u64, String),
    last: Position,
}

impl Sound {
    fn new() -> Self {
        let files = used();
        let store = open(&disks(&files)).unwrap();
        let (told, head, last) = (told(&store), store.audit_head(), store.last_position());
        let trails = trails(&store, &head).unwrap();
        Self { files, told, trails, head, last }
    }

    fn is_told_by(&self, store: &Store<MemoryDisk>, what: &str) {
        let told = told(store);
        if let Some((found, expected)) = told.lines().zip(self.told.lines()).find(|(found, expected)| found != expected)
        {
            let same = found.bytes().zip(expected.bytes()).take_while(|(one, other)| one == other).count();
            let part = |line: &str| line.chars().skip(same.saturating_sub(60)).take(160).collect::<String>();
            panic!("{what}: found {:?}, not {:?}", part(found), part(expected));
        }
        assert_eq!(told.len(), self.told.len(), "{what}");
    }

    /// Opens damaged files, or brings back what the message says.
    fn judge(&self, damaged: &Files, what: &str) -> Outcome {
        let disks = disks(damaged);
        let error = match open(&disks) {
            Ok(store) => {
                self.is_told_by(&store, what);
                return match trails(&store, &self.head) {
                    Some(trails) if trails == self.trails => Outcome::Same,
                    Some(_) => panic!("{what}: usage records differ, and nothing notices"),
                    None => Outcome::TrailTold,
                };
            }
            Err(error) => error,
        };
        assert!(error.is_damage(), "{what}: {error}");
        let way = way_out(error.damaged_file(), &disks[0], settings(), "DIR".as_ref());
        Outcome::Refused { message: error.to_string(), way }
    }

    /// Does what a message says.
    fn follow(&self, damaged: &Files, message: &str, way: &str) {
        if let Some((_, moved)) = way.split_once(": mv ") {
            let mut aside = damaged.clone();
            let name = moved.split_once(' ').unwrap().0;
            assert!(aside.iter_mut().any(|files| files.remove(name).is_some()), "{message}\n{way}");
            match self.judge(&aside, way) {
                Outcome::Refused { message: again, way: next } => {
                    assert_ne!(again, message);
                    self.follow(&aside, &again, &next);
                }
                Outcome::Same | Outcome::TrailTold => {}
            }
            return;
        }
        if way.starts_with("no state of it") {
            // Each checkpoint is there, under the other's name: it is not guessed which is which.
            assert!(message.contains("checkpoint-") && message.contains("swapped"), "{message}");
            return;
        }
        let (_, last) =
            way.split_once("tollgate restore --from DIR --until ").unwrap_or_else(|| panic!("{message}\n{way}"));
        let last = Position(last.parse().unwrap());
        let [store, records, audit] = disks(damaged);
        assert_eq!(salvage(&store, settings()).unwrap().last, last);
        let to = [MemoryDisk::new(), MemoryDisk::new(), MemoryDisk::new()];
        let directories = |[store, records, audit]: [MemoryDisk; 3]| Directories {
            store,
            records: Some(records),
            audit: Some(audit),
        };
        let until = Until::Position(last);
        copy(&directories([store, records, audit]), &directories(to.clone()), until, settings(), |_| {})
            .unwrap_or_else(|error| panic!("{message}\n{way}\n{error}"));
        let back = open(&to).unwrap();
        assert_eq!(back.last_position(), last);
        back.check().unwrap();
        let is_all = last == self.last;
        assert_eq!(way.starts_with("nothing is lost"), is_all, "{message}\n{way}");
        if is_all {
            self.is_told_by(&back, way);
        } else {
            let lost = format!("records {} to {} are lost", last.next(), self.last);
            assert!(way.starts_with(&lost), "{message}\n{way}");
        }
    }
}

enum Outcome {
    /// It opens, and all is as it was.
    Same,
    /// It opens, all balances and sessions are as they were, and whoever reads the trails is told that they are damaged.
    TrailTold,
    Refused {
        message: String,
        way: String,
    },
}

#[derive(Debug, Default)]
struct Count {
    flipped: u64,
    refused: u64,
    trail_told: u64,
    same: u64,
}

#[test]
fn a_flipped_byte_anywhere_is_told_or_changes_nothing() {
    flip_one_in(7);
}

/// The same with all bytes: `cargo test --test it -- --ignored every_flipped_byte`.
#[test]
#[ignore = "takes minutes"]
fn every_flipped_byte_is_told_or_changes_nothing() {
    flip_one_in(1);
}

/// Flips every byte of small files and one in so many of the others.
fn flip_one_in(stride: usize) {
    let sound = Sound::new();
    let places: Vec<(usize, &String, usize)> = (0..)
        .zip(&sound.files)
        .flat_map(|(directory, files)| files.iter().map(move |(name, bytes)| (directory, name, bytes)))
        .flat_map(|(directory, name, bytes)| {
            let used = bytes.len() < 100 || stride == 1;
            let is_wanted = move |at: &usize| match bytes[*at] {
                0 => at.is_multiple_of(ZEROS_BETWEEN),
                _ => used || at.is_multiple_of(stride),
            };
            (0..bytes.len()).filter(is_wanted).map(move |at| (directory, name, at)).collect::<Vec<_>>()
        })
        .collect();
    let followed = Mutex::new(BTreeSet::new());
    let counts = Mutex::new(BTreeMap::<String, Count>::new());
    let kind = |directory: usize, name: &str| {
        let stem: String = name.chars().take_while(|letter| !letter.is_ascii_digit()).collect();
        format!("{}{stem}", ["", "records/", "audit/"][directory])
    };
    let flip = |(directory, name, at): (usize, &String, usize)| {
        let mut damaged = sound.files.clone();
        damaged[directory].get_mut(name).unwrap()[at] ^= 1 << (at % 8);
        let outcome = sound.judge(&damaged, &format!("{name} at {at}"));
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(kind(directory, name)).or_default();
        count.flipped += 1;
        match outcome {
            Outcome::Same => count.same += 1,
            Outcome::TrailTold => count.trail_told += 1,
            Outcome::Refused { message, way } => {
                count.refused += 1;
                drop(counts);
                assert!(message.contains(name.as_str()) && message.contains(" byte "), "{name} at {at}: {message}");
                if followed.lock().unwrap().insert(message.clone()) {
                    sound.follow(&damaged, &message, &way);
                }
            }
        }
    };
    let half = places.len() / 2;
    std::thread::scope(|scope| {
        for part in [&places[..half], &places[half..]] {
            scope.spawn(|| part.iter().for_each(|place| flip(*place)));
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{} bytes flipped, {} messages followed: {counts:#?}", places.len(), followed.lock().unwrap().len());
    for needed in ["meta", "epoch", "sealed"] {
        assert_eq!(counts[needed].refused, counts[needed].flipped, "{needed}");
    }
    assert!(counts["journal-"].refused > 100 && counts["checkpoint-"].refused > 100, "{counts:#?}");
    let noticed = |stem: &str| counts[stem].trail_told + counts[stem].refused;
    assert!(["records/usage-", "audit/audit-"].iter().all(|stem| noticed(stem) > 100), "{counts:#?}");
}

#[test]
fn files_that_are_missing_cut_swapped_or_doubled_are_told_or_change_nothing() {
    let sound = Sound::new();
    let mut damages: Vec<(String, Files)> = Vec::new();
    for directory in 0..3 {
        for (name, bytes) in &sound.files[directory] {
            let mut with = |what: &str, change: &dyn Fn(&mut Directory)| {
                let mut damaged = sound.files.clone();
                change(&mut damaged[directory]);
                damages.push((format!("{name} {what}"), damaged));
            };
            with("missing", &|files| drop(files.remove(name)));
            for length in [0, 1, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                with("cut", &|files| files.get_mut(name).unwrap().truncate(length));
            }
            with("doubled", &|files| files.get_mut(name).unwrap().extend_from_slice(bytes));
            let stem = |name: &str| name.split('-').next().unwrap().to_owned();
            for (other, content) in sound.files[directory].iter().filter(|(other, _)| *other > name) {
                if stem(other) == stem(name) {
                    with("swapped", &|files| {
                        files.insert(name.clone(), content.clone());
                        files.insert(other.clone(), bytes.clone());
                    });
                }
            }
        }
    }
    let (mut refused, mut same, mut trail_told) = (0, 0, 0);
    for (what, damaged) in &damages {
        match sound.judge(damaged, what) {
            Outcome::Same => same += 1,
            Outcome::TrailTold => trail_told += 1,
            Outcome::Refused { message, way } => {
                refused += 1;
                sound.follow(damaged, &format!("{what}: {message}"), &way);
            }
        }
    }
    println!("{} damages: {refused} refused, {trail_told} told of trails, {same} without effect", damages.len());
    assert!(refused > 10 && trail_told > 3 && same > 3);
}

/// The same with the binary: the command in the message is run as it stands there.
#[test]
fn the_command_in_the_message_brings_back_what_is_whole() {
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v1");
    let scratch = tempfile::tempdir().unwrap();
    let damaged = scratch.path().join("damaged");
    crate::formats::copy(&fixture.join("data"), &damaged);
    let journal = damaged.join("journal-00000000000000000001.log");
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    let at = (middle..).find(|at| bytes[*at] != 0).unwrap();
    bytes[at] ^= 4;
    std::fs::write(&journal, bytes).unwrap();
    let config = |name: &str| {
        let (catalog, path) = (fixture.join("catalog.toml"), scratch.path().join(format!("{name}.toml")));
        let text = format!(
            "[catalog]\nfile = {catalog:?}\n[store]\ndirectory = {:?}\npartitions = 4\nsegment_mb = 1\n\
             [records]\nenabled = true\n[audit]\nenabled = true\n\
             [diameter]\nlisten = \"127.0.0.1:0\"\n[grpc]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n",
            scratch.path().join(name)
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    let (old, new) = (config("damaged"), config("back"));
    let tollgate = |words: &[&str], config: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        let output = command.args(words).arg("--config").arg(config).output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.success(), text(output.stdout) + &text(output.stderr))
    };
    for verb in [&["serve"][..], &["verify"], &["journal", "verify"]] {
        let (done, told) = tollgate(verb, &old);
        assert!(!done && told.contains("journal-00000000000000000001.log is corrupt at byte "), "{verb:?}: {told}");
        let (_, command) =
            told.split_once("they come back by: tollgate ").unwrap_or_else(|| panic!("{verb:?}: {told}"));
        let command: Vec<&str> = command.split('"').next().unwrap().split_whitespace().take(5).collect();
        let _ = std::fs::remove_dir_all(scratch.path().join("back"));
        let (done, told) = tollgate(&command, &new);
        assert!(done, "{command:?}: {told}");
        let (done, told) = tollgate(&["verify"], &new);
        assert!(done && told.starts_with("consistent: 12 accounts, "), "{told}");
    }
}
