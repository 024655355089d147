use std::{hint::black_box, sync::Arc, time::Instant};

use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message as _;

use super::{arbitrary, *};
use crate::{
    charging::{Answer, Draw, Grant, Interrogated, Measure, Reply, RequestKind, Step, Verdict},
    ids::{AccountId, BucketId, QuotaKey, SessionNo},
    units::{Money, UnitKind},
};

fn encoded(partition: PartitionId, event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    encode_event(partition, event, &mut out);
    out
}

proptest! {
    #[test]
    fn every_event_survives_exactly(event in arbitrary::events(), partition in any::<u16>()) {
        let partition = PartitionId(partition);
        let bytes = encoded(partition, &event);
        // What is written by hand is what the generated code would write.
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        prop_assert_eq!(decode(&bytes).unwrap(), Entry::Charging { partition, event });
    }

    #[test]
    fn acknowledgements_survive_exactly(consumer in ".{0,20}", cursor in any::<u64>(), at in any::<u64>()) {
        let at = Timestamp::from_millis(at);
        let mut bytes = Vec::new();
        encode_acknowledged(&consumer, cursor, at, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        prop_assert_eq!(decode(&bytes).unwrap(), Entry::Acknowledged { consumer: consumer.into(), cursor, at });
    }

    #[test]
    fn forgotten_consumers_survive_exactly(consumer in ".{0,20}", at in any::<u64>()) {
        let at = Timestamp::from_millis(at);
        let mut bytes = Vec::new();
        encode_forgotten(&consumer, at, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        prop_assert_eq!(decode(&bytes).unwrap(), Entry::Forgotten { consumer: consumer.into(), at });
    }

    #[test]
    fn publications_survive_exactly(publication in arbitrary::publications()) {
        let mut bytes = Vec::new();
        encode_published(&publication, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        prop_assert_eq!(decode(&bytes).unwrap(), Entry::Published(publication));
    }

    #[test]
    fn withdrawals_survive_exactly(number in any::<u32>(), at in any::<u64>()) {
        let at = Timestamp::from_millis(at);
        let mut bytes = Vec::new();
        encode_withdrawn(number, at, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        prop_assert_eq!(decode(&bytes).unwrap(), Entry::Withdrawn { number, at });
    }

    #[test]
    fn audits_survive_exactly_beside_whatever_they_are_of(event in arbitrary::events(), audit in arbitrary::audits()) {
        let audit = Audit { at: event_at(&event), ..audit };
        let mut bytes = encoded(PartitionId(7), &event);
        encode_audit(&audit, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        let expected = (Entry::Charging { partition: PartitionId(7), event }, Some(audit.clone()));
        prop_assert_eq!(decode_audited(&bytes).unwrap(), expected);
        let mut bytes = Vec::new();
        encode_refused(&audit, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        prop_assert_eq!(decode_audited(&bytes).unwrap(), (Entry::CallRefused { at: audit.at }, Some(audit)));
    }

    #[test]
    fn bulk_changes_survive_exactly(
        bulk in arbitrary::submitted_bulks(),
        decision in arbitrary::bulk_decisions(),
        audit in arbitrary::audits(),
    ) {
        let mut bytes = Vec::new();
        encode_bulk_submitted(&bulk, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        let id = bulk.id;
        prop_assert_eq!(decode(&bytes).unwrap(), Entry::BulkSubmitted(Box::new(bulk)));
        let mut bytes = Vec::new();
        encode_bulk_decided(id, &decision, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        prop_assert_eq!(decode(&bytes).unwrap(), Entry::BulkDecided { bulk: id, decision: Box::new(decision) });
        let mut bytes = Vec::new();
        encode_bulk_item_ended(&audit, &mut bytes);
        let message = proto::Record::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes.clone());
        prop_assert_eq!(decode_audited(&bytes).unwrap(), (Entry::BulkItemEnded { at: audit.at }, Some(audit)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(
        event in arbitrary::events(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        cut in any::<Index>(),
    ) {
        let mut bytes = encoded(PartitionId(7), &event);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        // A damaged record that still reads as one is the checksum's business, but it must read as itself.
        if let Ok(Entry::Charging { partition, event }) = decode(&bytes) {
            let entry = decode(&encoded(partition, &event)).unwrap();
            prop_assert_eq!(entry, Entry::Charging { partition, event });
        }
        bytes.truncate(cut.index(bytes.len()));
        let _ = decode(&bytes);
    }
}

fn event_at(event: &Event) -> Timestamp {
    let mut bytes = Vec::new();
    encode_event(PartitionId(0), event, &mut bytes);
    Timestamp::from_millis(proto::Record::decode(bytes.as_slice()).unwrap().at_ms)
}

fn record(event: proto::record::Event) -> Vec<u8> {
    proto::Record { partition: 1, at_ms: 1, event: Some(event), ..Default::default() }.encode_to_vec()
}

#[test]
fn errors_say_what_is_wrong() {
    use proto::record::Event as Wire;
    let bad = |field, value| RecordError::BadValue { field, value };
    let answer = |kind| Some(proto::Answer { kind, ..Default::default() });
    let identity = |form| proto::Subscriber { id: "s".into(), identities: vec![proto::Identity { form }] };
    let with = |subscriber| Wire::SubscriberCreated(proto::SubscriberCreated { account: 1, subscriber });
    let text = |kind, text: &str| {
        with(Some(identity(Some(proto::identity::Form::Text(proto::TextIdentity { kind, text: text.into() })))))
    };
    let packed = |packed| with(Some(identity(Some(proto::identity::Form::Packed(packed)))));
    for (wire, error) in [
        (
            Wire::AccountCreated(proto::AccountCreated { currency: 1, ..Default::default() }),
            RecordError::BadCurrency(1),
        ),
        (with(None), RecordError::Missing("subscriber")),
        (with(Some(identity(None))), RecordError::Missing("identity")),
        (text(9, "a"), RecordError::BadIdentity),
        (text(0, "8613900000001"), RecordError::BadIdentity),
        (text(2, ""), RecordError::BadIdentity),
        (packed(0), RecordError::BadIdentity),
        (packed(1 << 58 | 10), RecordError::BadIdentity),
        (packed(u64::MAX), RecordError::BadIdentity),
        (Wire::StateChanged(proto::StateChanged::default()), bad("account state", 0)),
        (Wire::SessionClosed(proto::SessionClosed::default()), bad("closing cause", 0)),
        (Wire::Interrogated(proto::Interrogated::default()), RecordError::Missing("answer")),
        (
            Wire::Interrogated(proto::Interrogated { answer: answer(2), closes: 99, ..Default::default() }),
            bad("closing cause", 99),
        ),
        (Wire::Interrogated(proto::Interrogated { answer: answer(-3), ..Default::default() }), bad("request kind", -3)),
        (Wire::EventCharged(proto::EventCharged { answer: answer(4), ..Default::default() }), bad("event action", 0)),
        (Wire::Credited(proto::Credited::default()), bad("history kind", 0)),
        (Wire::CatalogPublished(proto::CatalogPublished::default()), bad("running sessions", 0)),
        (
            Wire::Credited(proto::Credited { kind: 2, notices: vec![proto::Notice::default()], ..Default::default() }),
            RecordError::Missing("kind of notice"),
        ),
    ] {
        assert_eq!(decode(&record(wire)), Err(error));
    }
    assert_eq!(decode(&[]), Err(RecordError::UnknownEvent));
    // Field 500 of a later version.
    assert_eq!(decode(&[0xa2, 0x1f, 0]), Err(RecordError::UnknownEvent));
    assert!(matches!(decode(&[0x12]), Err(RecordError::Malformed(_))));
    let partition = proto::Record { partition: 65_536, ..Default::default() }.encode_to_vec();
    assert_eq!(decode(&partition), Err(bad("partition", 65_536)));
}

/// A data session's update: 10 MB used of a grant of 10 MB, another granted.
fn typical_update() -> Event {
    let key = QuotaKey { rating_group: Some(1), service_identifier: None, ..QuotaKey::default() };
    let octets = Measure::Units(UnitKind::Octets);
    let draw = Draw { bucket: BucketId::MAIN, amount: 100_000 };
    let at = Timestamp::from_millis(1_790_000_000_123);
    Event::Interrogated(Box::new(Interrogated {
        at,
        account: AccountId(81_234),
        session: SessionNo(1_234_567),
        opening: None,
        steps: vec![Step {
            key,
            service: "internet".into(),
            measure: octets,
            used: 10_000_000,
            rated: 10_000_000,
            charged: Money::from_micros(100_000),
            debits: vec![draw].into(),
            holds: vec![draw].into(),
            granted: 10_000_000,
            validity_secs: 3_600,
            final_units: false,
            refused: false,
            ..Step::default()
        }],
        answer: Arc::new(Answer {
            replies: vec![Reply {
                key,
                verdict: Verdict::Success,
                grant: Some(Grant { measure: octets, amount: 10_000_000 }),
                validity_secs: 3_600,
                threshold: 2_000_000,
                holding_secs: None,
                final_action: None,
                ..Reply::default()
            }],
            cost: Money::from_micros(4_200_000),
            ..Answer::bare(RequestKind::Update, 42, Verdict::Success)
        }),
        expires: at.plus_secs(7_200),
        closes: None,
        notices: Vec::new(),
        moved_to: None,
        attributes: None,
        incarnation: None,
        wake: Vec::new(),
        untimely: None,
        begun: Vec::new(),
        member: None,
        reached: Vec::new(),
        reheld: Vec::new(),
        catalog: None,
    }))
}

#[test]
fn a_typical_update_is_small() {
    let bytes = encoded(PartitionId(3), &typical_update());
    assert!(bytes.len() <= 140, "{} octets", bytes.len());
}

/// `cargo test --release -- --ignored --nocapture how_long`
#[test]
#[ignore = "prints times, proves nothing"]
fn how_long_it_takes() {
    const TIMES: u32 = 2_000_000;
    let event = typical_update();
    let bytes = encoded(PartitionId(3), &event);
    let message = proto::Record::decode(bytes.as_slice()).unwrap();
    let mut out = Vec::with_capacity(1 << 20);
    let mut time = |what: &str, work: &mut dyn FnMut(&mut Vec<u8>)| {
        let start = Instant::now();
        for _ in 0..TIMES {
            if out.len() > 900_000 {
                out.clear();
            }
            work(&mut out);
        }
        println!("{what}: {:?} each, {} octets", start.elapsed() / TIMES, bytes.len());
    };
    time("encode", &mut |out| encode_event(PartitionId(3), black_box(&event), out));
    time("generated encode of a message at hand", &mut |out| black_box(&message).encode(out).unwrap());
    time("copy and drop of a message", &mut |_| drop(black_box(black_box(&message).clone())));
    time("decode", &mut |_| drop(black_box(decode(black_box(&bytes)))));
}
