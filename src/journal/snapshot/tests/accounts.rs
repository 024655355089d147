//! Accounts read by hand are those that the generated messages say.

use proptest::{collection::vec, option, prelude::*, sample::select};
use prost::Message as _;

use crate::{
    charging::{Account, Detail, HistoryLine},
    ids::AccountId,
    journal::{
        record::{
            RecordError,
            account::read_profile,
            numbers::Numbered as _,
            proto::{self, identity::Form},
            read::{all, bucket, currency, subscriber},
        },
        snapshot::{account::AccountReader, load::detail},
    },
    time::Timestamp,
    units::Money,
};

fn by_messages(octets: &[u8]) -> Result<Account, RecordError> {
    let wire = proto::Account::decode(octets)?;
    Ok(Account {
        id: AccountId(wire.id),
        currency: currency(wire.currency)?,
        state: crate::charging::AccountState::from_number(wire.state)?,
        credit_stopped: wire.credit_stopped,
        never_stop: wire.never_stop,
        credit_limit: Money::from_micros(wire.credit_limit),
        buckets: all(wire.buckets, bucket)?,
        subscribers: all(wire.subscribers, subscriber)?,
        sessions: Vec::new(),
        credited: Money::from_micros(wire.credited),
        debited: Money::from_micros(wire.debited),
        history: wire.history.into_iter().map(line).collect::<Result<_, _>>()?,
        next_bucket: wire.next_bucket,
        opening_allowances: wire.opening_allowances,
        profile: wire.profile.map(read_profile).transpose()?.map(Box::new),
    })
}

fn line(wire: proto::HistoryLine) -> Result<HistoryLine<'static>, RecordError> {
    Ok(HistoryLine {
        at: Timestamp::from_millis(wire.at_ms),
        kind: crate::charging::HistoryKind::from_number(wire.kind)?,
        amount: Money::from_micros(wire.amount),
        units: wire.units,
        unit_kind: Option::from_number(wire.measure)?,
        units_from_allowance: wire.units_from_allowance,
        service: wire.service.into(),
        rating_group: wire.rating_group,
        session_id: wire.session_id.map(Into::into),
        request_id: wire.request_id.into(),
        catalog: wire.catalog,
        detail: detail(&wire.detail)?.map(|_| wire.detail.into()),
    })
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0u64..300, any::<u64>()]
}

fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -300i64..300, any::<i64>()]
}

prop_compose! {
    fn buckets()(
        (id, priority, owner, subscription, rolled) in any::<(u32, u32, u32, u32, u8)>(),
        (amount, reserved, initial) in (amounts(), amounts(), amounts()),
        kind in 0i32..4,
        expires_ms in option::of(numbers()),
        services in vec("[a-c]{0,2}", 0..3),
        name in "[a-zü]{0,3}",
    ) -> proto::Bucket {
        let rolled = rolled.into();
        proto::Bucket {
            id, kind, amount, reserved, initial, priority, expires_ms, services, name, owner, subscription, rolled,
        }
    }
}

fn identities() -> impl Strategy<Value = proto::Identity> {
    let digits = (1u64..16).prop_map(|length| Form::Packed(length << 58 | 10u64.pow(length as u32 - 1)));
    let text =
        ("[a-z]{1,9}@[a-z]{1,9}", 2u32..4).prop_map(|(text, kind)| Form::Text(proto::TextIdentity { kind, text }));
    prop_oneof![9 => digits, 9 => text, 1 => any::<u64>().prop_map(Form::Packed)]
        .prop_map(|form| proto::Identity { form: Some(form) })
}

fn subscribers() -> impl Strategy<Value = proto::Subscriber> {
    ("[a-c]{0,2}", vec(identities(), 0..3)).prop_map(|(id, identities)| proto::Subscriber { id, identities })
}

prop_compose! {
    fn lines()(
        (at_ms, units, units_from_allowance) in (numbers(), numbers(), numbers()),
        amount in amounts(),
        (rating_group, catalog) in any::<(u32, u32)>(),
        (kind, measure) in (0i32..14, 0i32..4),
        (service, request_id) in (".{0,9}", ".{0,9}"),
        session_id in option::of(vec(any::<u8>(), 0..200)),
        detail in select(vec![None, Some(Detail::Gift(Money::from_micros(5)))]),
    ) -> proto::HistoryLine {
        let detail = detail.map(|detail| detail.write()).unwrap_or_default();
        proto::HistoryLine {
            at_ms, kind, amount, units, measure, units_from_allowance, service, rating_group, session_id, request_id,
            catalog, detail,
        }
    }
}

prop_compose! {
    fn accounts()(
        (id, never_stop, credit_stopped) in any::<(u64, bool, bool)>(),
        (next_bucket, opening_allowances) in any::<(u32, u32)>(),
        (credit_limit, credited, debited) in (amounts(), amounts(), amounts()),
        currency in select(vec![156, 978, 978, 978, 1]),
        // One number in five stands for nothing.
        state in 0i32..5,
        (buckets, subscribers, history) in (vec(buckets(), 0..4), vec(subscribers(), 0..3), vec(lines(), 0..4)),
        profile in option::of(any::<u32>()),
    ) -> proto::Account {
        let profile = profile.map(|next_member| proto::Profile { next_member, ..Default::default() });
        proto::Account {
            id, currency, state, never_stop, credit_limit, buckets, subscribers, credited, debited, history,
            next_bucket, credit_stopped, opening_allowances, profile,
        }
    }
}

proptest! {
    #[test]
    fn accounts_are_what_the_messages_say(all in vec((accounts(), option::weighted(0.2, any::<prop::sample::Index>())), 1..9)) {
        let mut reader = AccountReader::default();
        for (wire, cut) in all {
            let mut octets = wire.encode_to_vec();
            // A field that later versions may have.
            octets.extend_from_slice(&[0xf8, 0x07, 1]);
            if let Some(cut) = cut {
                octets.truncate(cut.index(octets.len()));
            }
            let (read, expected) = (reader.read(&octets), by_messages(&octets));
            prop_assert_eq!(read.as_ref().ok(), expected.as_ref().ok(), "{:?}, {:?}", &read, &expected);
            read.into_iter().for_each(|account| reader.give_back(account));
        }
    }

    #[test]
    fn octets_that_are_no_account_do_no_harm(wire in accounts(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut octets = wire.encode_to_vec();
        let at = at.index(octets.len().max(1));
        if let Some(place) = octets.get_mut(at) {
            *place = octet;
        }
        drop(AccountReader::default().read(&octets));
    }
}
