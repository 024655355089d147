//! Accounts of a checkpoint, read by hand: there are as many as subscribers, and a start waits for them. The numbers of fields
//! are those of `journal.proto`; tests hold this to the generated messages.

use std::{collections::BTreeSet, mem::take, sync::Arc};

use prost::Message as _;

use super::load::detail;
use crate::{
    charging::{Account, AccountState, Bucket, BucketKind, History, HistoryKind, HistoryLine, MemberNo, Subscriber},
    ids::{AccountId, BucketId, Identity},
    journal::record::{
        RecordError,
        account::read_profile,
        fields::{Fields, Value},
        numbers::Numbered,
        proto,
        read::{currency, narrow, packed_identity, text_identity},
    },
    time::Timestamp,
    units::{Currency, Money},
};

type Result<T> = std::result::Result<T, RecordError>;

/// Reads one account after the other into the memory of the one before, which it mostly resembles.
#[derive(Debug, Default)]
pub(super) struct AccountReader {
    buckets: Vec<Bucket>,
    subscribers: Vec<Subscriber>,
    history: History,
    currency: Option<(u32, Currency)>,
    /// One copy of each name.
    names: BTreeSet<Arc<str>>,
}

impl AccountReader {
    /// Takes back an account that is needed no more.
    pub(super) fn give_back(&mut self, account: Account) {
        let Account { buckets, subscribers, history, .. } = account;
        (self.buckets, self.subscribers, self.history) = (buckets, subscribers, history);
    }

    /// Reads an account. It has no sessions: they tell themselves whose they are.
    pub(super) fn read(&mut self, octets: &[u8]) -> Result<Account> {
        let (mut buckets, mut subscribers, mut history) =
            (take(&mut self.buckets), take(&mut self.subscribers), take(&mut self.history));
        let (mut bucket_count, mut subscriber_count) = (0, 0);
        history.clear();
        let (mut id, mut currency, mut state, mut never_stop, mut credit_stopped) = (0, 0, 0, false, false);
        let (mut credit_limit, mut credited, mut debited) = (Money::ZERO, Money::ZERO, Money::ZERO);
        let (mut next_bucket, mut opening_allowances, mut profile) = (0, 0, None);
        let mut fields = Fields(octets);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => id = value.number()?,
                2 => currency = value.small()?,
                3 => state = value.small()?,
                4 => never_stop = value.bool()?,
                5 => credit_limit = Money::from_micros(value.signed()?),
                6 => self.bucket(value.message()?, next(&mut buckets, &mut bucket_count, no_bucket))?,
                7 => subscriber(value.message()?, next(&mut subscribers, &mut subscriber_count, nobody))?,
                8 => credited = Money::from_micros(value.signed()?),
                9 => debited = Money::from_micros(value.signed()?),
                10 => history.add(&history_line(value.message()?)?),
                11 => next_bucket = value.small()?,
                12 => credit_stopped = value.bool()?,
                13 => opening_allowances = value.small()?,
                20 => profile = Some(Box::new(read_profile(proto::Profile::decode(value.octets()?)?)?)),
                _ => {}
            }
        }
        buckets.truncate(bucket_count);
        subscribers.truncate(subscriber_count);
        Ok(Account {
            id: AccountId(id),
            currency: self.currency(currency)?,
            state: AccountState::from_number(state as i32)?,
            credit_stopped,
            never_stop,
            credit_limit,
            buckets,
            subscribers,
            sessions: Vec::new(),
            credited,
            debited,
            history,
            next_bucket,
            opening_allowances,
            profile,
        })
    }

    fn currency(&mut self, number: u32) -> Result<Currency> {
        match self.currency {
            Some((known, currency)) if known == number => Ok(currency),
            _ => {
                let currency = currency(number)?;
                self.currency = Some((number, currency));
                Ok(currency)
            }
        }
    }

    /// Into the place of another.
    fn bucket(&mut self, mut fields: Fields<'_>, place: &mut Bucket) -> Result<()> {
        let (mut name, mut services, mut kind) = ("", Vec::new(), 0);
        *place = Bucket { name: Arc::clone(&place.name), services: Arc::clone(&place.services), ..no_bucket() };
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => place.id = BucketId(value.small()?),
                2 => kind = value.small()?,
                3 => place.amount = value.signed()?,
                4 => place.reserved = value.signed()?,
                5 => place.initial = value.signed()?,
                6 => place.priority = value.small()?,
                7 => place.expires = Some(Timestamp::from_millis(value.number()?)),
                8 => services.push(value.text()?),
                9 => name = value.text()?,
                20 => place.owner = MemberNo(value.small()?),
                21 => place.subscription = value.small()?,
                22 => place.rolled = narrow(value.small()?, "rolled")?,
                _ => {}
            }
        }
        place.kind = BucketKind::from_number(kind as i32)?;
        if *place.name != *name {
            place.name = self.name(name);
        }
        if !place.services.iter().map(|name| &**name).eq(services.iter().copied()) {
            place.services = services.into_iter().map(|name| self.name(name)).collect();
        }
        Ok(())
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

/// The place of the next item of a list that is filled again.
fn next<'l, T>(list: &'l mut Vec<T>, count: &mut usize, blank: impl Fn() -> T) -> &'l mut T {
    let place = *count;
    *count += 1;
    if place == list.len() {
        list.push(blank());
    }
    &mut list[place]
}

fn no_bucket() -> Bucket {
    Bucket {
        id: BucketId(0),
        kind: BucketKind::Money,
        amount: 0,
        reserved: 0,
        initial: 0,
        priority: 0,
        expires: None,
        services: Arc::default(),
        name: Arc::default(),
        owner: MemberNo::SHARED,
        subscription: 0,
        rolled: 0,
    }
}

fn nobody() -> Subscriber {
    Subscriber { id: "".into(), identities: Box::default() }
}

/// Into the place of another.
fn subscriber(mut fields: Fields<'_>, place: &mut Subscriber) -> Result<()> {
    let (mut id, mut identities) = ("", take(&mut place.identities).into_vec());
    let mut count = 0;
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => id = value.text()?,
            2 => *next(&mut identities, &mut count, || Identity::Packed(0)) = identity(value.message()?)?,
            _ => {}
        }
    }
    identities.truncate(count);
    place.identities = identities.into();
    if *place.id != *id {
        place.id = id.into();
    }
    Ok(())
}

fn identity(mut fields: Fields<'_>) -> Result<Identity> {
    let mut form = None;
    while let Some((field, value)) = fields.next()? {
        if matches!(field, 1 | 2) {
            form = Some((field, value));
        }
    }
    match form {
        None => Err(RecordError::Missing("identity")),
        Some((1, value)) => packed_identity(value.fixed()?),
        Some((_, value)) => text(value),
    }
}

fn text(value: Value<'_>) -> Result<Identity> {
    let (mut kind, mut text) = (0, "");
    let mut fields = value.message()?;
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => kind = value.small()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    text_identity(kind, text)
}

fn history_line(mut fields: Fields<'_>) -> Result<HistoryLine<'_>> {
    let (mut kind, mut measure) = (0, 0);
    let mut line = HistoryLine::money(Timestamp::EPOCH, HistoryKind::Usage, Money::ZERO);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => line.at = Timestamp::from_millis(value.number()?),
            2 => kind = value.small()?,
            3 => line.amount = Money::from_micros(value.signed()?),
            4 => line.units = value.number()?,
            5 => measure = value.small()?,
            6 => line.units_from_allowance = value.number()?,
            7 => line.service = value.text()?.into(),
            8 => line.rating_group = value.small()?,
            9 => line.session_id = Some(value.octets()?.into()),
            10 => line.request_id = value.text()?.into(),
            40 => line.catalog = value.small()?,
            70 => line.detail = detail(value.octets()?)?.map(|_| value.octets()).transpose()?.map(Into::into),
            _ => {}
        }
    }
    line.kind = Numbered::from_number(kind as i32)?;
    line.unit_kind = Numbered::from_number(measure as i32)?;
    Ok(line)
}
