//! Requests from the network as the charging core answers them: all that the server does between the socket and the disk.

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use tollgate::{
    charging::{
        AccountSpec, Answer, Answered, Command, Event, Outcome, RequestKind, Retention, State, Subscriber,
        SubscriberSpec, Verdict, decide,
    },
    diameter::{
        CreditControlAnswer, CreditControlRequest, Frame, ResultCode,
        base::BaseMessage,
        credit_control::Strictness,
        error::write_error_answer,
        frame::{MESSAGE_MAX_DEFAULT, split},
    },
    ids::{AccountId, Identity, IdentityKind, PartitionId},
    journal::{DurableMark, MemoryDisk, Pending, Position, snapshot::PartitionHeader},
    mapping::{self, ClientTraits},
    store::Store,
    time::Timestamp,
    units::Money,
};

use super::{
    ANSWER_MORE_MAX, ANSWER_PER_REQUEST_MAX, CATALOG, MESSAGES_MAX, files::chunks_of, local, open, well_formed,
};

/// Accounts of a [`World`]: number i has MSISDN 8613900000000 + i - 1 and IMSI 460000000000000 + i - 1, like the demo's.
pub(crate) const ACCOUNTS: u64 = 4;

/// A state and what has happened in it.
pub(crate) struct World {
    state: State,
    now: Timestamp,
    pub(crate) events: Vec<Event>,
}

impl World {
    /// As a checkpoint: all of it is in one chunk.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let header = PartitionHeader { partition: PartitionId(0), partitions: 1, position: 7 };
        chunks_of(&self.state, &header).concat()
    }

    /// With the accounts: one rich, one poor, one empty, one without a limit.
    pub(crate) fn new() -> Self {
        let retention = Retention::default();
        let mut world = Self { state: State::new(retention), now: Timestamp::from_secs(1_000_000), events: Vec::new() };
        for (account, micros) in (1..=ACCOUNTS).zip([100_000_000, 100_000, 0, i64::MAX / 4]) {
            let id = AccountId(account);
            world.execute(&Command::CreateAccount(AccountSpec {
                id,
                currency: CATALOG.currency(),
                balance: Money::from_micros(micros),
                credit_limit: Money::ZERO,
                never_stop: account == 3,
                allowances: Vec::new(),
            }));
            let subscriber = Subscriber { id: "1".into(), identities: identities(account).into() };
            world.execute(&Command::CreateSubscriber(SubscriberSpec { account: id, subscriber }));
        }
        world
    }

    fn execute(&mut self, command: &Command<'_>) -> Answered {
        let decided = decide(&self.state, &CATALOG, command, self.now);
        if let Some(event) = decided.event {
            self.state.apply(&event);
            self.events.push(event);
        }
        if let Err(violation) = self.state.check() {
            panic!("after {command:?}: {violation}");
        }
        let currency = decided.account.and_then(|id| self.state.account(id)).map(|account| account.currency);
        let answer = match decided.outcome {
            Outcome::Answer(answer) => answer,
            _ => Arc::new(Answer::bare(RequestKind::Event, 0, Verdict::UnableToComply)),
        };
        Answered { answer, currency, repeated: decided.repeated, refund: None }
    }

    /// The one account that these identities name.
    fn account(&self, named: &[Identity]) -> Option<AccountId> {
        let mut found = (1..=ACCOUNTS).filter(|account| identities(*account).iter().any(|id| named.contains(id)));
        let first = found.next()?;
        found.next().is_none().then_some(AccountId(first))
    }

    /// Serves a CCR as the server does, between the socket and the journal.
    pub(crate) fn serve(&mut self, frame: &Frame) -> Vec<u8> {
        // Time goes on as the input says.
        self.now = self.now.plus_secs(u64::from(frame.header().end_to_end % 4_000));
        for no in self.state.due(self.now, usize::MAX) {
            self.execute(&Command::ExpireSession(no));
        }
        let mut out = Vec::new();
        let refuse = |error, out: &mut Vec<u8>| write_error_answer(out, frame, &local(), &error);
        let ccr = match CreditControlRequest::parse(frame, Strictness::Tolerant) {
            Ok(ccr) => ccr,
            Err(error) => {
                refuse(error, &mut out);
                return out;
            }
        };
        let client =
            ClientTraits { ignores_reauthorisation: frame.header().hop_by_hop % 2 == 1, ..ClientTraits::default() };
        let charge = match mapping::charge(&ccr, &CATALOG, client) {
            Ok(charge) => charge,
            Err(error) => {
                refuse(error, &mut out);
                return out;
            }
        };
        let (named, charge) = charge.split();
        let (kind, number) = (charge.kind(), charge.number());
        let account = self.account(&named);
        let answered = self.execute(&charge.into_command(account));
        assert_eq!((answered.answer.kind, answered.answer.number), (kind, number));
        let Ok(durable) = DURABLE.0.admit(Pending::new(answered, Position::ZERO)) else {
            panic!("what waits for nothing is durable");
        };
        mapping::encode_answer(&durable, frame, client, &local(), &mut out);
        out
    }
}

fn identities(account: u64) -> Vec<Identity> {
    [(IdentityKind::E164, 8_613_900_000_000 + account - 1), (IdentityKind::Imsi, 460_000_000_000_000 + account - 1)]
        .into_iter()
        .filter_map(|(kind, number)| Identity::new(kind, &number.to_string()).ok())
        .collect()
}

/// Messages one after the other are charged: each is answered, with its own ids and no more than it may ask for; money is
/// neither made nor lost; and the events say it all.
pub(crate) fn session(octets: &[u8]) {
    let mut world = World::new();
    let mut buffer = BytesMut::from(octets);
    for _ in 0..MESSAGES_MAX {
        let Ok(Some(frame)) = split(&mut buffer, MESSAGE_MAX_DEFAULT) else { break };
        if !frame.header().flags.is_request() {
            continue;
        }
        let out = world.serve(&frame);
        let answer = well_formed(&out);
        let (asked, answered) = (frame.header(), answer.header());
        assert!(!answered.flags.is_request() && answered.command == asked.command);
        assert_eq!((answered.hop_by_hop, answered.end_to_end), (asked.hop_by_hop, asked.end_to_end));
        assert!(out.len() <= ANSWER_PER_REQUEST_MAX * frame.as_bytes().len() + ANSWER_MORE_MAX, "{}", out.len());
        let result = BaseMessage::parse(&answer).expect("an answer can be read").result_code;
        let Ok(received) = CreditControlAnswer::parse(&answer) else {
            // It repeats what was wrong with the request, such as a type that there is not.
            assert!(result.is_some_and(|result| !result.is_success()));
            continue;
        };
        for service in &received.answer.services {
            let granted = service.granted.is_some();
            assert_eq!(granted, service.result_code == Some(ResultCode::SUCCESS), "2001 has a grant (spec I-2)");
            assert_ne!(service.validity_time, Some(0));
        }
    }
    assert_eq!(world.state.discrepancy(), 0);
    let mut replayed = State::new(Retention::default());
    world.events.iter().for_each(|event| replayed.apply(event));
    // Looking for what is due tidies up.
    let _ = replayed.due(world.now, 0);
    if let Err(difference) = world.state.same_as(&replayed) {
        panic!("{difference}");
    }
}

/// A journal's mark, so that answers can be encoded.
static DURABLE: LazyLock<(DurableMark, Store<MemoryDisk>)> = LazyLock::new(|| {
    let store = open(MemoryDisk::new()).expect("an empty disk is a new store");
    (store.mark().clone(), store)
});
