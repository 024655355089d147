//! The way of one CCR through the core, without sockets: frame reading, parsing, mapping, decision, journal, answer. The
//! same requests by the same clock, so that it takes the same instructions each time.

use std::sync::Arc;

use anyhow::Context;
use bytes::BytesMut;

use crate::{
    charging::{AccountSpec, Answered, Command, Retention, Subscriber, SubscriberSpec},
    diameter::{
        CreditControlAnswer, CreditControlRequest, Frame, Identity, Limits,
        credit_control::{MultipleServices, RequestType, ServiceUnits, SubscriptionId, UsedUnits, glance},
        dictionary::subscription_id_type,
        frame::MESSAGE_MAX_DEFAULT,
        split,
    },
    ids::{self, AccountId, IdentityKind},
    journal::{MemoryDisk, Pending},
    mapping::{self, ClientTraits},
    rating::Catalog,
    store::{Settings, Store},
    telemetry::{self, MetricsObserver},
    time::{Clock, Timestamp},
    units::{Money, Units},
};

/// Sessions that take turns: each sends its next request when all others have sent theirs.
const SESSIONS: u64 = 256;
const FIRST_MSISDN: u64 = 8_613_900_000_000;
/// One block of the demo's price list.
const USED: u64 = 1_000_000;

/// A store in memory with sessions, and the updates that are to be taken through it.
pub struct Path {
    store: Store<MemoryDisk>,
    local: Identity,
    limits: Limits,
    updates: u64,
}

/// A decided request.
pub type Decision = (Frame, Pending<Answered>);

/// Time stands still: what depends on it is the same each time.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000)
    }
}

impl Path {
    /// A store with a session for each of some subscribers; `updates` is how many requests [`run`](Self::run) takes.
    ///
    /// # Errors
    /// A defect of this bench.
    pub fn new(updates: u64) -> anyhow::Result<Self> {
        telemetry::init()?;
        let catalog = Arc::new(
            Catalog::from_toml(include_str!("../../config/demo/catalog.toml"))
                .map_err(|problems| anyhow::anyhow!("{problems:?}"))?,
        );
        let settings = Settings {
            partitions: 64,
            segment_bytes: 16 << 20,
            retention: Retention::default(),
            outbox_keep: 1_000,
            outbox_keep_max: 1_000_000,
        };
        let observer = Arc::new(MetricsObserver::new(&catalog));
        let clock = Arc::new(Still);
        let store = Store::open(MemoryDisk::new(), settings, catalog, clock, observer, |_| {}, |_| {})?.0;
        for number in 0..SESSIONS {
            subscribe(&store, number)?;
        }
        let local = Identity { host: "ocs.tollgate.example".into(), realm: "tollgate.example".into() };
        let path = Self { store, local, limits: Limits::default(), updates };
        path.turn(&mut requests(RequestType::Initial, 0))?;
        Ok(path)
    }

    /// Takes all updates through, and returns how many were decided.
    ///
    /// # Errors
    /// One of them was refused, which would be a defect of this bench.
    pub fn run(&self) -> anyhow::Result<u64> {
        let (mut number, mut done) = (0, 0);
        while done < self.updates {
            number += 1;
            let mut inbox = requests(RequestType::Update, number);
            done += self.turn(&mut inbox)?;
        }
        Ok(done)
    }

    /// Requests in, answers out. What lies between, the wait for the disk, is nobody's work.
    fn turn(&self, inbox: &mut BytesMut) -> anyhow::Result<u64> {
        let mut decisions = Vec::with_capacity(SESSIONS as usize);
        self.decide(inbox, &mut decisions)?;
        self.settle()?;
        let (count, mut out) = (decisions.len() as u64, Vec::with_capacity(SESSIONS as usize * 512));
        self.encode(decisions, &mut out);
        let granted = granted(&out)?;
        anyhow::ensure!(granted == count, "{granted} of {count} requests were granted");
        Ok(count)
    }

    /// Waits until all that was decided is durable.
    ///
    /// # Errors
    /// The journal has failed.
    pub fn settle(&self) -> anyhow::Result<()> {
        self.store.mark().wait_for_blocking(self.store.last_position())?;
        Ok(())
    }

    /// Splits requests off, reads them, and has them decided.
    ///
    /// # Errors
    /// One of them cannot be read.
    #[inline(never)]
    pub fn decide(&self, inbox: &mut BytesMut, decisions: &mut Vec<Decision>) -> anyhow::Result<()> {
        let store = &self.store;
        while let Some(frame) = split(inbox, MESSAGE_MAX_DEFAULT)? {
            glance::origin_host(&frame).context("an origin")?;
            let client = ClientTraits::default();
            let request = CreditControlRequest::parse_within(&frame, client.strictness, &self.limits)?;
            let charge = mapping::charge(&request, &store.catalog_at(Still.now()), client)?;
            let (key, kind, number) = (charge.key, charge.kind(), charge.number());
            let (identities, charge) = charge.split();
            let answered =
                store.charge_in_time(Still.now(), &identities, key, kind, number, |to, _| charge.into_command(to));
            decisions.push((frame, answered));
        }
        Ok(())
    }

    /// Encodes the answers to what is durable.
    #[inline(never)]
    pub fn encode(&self, decisions: Vec<Decision>, out: &mut Vec<u8>) {
        for (request, answered) in decisions {
            if let Ok(durable) = self.store.mark().admit(answered) {
                mapping::encode_answer(&durable, &request, ClientTraits::default(), &self.local, out);
            }
        }
    }
}

/// One request of every session, as they come in one read.
pub fn requests(kind: RequestType, number: u32) -> BytesMut {
    let origin = Identity { host: "load0.tollgate.example".into(), realm: "tollgate.example".into() };
    let mut octets = Vec::new();
    for session in 0..SESSIONS {
        let id = format!("{};1767225600;{session:010};0.1.1", origin.host);
        let msisdn = (FIRST_MSISDN + session).to_string();
        let mut ccr = CreditControlRequest::new(id.as_bytes(), &origin, &origin.realm, kind);
        ccr.service_context_id = "32251@3gpp.org";
        ccr.request_number = number;
        ccr.event_timestamp = Some(Still.now());
        ccr.subscription_ids.push(SubscriptionId { kind: subscription_id_type::E164, data: &msisdn });
        let used = UsedUnits { units: ServiceUnits::of(Units::octets(USED)), ..Default::default() };
        ccr.services.push(MultipleServices {
            rating_group: Some(1),
            requested: Some(ServiceUnits::default()),
            used: (kind == RequestType::Update).then_some(used),
            ..Default::default()
        });
        ccr.encode(&mut octets);
    }
    octets.as_slice().into()
}

/// How many of these answers grant something.
fn granted(answers: &[u8]) -> anyhow::Result<u64> {
    let (mut answers, mut granted) = (BytesMut::from(answers), 0);
    while let Some(frame) = split(&mut answers, MESSAGE_MAX_DEFAULT)? {
        let answer = CreditControlAnswer::parse(&frame)?.answer;
        granted += u64::from(answer.services.iter().any(|service| service.granted.is_some()));
    }
    Ok(granted)
}

fn subscribe(store: &Store<MemoryDisk>, number: u64) -> anyhow::Result<()> {
    let account = AccountId(number + 1);
    let spec = AccountSpec {
        id: account,
        currency: store.catalog().currency(),
        balance: Money::from_micros(1_000_000_000_000),
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    store.account_command(account, &Command::CreateAccount(spec));
    let identities = [ids::Identity::new(IdentityKind::E164, &(FIRST_MSISDN + number).to_string())?];
    let subscriber = Subscriber { id: "1".into(), identities: identities.into() };
    store.create_subscriber(SubscriberSpec { account, subscriber });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_update_is_granted() {
        let path = Path::new(2 * SESSIONS).unwrap();
        assert_eq!(path.run().unwrap(), 2 * SESSIONS);
    }
}
