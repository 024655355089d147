//! What a new catalog would have earned by recorded usage: worked examples, and that nothing is touched.

use std::{ops::ControlFlow, sync::Arc};

use tollgate::{
    charging::{
        AccountSpec, Answer, Command, CreditCommand, CreditKind, EventAction, EventRequest, Interrogation, Manage,
        ManageCommand, Measure, MemberLimit, MemberNo, PayOrder, RequestKind, ServiceRequest, Subscriber,
        SubscriberSpec, Used, Verdict, Want, When,
    },
    ids::{AccountId, Identity, IdentityKind, QuotaKey, SessionKey},
    journal::MemoryDisk,
    rating::{Attributes, Catalog, Period, RunningSessions},
    store::{
        ACTS_AT_ONCE, Comparison, Item, Place, Publish, RecordFormat, RecordsAt, Rotation, Settings, SilentObserver,
        Store, Sums, WhatIf, WhatIfError,
    },
    time::{Clock as _, ManualClock, Timestamp},
    units::{Money, UnitKind},
};

/// Thursday, 1 January 2026, 00:00 UTC.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_767_225_600);

const OLD: &str = r#"
currency = "EUR"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
[[context]]
name = "voice"
service_context_id = "32260@3gpp.org"
default_service = "voice"
[[context]]
name = "sms"
service_context_id = "32274@3gpp.org"
default_service = "sms"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.01"
per = "1 MB"
block = "100 kB"
slice = "10 MB"
[[service]]
name = "video"
context = "data"
rating_group = 2
price = "0.02"
per = "1 MB"
tiers = [{ from = "10 MB", price = "0.01" }]
slice = "20 MB"
[[service]]
name = "voice"
context = "voice"
price = "0.06"
per = "1 min"
slice = "10 min"
[[service]]
name = "sms"
context = "sms"
price = "0.10"
per = "1 event"
slice = "1 event"
[[allowance]]
name = "data-5mb"
amount = "5 MB"
services = ["internet"]
[[allowance]]
name = "month"
amount = "10 MB"
services = ["internet"]
[[product]]
name = "monthly"
setup_fee = "1.00"
fee = "5.00"
period = "cycle"
allowances = ["month"]
"#;

/// A store that keeps records, and a hand-moved clock.
pub(crate) struct World {
    pub(crate) store: Store<MemoryDisk>,
    pub(crate) clock: Arc<ManualClock>,
    number: u64,
}

/// A session under way.
pub(crate) struct Talk {
    account: u64,
    id: String,
    context: &'static str,
    number: u32,
    attributes: Option<Box<Attributes>>,
}

pub(crate) fn key(group: u32) -> QuotaKey {
    QuotaKey { rating_group: (group > 0).then_some(group), ..QuotaKey::default() }
}

pub(crate) fn used(kind: UnitKind, units: u64, up: u64) -> Used {
    match kind {
        UnitKind::Octets => Used { octets: units, input: up, ..Used::default() },
        UnitKind::Seconds => Used { seconds: units, ..Used::default() },
        UnitKind::Events => Used { events: units, ..Used::default() },
    }
}

pub(crate) fn report(group: u32, used: Option<Used>, want: bool) -> ServiceRequest {
    ServiceRequest { key: key(group), used, want: want.then_some(Want::Any), ..ServiceRequest::default() }
}

impl World {
    pub(crate) fn new(catalog: &str, records: bool) -> Self {
        let disk = MemoryDisk::new();
        let rotation = Rotation { bytes: 4_000, secs: 3_600 };
        let records = records.then(|| RecordsAt {
            disk: disk.clone(),
            format: RecordFormat::Json,
            rotation,
            queue_max: 1_000_000,
        });
        let place = Place { disk, records, audit: None };
        let settings = Settings { partitions: 3, segment_bytes: 1 << 20, outbox_keep: 1_000, ..Settings::default() };
        let clock = Arc::new(ManualClock::new(START));
        let catalog = Catalog::from_toml(catalog).unwrap_or_else(|problems| panic!("{problems:?}\n{catalog}"));
        let (shared, observer) = (Arc::clone(&clock), Arc::new(SilentObserver));
        let store = Store::open(place, settings, Arc::new(catalog), shared, observer, |_| {}, |_| {}).unwrap().0;
        Self { store, clock, number: 0 }
    }

    pub(crate) fn account(&self, id: u64, micros: i64) {
        let spec = AccountSpec {
            id: AccountId(id),
            currency: self.store.catalog().currency(),
            balance: Money::from_micros(micros),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        self.done(id, Command::CreateAccount(spec));
        let subscriber = Subscriber { id: "1".into(), identities: [msisdn(id)].into() };
        let created = self.store.create_subscriber(SubscriberSpec { account: AccountId(id), subscriber });
        assert!(self.durable(created).is_ok());
    }

    fn durable<T: std::fmt::Debug>(&self, pending: tollgate::journal::Pending<T>) -> T {
        self.store.mark().wait_for_blocking(self.store.last_position()).unwrap();
        self.store.mark().admit(pending).unwrap().into_inner()
    }

    fn done(&self, account: u64, command: Command<'_>) {
        self.durable(self.store.account_command(AccountId(account), &command)).unwrap();
    }

    pub(crate) fn credit(&mut self, account: u64, kind: CreditKind<'_>) {
        self.number += 1;
        let request_id = format!("r{}", self.number);
        let command = CreditCommand { account: AccountId(account), kind, currency: None, request_id: &request_id };
        self.done(account, Command::Credit(command));
    }

    fn manage(&mut self, account: u64, what: Manage<'_>) {
        self.number += 1;
        let request_id = format!("r{}", self.number);
        let command = ManageCommand { account: AccountId(account), request_id: &request_id, reason: "", what };
        self.done(account, Command::Manage(command));
    }

    pub(crate) fn open(
        &mut self,
        account: u64,
        context: &'static str,
        services: Vec<ServiceRequest>,
    ) -> (Talk, Arc<Answer>) {
        self.open_with(account, context, services, None)
    }

    fn open_with(
        &mut self,
        account: u64,
        context: &'static str,
        services: Vec<ServiceRequest>,
        attributes: Option<Attributes>,
    ) -> (Talk, Arc<Answer>) {
        self.number += 1;
        let id = format!("gw.example;{}", self.number);
        let mut talk = Talk { account, id, context, number: 0, attributes: attributes.map(Box::new) };
        let answer = self.say(&mut talk, RequestKind::Initial, services);
        (talk, answer)
    }

    pub(crate) fn say(&self, talk: &mut Talk, kind: RequestKind, services: Vec<ServiceRequest>) -> Arc<Answer> {
        let key = SessionKey::of(talk.id.as_bytes());
        let number = talk.number;
        talk.number += 1;
        let now = self.clock.now();
        let answered =
            self.store.charge_in_time(now, &[msisdn(talk.account)], key, kind, number, |account, version| {
                Command::Interrogate(Interrogation {
                    session_id: talk.id.as_bytes(),
                    key,
                    account,
                    kind,
                    number,
                    context: version.catalog.context(talk.context),
                    context_name: talk.context,
                    origin_host: "gw.example",
                    origin_realm: "example",
                    services,
                    attributes: talk.attributes.clone(),
                    ..Interrogation::default()
                })
            });
        self.durable(answered).answer
    }

    pub(crate) fn event(
        &mut self,
        account: u64,
        context: &'static str,
        service: ServiceRequest,
        attributes: Option<Attributes>,
    ) -> (String, Arc<Answer>) {
        self.number += 1;
        let id = format!("smsc.example;{}", self.number);
        let answer = self.debit(account, context, &id, EventAction::Debit, service, attributes);
        (id, answer)
    }

    fn debit(
        &self,
        account: u64,
        context: &'static str,
        id: &str,
        action: EventAction,
        service: ServiceRequest,
        attributes: Option<Attributes>,
    ) -> Arc<Answer> {
        let key = SessionKey::of(id.as_bytes());
        let answered = self.store.charge(&[msisdn(account)], key, RequestKind::Event, 0, |account| {
            Command::ChargeEvent(EventRequest {
                session_id: id.as_bytes(),
                key,
                account,
                action,
                context: self.store.catalog().context(context),
                context_name: context,
                services: vec![service],
                attributes: attributes.map(Box::new),
                ..EventRequest::default()
            })
        });
        self.durable(answered).answer
    }

    /// A whole session of one service, used in parts of what was granted, a minute each.
    fn session(&mut self, account: u64, context: &'static str, group: u32, kind: UnitKind, parts: &[u64]) {
        let (mut talk, _) = self.open(account, context, vec![report(group, None, true)]);
        for (index, units) in parts.iter().enumerate() {
            self.clock.advance_secs(60);
            let is_last = index + 1 == parts.len();
            let request = if is_last { RequestKind::Termination } else { RequestKind::Update };
            let answer = self.say(&mut talk, request, vec![report(group, Some(used(kind, *units, 0)), !is_last)]);
            assert_eq!(answer.verdict, Verdict::Success);
        }
    }

    pub(crate) fn what_if(&self, catalog: &str) -> Comparison {
        self.ask(&WhatIf { ..ask(catalog) }).unwrap()
    }

    fn ask(&self, ask: &WhatIf) -> Result<Comparison, WhatIfError> {
        self.store.what_if(ask, &mut |_| ControlFlow::Continue(()))
    }
}

fn ask(catalog: &str) -> WhatIf {
    WhatIf {
        catalog: Arc::new(Catalog::from_toml(catalog).unwrap()),
        from: None,
        to: None,
        account: None,
        accounts_max: 100,
        acts_at_once: ACTS_AT_ONCE,
    }
}

fn msisdn(account: u64) -> Identity {
    Identity::new(IdentityKind::E164, &(8_613_900_000_000 + account).to_string()).unwrap()
}

const DATA: &str = "32251@3gpp.org";
const VOICE: &str = "32260@3gpp.org";
const SMS: &str = "32274@3gpp.org";
const MB: u64 = 1_000_000;

/// Two accounts use all there is.
///
/// account 1, 10.00: 25 MB of internet = 0.25; 30 MB of video = 10 x 0.02 + 20 x 0.01 = 0.40; two messages = 0.20
/// account 2, 1.00, and 5 MB: 8 MB of internet, 3 to pay = 0.03; 90 s of voice, 2 min = 0.12; a message = 0.10; 0.50 are
/// paid in; 600 s of voice = 0.60
fn two_accounts() -> World {
    let mut world = World::new(OLD, true);
    world.account(1, 10_000_000);
    world.account(2, 1_000_000);
    world.session(1, DATA, 1, UnitKind::Octets, &[10 * MB, 10 * MB, 5 * MB]);
    world.session(1, DATA, 2, UnitKind::Octets, &[20 * MB, 10 * MB]);
    world.event(1, SMS, report(0, None, true), None);
    world.event(1, SMS, report(0, None, true), None);
    world.credit(2, CreditKind::Allowance("data-5mb"));
    world.session(2, DATA, 1, UnitKind::Octets, &[5 * MB, 3 * MB]);
    world.session(2, VOICE, 0, UnitKind::Seconds, &[90]);
    world.event(2, SMS, report(0, None, true), None);
    world.credit(2, CreditKind::TopUp(Money::from_micros(500_000)));
    world.session(2, VOICE, 0, UnitKind::Seconds, &[600]);
    world
}

fn row<'c>(comparison: &'c Comparison, service: &str) -> &'c [Sums; 3] {
    let found = comparison.rows.iter().find(|(item, _)| *item == Item::Service(service.into()));
    &found.unwrap_or_else(|| panic!("no {service}: {comparison:#?}")).1
}

fn earned(sums: &[Sums; 3]) -> [i128; 3] {
    sums.map(|sums| sums.earned)
}

#[test]
fn a_dearer_catalog_earns_more_and_refuses_whom_it_should() {
    let world = two_accounts();
    let dearer = OLD
        .replace(
            "price = \"0.01\"\nper = \"1 MB\"\nblock = \"100 kB\"",
            "price = \"0.03\"\nper = \"1 MB\"\nblock = \"100 kB\"",
        )
        .replace("0.06", "0.15")
        .replace("0.10", "0.25");
    let came = world.what_if(&dearer);
    // internet: 25 + 3 MB at 0.03; the allowance pays for 5 MB as it did.
    assert_eq!(earned(row(&came, "internet")), [280_000, 280_000, 840_000]);
    assert_eq!(row(&came, "internet")[2].units, 33 * MB);
    assert_eq!(earned(row(&came, "video")), [400_000; 3]);
    assert_eq!(earned(row(&came, "sms")), [300_000, 300_000, 750_000]);
    // voice: 2 min = 0.30. Account 2 has 1.00 - 0.09 - 0.30 - 0.25 + 0.50 = 0.86 left for 10 min: that is 5 min = 0.75.
    assert_eq!(earned(row(&came, "voice")), [720_000, 720_000, 1_050_000]);
    let voice = row(&came, "voice");
    assert_eq!(voice.map(|sums| (sums.charges, sums.units)), [(2, 690), (2, 690), (2, 390)]);
    assert_eq!(voice.map(|sums| (sums.refused, sums.refused_units)), [(0, 0), (0, 0), (1, 300)]);
    assert_eq!(earned(&came.total), [1_700_000, 1_700_000, 3_040_000]);
    assert_eq!((came.total[2].charges, came.total[2].refused), (8, 1));
    assert_eq!(came.refused, [0, 1]);
    let [refused] = came.refused_accounts.as_slice() else { panic!("{came:#?}") };
    assert_eq!((refused.account, refused.charges, refused.recorded), (AccountId(2), [0, 1], 600_000));
    assert_eq!(refused.identity, Some(msisdn(2)));
    assert!(came.unrated.iter().all(|reasons| reasons.is_empty()), "{came:#?}");
    assert_eq!((came.accounts, came.left_out), (2, 0));
}

#[test]
fn the_same_catalog_earns_what_was_recorded() {
    let world = two_accounts();
    let came = world.what_if(OLD);
    for (item, sums) in &came.rows {
        assert_eq!([sums[1], sums[2]], [sums[0]; 2], "{item:?}");
    }
    assert_eq!(earned(&came.total), [1_700_000; 3]);
    assert_eq!(came.refused, [0, 0]);
}

#[test]
fn nothing_is_touched_and_charging_goes_on() {
    let mut world = two_accounts();
    let (talk, _) = world.open(1, DATA, vec![report(1, None, true)]);
    let seen = |world: &World| {
        let mut seen = Vec::new();
        world.store.for_each_state(|state| {
            let (mut accounts, sessions): (Vec<_>, Vec<_>) = (state.accounts().collect(), state.sessions().collect());
            accounts.sort_by_key(|account| account.id);
            seen.push(format!("{accounts:?} {sessions:?}"));
        });
        seen
    };
    let before = seen(&world);
    let position = world.store.last_position();
    let came = world.what_if(OLD);
    assert!(before == seen(&world), "a state has changed");
    assert_eq!(world.store.last_position(), position, "something was written into the journal");
    assert_eq!(came.total[0].earned, 1_700_000, "what runs is in no record yet");
    // Requests are answered while it runs: no lock is held when it tells how far it is.
    let mut talk = talk;
    let mut told = 0;
    let served = world.store.what_if(&ask(OLD), &mut |_| {
        told += 1;
        let answer =
            world.say(&mut talk, RequestKind::Update, vec![report(1, Some(used(UnitKind::Octets, MB, 0)), true)]);
        assert_eq!(answer.verdict, Verdict::Success);
        ControlFlow::Continue(())
    });
    // What was charged meanwhile, and is in no record, does not change what there was before.
    assert_eq!(earned(&served.unwrap().total), [1_700_000; 3]);
    assert!(told > 0);
}

#[test]
fn it_comes_out_the_same_however_often_the_records_are_read() {
    let mut world = two_accounts();
    for id in 3..40 {
        world.account(id, 1_000_000);
        world.session(id, DATA, 1, UnitKind::Octets, &[MB]);
    }
    let dearer = OLD.replace("0.10", "0.25");
    let whole = world.what_if(&dearer);
    let mut passes = 0;
    let pieces = WhatIf { acts_at_once: 9, ..ask(&dearer) };
    let pieces = world.store.what_if(&pieces, &mut |progress| {
        passes = passes.max(progress.pass);
        ControlFlow::Continue(())
    });
    assert!(passes >= 4, "{passes}");
    assert_eq!(pieces.unwrap(), whole);
    assert_eq!(whole.accounts, 39);
}

#[test]
fn a_window_and_an_account_narrow_it() {
    let mut world = two_accounts();
    let noon = world.clock.now();
    world.clock.advance_secs(60);
    world.session(1, DATA, 1, UnitKind::Octets, &[10 * MB]);
    let half_past = world.clock.now().plus_secs(1);
    world.clock.advance_secs(60);
    world.session(2, DATA, 1, UnitKind::Octets, &[10 * MB]);
    let total = |from, to, account: Option<u64>| {
        let narrow = WhatIf { from, to, account: account.map(AccountId), ..ask(OLD) };
        world.ask(&narrow).unwrap().total.map(|sums| sums.earned)
    };
    // Account 2 had 0.65 left: enough for all of it, as its balance then is reckoned back from now.
    let after = noon.plus_secs(1);
    assert_eq!(total(None, None, None), [1_900_000; 3]);
    assert_eq!(total(Some(after), None, None), [200_000; 3]);
    assert_eq!(total(Some(after), Some(half_past), None), [100_000; 3]);
    assert_eq!(total(None, Some(after), None), [1_700_000; 3]);
    assert_eq!(total(None, None, Some(2)), [950_000; 3]);
    assert_eq!(total(Some(after), None, Some(1)), [100_000; 3]);
}

#[test]
fn balances_and_allowances_are_reckoned_back() {
    let mut world = World::new(OLD, true);
    world.account(1, 1_000_000);
    world.credit(1, CreditKind::Allowance("data-5mb"));
    world.session(1, DATA, 1, UnitKind::Octets, &[2 * MB]);
    world.clock.advance_secs(3_600);
    let from = world.clock.now();
    // 3 MB of the allowance that was there before, and 4 MB of money: nothing of it is left now.
    world.session(1, DATA, 1, UnitKind::Octets, &[7 * MB]);
    let since = |catalog: &str| world.ask(&WhatIf { from: Some(from), ..ask(catalog) }).unwrap();
    let same = since(OLD);
    assert_eq!(earned(&same.total), [40_000; 3]);
    // At 0.30 for 1 MB, 1.00 pays for 3.3 MB.
    let dear =
        since(&OLD.replace("price = \"0.01\"\nper = \"1 MB\"\nblock", "price = \"0.30\"\nper = \"1 MB\"\nblock"));
    assert_eq!(earned(&dear.total), [40_000, 40_000, 990_000]);
    let internet = row(&dear, "internet")[2];
    assert_eq!((internet.units, internet.refused_units), (6_300_000, 700_000));
}

/// 50 MB were 0.50 of 1.00, and are 1.00 at the double price. What is used beside that, in a session that runs and in one
/// that ends while the records are read, was not there to be paid then.
#[test]
fn what_is_used_meanwhile_takes_nothing_away() {
    let double = OLD.replace("price = \"0.01\"\nper = \"1 MB\"\nblock", "price = \"0.02\"\nper = \"1 MB\"\nblock");
    let mut world = World::new(OLD, true);
    world.account(1, 1_000_000);
    world.session(1, DATA, 1, UnitKind::Octets, &[10 * MB; 5]);
    let (mut talk, _) = world.open(1, DATA, vec![report(1, None, true)]);
    world.say(&mut talk, RequestKind::Update, vec![report(1, Some(used(UnitKind::Octets, 10 * MB, 0)), true)]);
    assert_eq!(earned(&world.what_if(&double).total), [500_000, 500_000, 1_000_000]);
    let mut told = 0;
    let came = world.store.what_if(&ask(&double), &mut |_| {
        told += 1;
        if told == 1 {
            let used = report(1, Some(used(UnitKind::Octets, 10 * MB, 0)), false);
            assert_eq!(world.say(&mut talk, RequestKind::Termination, vec![used]).verdict, Verdict::Success);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(earned(&came.unwrap().total), [500_000, 500_000, 1_000_000]);
    assert_eq!(world.what_if(OLD).total[0].earned, 700_000, "it is in the records now");
}

#[test]
fn products_are_bought_and_renewed_again_at_their_new_fees() {
    let mut world = World::new(OLD, true);
    world.account(1, 20_000_000);
    world.manage(1, Manage::Buy { product: "monthly", member: MemberNo::SHARED, start: When::Now });
    world.session(1, DATA, 1, UnitKind::Octets, &[10 * MB, 5 * MB]);
    // Into the next month: it renews.
    world.clock.advance_secs(31 * 86_400);
    world.store.catch_up_accounts(100);
    let renewed = world.clock.now();
    world.session(1, DATA, 1, UnitKind::Octets, &[8 * MB]);
    let monthly = |came: &Comparison| {
        let found = came.rows.iter().find(|(item, _)| *item == Item::Fees("monthly".into()));
        found.unwrap_or_else(|| panic!("{came:#?}")).1
    };
    let same = world.what_if(OLD);
    assert_eq!(earned(&monthly(&same)), [11_000_000; 3], "1.00 and twice 5.00");
    assert_eq!(earned(row(&same, "internet")), [50_000; 3], "5 MB beyond the first month's 10");
    let dearer = world
        .what_if(&OLD.replace("fee = \"5.00\"", "fee = \"7.50\"").replace("amount = \"10 MB\"", "amount = \"6 MB\""));
    assert_eq!(earned(&monthly(&dearer)), [11_000_000, 11_000_000, 16_000_000]);
    assert_eq!(earned(row(&dearer, "internet")), [50_000, 50_000, 90_000 + 20_000]);
    // From a moment before the renewal on: that is done again, the purchase is not.
    let from = Timestamp::from_secs(renewed.secs() - 86_400);
    let since = world.ask(&WhatIf { from: Some(from), ..ask(OLD) }).unwrap();
    assert_eq!(earned(&monthly(&since)), [5_000_000; 3]);
    assert_eq!(earned(row(&since, "internet")), [0; 3]);
}

/// Of the month's 10 MB, 4 were used before: the other 6 are there again, as the month has not ended yet.
#[test]
fn what_is_left_of_a_month_is_reckoned_back() {
    let mut world = World::new(OLD, true);
    world.account(1, 20_000_000);
    world.manage(1, Manage::Buy { product: "monthly", member: MemberNo::SHARED, start: When::Now });
    world.session(1, DATA, 1, UnitKind::Octets, &[4 * MB]);
    world.clock.advance_secs(86_400);
    let from = world.clock.now();
    world.session(1, DATA, 1, UnitKind::Octets, &[8 * MB]);
    let came = world.ask(&WhatIf { from: Some(from), ..ask(OLD) }).unwrap();
    assert_eq!(earned(&came.total), [20_000; 3]);
}

#[test]
fn prices_under_conditions_are_told_by_the_records() {
    let mut world = World::new(OLD, true);
    world.account(1, 10_000_000);
    let on =
        |access| Some(Attributes { access: Some(access), other_party: Some("4479".into()), ..Attributes::default() });
    for access in [1, 6] {
        let (mut talk, _) = world.open_with(1, DATA, vec![report(1, None, true)], on(access));
        world.clock.advance_secs(60);
        world.say(&mut talk, RequestKind::Termination, vec![report(1, Some(used(UnitKind::Octets, 4 * MB, 0)), false)]);
    }
    world.event(1, SMS, report(0, None, true), on(6));
    world.event(1, SMS, report(0, None, true), None);
    let tariffs = "[[tariff]]\nservice = \"internet\"\nname = \"wlan\"\naccess = [6]\nprice = \"0.05\"\nper = \"1 MB\"\n\
                   [[tariff]]\nservice = \"sms\"\nname = \"abroad\"\ncalled = [\"44\"]\nprice = \"0.40\"\nper = \"1 event\"\n";
    let came = world.what_if(&format!("{OLD}{tariffs}"));
    assert_eq!(earned(row(&came, "internet")), [80_000, 80_000, 40_000 + 200_000]);
    assert_eq!(earned(row(&came, "sms")), [200_000, 200_000, 400_000 + 100_000]);
}

/// 60 MB in an hour, of which ten minutes are in the evening: 10 MB.
#[test]
fn usage_over_a_change_of_tariff_is_taken_as_even() {
    let mut world = World::new(OLD, true);
    world.account(1, 10_000_000);
    world.clock.advance_secs(17 * 3_600 + 10 * 60);
    let (mut talk, _) = world.open(1, DATA, vec![report(1, None, true)]);
    world.clock.advance_secs(3_600);
    world.say(&mut talk, RequestKind::Termination, vec![report(1, Some(used(UnitKind::Octets, 60 * MB, 0)), false)]);
    let evening = "[[tariff]]\nservice = \"internet\"\nname = \"evening\"\nfrom = \"18:00\"\nto = \"24:00\"\nprice = \"0.02\"\nper = \"1 MB\"\n";
    let came = world.what_if(&format!("{OLD}{evening}"));
    assert_eq!(earned(&came.total), [600_000, 600_000, 500_000 + 200_000]);
}

#[test]
fn what_is_given_back_is_given_back_at_its_price() {
    let mut world = World::new(OLD, true);
    world.account(1, 10_000_000);
    let (id, _) = world.event(1, SMS, report(0, None, true), None);
    world.event(1, SMS, report(0, None, true), None);
    let answer = world.debit(1, SMS, &id, EventAction::Refund, report(0, None, true), None);
    assert_eq!(answer.verdict, Verdict::Success);
    let came = world.what_if(&OLD.replace("0.10", "0.25"));
    assert_eq!(earned(&came.total), [100_000, 100_000, 250_000]);
}

#[test]
fn what_has_no_price_is_told_with_its_reason() {
    let world = two_accounts();
    let new = OLD
        .replace("rating_group = 2", "rating_group = 22")
        .replace("service_context_id = \"32260@3gpp.org\"", "service_context_id = \"32276@3gpp.org\"")
        .replace("per = \"1 event\"\nslice = \"1 event\"", "per = \"1 s\"\nslice = \"1 s\"");
    let came = world.what_if(&new);
    assert!(came.unrated[0].is_empty());
    let reasons: Vec<_> = came.unrated[1].iter().map(|(why, it)| (why.as_str(), it.charges, it.recorded)).collect();
    let expected = [
        ("no context 32260@3gpp.org", 2, 720_000),
        ("no service for rating group 2 in context 32251@3gpp.org", 1, 400_000),
        ("service sms does not count events", 3, 300_000),
    ];
    assert_eq!(reasons, expected);
    assert_eq!((came.total[2].earned, came.refused), (280_000, [0, 0]));
}

/// Dearer from the second hour on, by a list whose contexts come in another order; the session that ran then finishes as it
/// began.
#[test]
fn the_baseline_goes_by_the_catalogs_that_were_in_force() {
    let mut world = World::new(OLD, true);
    world.account(1, 10_000_000);
    let (mut talk, _) = world.open(1, DATA, vec![report(1, None, true)]);
    world.clock.advance_secs(3_600);
    let first = "[[context]]\nname = \"first\"\nservice_context_id = \"32270@3gpp.org\"\n\
                 [[service]]\nname = \"mms\"\ncontext = \"first\"\nrating_group = 1\nprice = \"9\"\nper = \"1 event\"\nslice = \"1 event\"\n";
    let later = OLD.replace("currency = \"EUR\"\n", &format!("currency = \"EUR\"\n{first}")).replace("0.01", "0.02");
    let publish = Publish {
        catalog: Arc::new(Catalog::from_toml(&later).unwrap()),
        activates: None,
        sessions: RunningSessions::Finish,
        by: "test".into(),
        reason: "".into(),
        request_id: "p1".into(),
    };
    let published = world.store.publish(publish);
    assert!(world.durable(published).is_ok());
    world.session(1, DATA, 1, UnitKind::Octets, &[10 * MB]);
    world.say(&mut talk, RequestKind::Termination, vec![report(1, Some(used(UnitKind::Octets, 10 * MB, 0)), false)]);
    assert_eq!(earned(&world.what_if(OLD).total), [300_000, 300_000, 200_000]);
    assert_eq!(earned(&world.what_if(&later).total), [300_000, 300_000, 400_000]);
}

/// 30 MB from 18:00 until 06:00, half of them on the next day: 0.10 a day are let through, 10 MB.
#[test]
fn usage_over_midnight_belongs_to_two_days() {
    let limit = "[[limit]]\nname = \"day\"\nperiod = \"day\"\namount = \"0.10\"\nthen = \"refuse\"\n\
                 [[plan]]\nname = \"careful\"\nlimits = [\"day\"]\n";
    let plan = "[[plan]]\nname = \"careful\"\n";
    let mut world = World::new(&format!("{OLD}{plan}"), true);
    world.account(1, 10_000_000);
    world.manage(1, Manage::SetPlan(Some("careful")));
    world.clock.advance_secs(18 * 3_600);
    let (mut talk, _) = world.open(1, DATA, vec![report(1, None, true)]);
    world.clock.advance_secs(12 * 3_600);
    world.say(&mut talk, RequestKind::Termination, vec![report(1, Some(used(UnitKind::Octets, 30 * MB, 0)), false)]);
    let came = world.what_if(&format!("{OLD}{limit}"));
    assert_eq!(earned(&came.total), [300_000, 300_000, 200_000]);
    assert_eq!(row(&came, "internet")[2].refused_units, 10 * MB);
}

/// Anna may take 0.30 of what is shared in a day: 3 MB at 0.10.
#[test]
fn members_are_held_to_their_limits() {
    let mut world = World::new(OLD, true);
    world.account(1, 10_000_000);
    let limit = MemberLimit { period: Period::Day, measure: Measure::Money, amount: 300_000 };
    let order = PayOrder::SharedOnly;
    world.manage(1, Manage::SetMember { subscriber: "1", order, limits: vec![limit] });
    world.session(1, DATA, 1, UnitKind::Octets, &[10 * MB, 5 * MB]);
    world.clock.advance_secs(86_400);
    world.session(1, DATA, 1, UnitKind::Octets, &[2 * MB]);
    let dearer = OLD.replace("price = \"0.01\"\nper = \"1 MB\"\nblock", "price = \"0.10\"\nper = \"1 MB\"\nblock");
    let came = world.what_if(&dearer);
    assert_eq!(
        earned(row(&came, "internet")),
        [170_000, 170_000, 500_000],
        "0.30 on the first day, 0.20 on the second"
    );
    assert_eq!(row(&came, "internet")[2].refused_units, 12 * MB);
}

/// 10.00 are to be spent in a cycle, and no more than 0.12 on internet: what is beyond is free.
#[test]
fn cycles_floors_and_caps_are_done_again() {
    let offers = "[[limit]]\nname = \"cap\"\nperiod = \"cycle\"\namount = \"0.12\"\nservices = [\"internet\"]\nthen = \"free\"\n\
                  [[product]]\nname = \"flat\"\nperiod = \"cycle\"\nfloor = \"10.00\"\nlimits = [\"cap\"]\n";
    let mut world = World::new(&format!("{OLD}{offers}"), true);
    world.account(1, 50_000_000);
    world.manage(1, Manage::SetCycleDay(1));
    world.manage(1, Manage::Buy { product: "flat", member: MemberNo::SHARED, start: When::Now });
    for _ in 0..2 {
        world.session(1, DATA, 1, UnitKind::Octets, &[10 * MB, 5 * MB]);
        world.event(1, SMS, report(0, None, true), None);
        world.clock.advance_secs(31 * 86_400);
        world.store.catch_up_accounts(100);
    }
    let floor = |came: &Comparison| {
        let found = came.rows.iter().find(|(item, _)| *item == Item::Fees("floor".into()));
        earned(&found.unwrap_or_else(|| panic!("{came:#?}")).1)
    };
    let same = world.what_if(&format!("{OLD}{offers}"));
    assert_eq!(earned(row(&same, "internet")), [240_000; 3]);
    // January and February are over, each with 0.12 + 0.10 of usage.
    assert_eq!(floor(&same), [2 * 9_780_000; 3]);
    let other = offers.replace("0.12", "0.05").replace("10.00", "7.00");
    let came = world.what_if(&format!("{OLD}{other}"));
    assert_eq!(earned(row(&came, "internet")), [240_000, 240_000, 100_000]);
    assert_eq!(floor(&came), [19_560_000, 19_560_000, 2 * 6_850_000]);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let world = World::new(OLD, false);
    let error = world.ask(&ask(OLD)).unwrap_err().to_string();
    assert_eq!(error, "no usage records are kept: see [records] in the configuration");
    let world = two_accounts();
    let error = world.ask(&ask(&OLD.replace("EUR", "CNY"))).unwrap_err().to_string();
    assert_eq!(error, "the catalog is in CNY, but this store is in EUR");
    let given_up = world.store.what_if(&ask(OLD), &mut |_| ControlFlow::Break(()));
    assert!(matches!(given_up, Err(WhatIfError::GivenUp)));
}
