//! What of an account or a session the audit trail compares: flat, so that before and after hold only what is different.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::charging::{Account, AccountState, BucketKind, MemberNo, Profile, Session, State, VoucherValue};
use crate::ids::{AccountId, SessionKey};
use crate::time::Timestamp;
use crate::units::Money;

/// Octets of each side of a change: what is longer is only counted.
const SIDE_OCTETS_MAX: usize = 16 << 10;

/// What is known of something that a command may change.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::store) struct Facts(BTreeMap<String, Value>);

impl Facts {
    /// Of an account; nothing if there is none.
    pub(in crate::store) fn of_account(state: &State, id: AccountId) -> Self {
        state.account(id).map(account).unwrap_or_default()
    }

    /// Of a running session.
    pub(in crate::store) fn of_session(state: &State, key: SessionKey) -> Self {
        // Operators' commands are few, and sessions of one partition are walked in no time.
        state.sessions().find(|session| session.key() == key).map(session).unwrap_or_default()
    }

    /// Of a batch of vouchers.
    pub(in crate::store) fn of_vouchers(state: &State, batch: &str) -> Self {
        let known = state.voucher_batches().find(|known| *known.batch.name == *batch);
        let facts = known.map(|known| {
            let value = match &known.batch.value {
                VoucherValue::Money(amount) => json!({ "money": amount.to_string() }),
                VoucherValue::Allowance(name) => json!({ "allowance": &**name }),
            };
            BTreeMap::from([
                ("value".to_owned(), value),
                ("valid_until".to_owned(), json!(known.batch.valid_until.to_string())),
                ("blocked".to_owned(), json!(known.blocked)),
            ])
        });
        Self(facts.unwrap_or_default())
    }

    /// What is different afterwards: as it was, and as it is.
    pub(in crate::store) fn changed_to(&self, after: &Self) -> (Box<str>, Box<str>) {
        (self.differing_from(after), after.differing_from(self))
    }

    fn differing_from(&self, other: &Self) -> Box<str> {
        let differing = self.0.iter().filter(|(name, value)| other.0.get(*name) != Some(value));
        let side: Map<String, Value> = differing.map(|(name, value)| (name.clone(), value.clone())).collect();
        let text = Value::Object(side).to_string();
        let text =
            if text.len() <= SIDE_OCTETS_MAX { text } else { json!({ "omitted_octets": text.len() }).to_string() };
        text.into()
    }
}

fn account(account: &Account) -> Facts {
    let state = match account.state {
        AccountState::Active => "active",
        AccountState::Stopped => "stopped",
        AccountState::Suspended => "suspended",
        AccountState::Terminated => "terminated",
    };
    let mut facts = BTreeMap::from([
        ("state".to_owned(), json!(state)),
        ("currency".to_owned(), json!(account.currency.code())),
        ("balance".to_owned(), json!(account.balance().to_string())),
        ("credit_limit".to_owned(), json!(account.credit_limit.to_string())),
        ("never_stop".to_owned(), json!(account.never_stop)),
        ("credit_stopped".to_owned(), json!(account.credit_stopped)),
    ]);
    for bucket in &account.buckets {
        let holds = match bucket.kind {
            BucketKind::Money => json!({ "money": Money::from_micros(bucket.amount).to_string() }),
            BucketKind::Units(kind) => json!({ "name": &*bucket.name, kind.name(): bucket.amount }),
        };
        if bucket.owner != MemberNo::SHARED || bucket.expires.is_some() {
            let terms = json!({ "member": bucket.owner.0, "expires": moment(bucket.expires) });
            facts.insert(format!("terms of bucket {}", bucket.id.0), terms);
        }
        facts.insert(format!("bucket {}", bucket.id.0), holds);
    }
    if let Some(profile) = &account.profile {
        add_profile(&mut facts, profile);
    }
    for subscriber in &account.subscribers {
        let identities: Vec<_> = subscriber.identities.iter().map(|identity| identity.text()).collect();
        facts.insert(format!("subscriber {}", subscriber.id), json!(identities));
    }
    Facts(facts)
}

fn add_profile(facts: &mut BTreeMap<String, Value>, profile: &Profile) {
    let life = &profile.life;
    facts.insert("plan".to_owned(), json!(profile.plan.as_deref()));
    facts.insert("cycle_day".to_owned(), json!(profile.cycle_day));
    facts.insert("activated".to_owned(), moment(life.activated));
    facts.insert("valid_until".to_owned(), moment(life.valid_until));
    facts.insert("lapsed".to_owned(), json!(life.lapsed));
    facts.insert("ends".to_owned(), moment(life.ends));
    for it in &profile.subscriptions {
        let told = json!({
            "product": &*it.product,
            "member": it.member.0,
            "starts": it.starts.to_string(),
            "renews": moment(it.renews),
            "ends": moment(it.ends),
            "becomes": it.becomes.as_deref(),
            "paused": it.paused,
        });
        facts.insert(format!("subscription {}", it.no), told);
    }
    for member in &profile.members {
        let limits: Vec<_> = member.limits.iter().map(|limit| format!("{limit:?}")).collect();
        let order = format!("{:?}", member.order);
        let told = json!({ "subscriber": &*member.subscriber, "order": order, "limits": limits });
        facts.insert(format!("member {}", member.no.0), told);
    }
    for transfer in &profile.transfers {
        let told = json!({ "to": transfer.to.0, "amount": transfer.amount.to_string() });
        facts.insert(format!("transfer {}", transfer.request_id), told);
    }
}

fn moment(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(at.to_string()))
}

fn session(session: &Session) -> Facts {
    Facts(BTreeMap::from([
        ("account".to_owned(), json!(session.account.0)),
        ("reauthorisation_pending".to_owned(), json!(session.reauthorise)),
        ("reauthorisation_group".to_owned(), json!(session.reauthorise_group)),
        ("abort_pending".to_owned(), json!(session.abort)),
    ]))
}
