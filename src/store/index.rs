//! Who is where: identities to accounts, Session-Ids to partitions. Derived from the partitions' states, rebuilt at start.

mod numbers;

use dashmap::{DashMap, Entry};

use self::numbers::Numbers;

use crate::ids::{AccountId, Identity, IdentityKind, PartitionId, SessionKey};

type Hasher = ahash::RandomState;

/// Identities to accounts. Digits are packed, so an entry of a telephone number takes 16 octets, room aside, and no allocation.
#[derive(Debug, Default)]
pub struct IdentityIndex {
    numbers: Numbers,
    texts: DashMap<(IdentityKind, Box<str>), AccountId, Hasher>,
}

/// What a list of identities names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// No account.
    Nobody,
    /// One account.
    Account(AccountId),
    /// Two: the request contradicts itself (spec C-162, I-14).
    Conflict(AccountId, AccountId),
}

impl IdentityIndex {
    /// The account that an identity belongs to.
    pub fn get(&self, identity: &Identity) -> Option<AccountId> {
        match identity {
            Identity::Packed(packed) => self.numbers.get(*packed),
            // A look-up by parts would save the copy; names are rare beside numbers.
            Identity::Text(kind, text) => self.texts.get(&(*kind, text.clone())).map(|entry| *entry),
        }
    }

    /// How many identities there are.
    pub fn len(&self) -> usize {
        self.numbers.len() + self.texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the identities of a request name; those that are not known do not matter.
    pub(super) fn resolve(&self, identities: &[Identity]) -> Named {
        let mut found = None;
        for account in identities.iter().filter_map(|identity| self.get(identity)) {
            match found {
                None => found = Some(account),
                Some(first) if first != account => return Named::Conflict(first, account),
                Some(_) => {}
            }
        }
        found.map_or(Named::Nobody, Named::Account)
    }

    /// Takes an identity for an account. `Ok(true)` = it was free, `Ok(false)` = it was this account's already.
    ///
    /// # Errors
    /// The account that it belongs to.
    pub(super) fn claim(&self, identity: &Identity, account: AccountId) -> Result<bool, AccountId> {
        match identity {
            Identity::Packed(packed) => self.numbers.claim(*packed, account),
            Identity::Text(kind, text) => match self.texts.entry((*kind, text.clone())) {
                Entry::Vacant(vacant) => {
                    vacant.insert(account);
                    Ok(true)
                }
                Entry::Occupied(owner) if *owner.get() == account => Ok(false),
                Entry::Occupied(owner) => Err(*owner.get()),
            },
        }
    }

    /// Makes room for about so many, before there are any.
    pub(super) fn reserve(&mut self, count: usize) {
        self.numbers.reserve(count);
    }

    /// Gives back a claim that came to nothing, or the identity of a subscriber that has left its account.
    pub(super) fn release(&self, identity: &Identity) {
        match identity {
            Identity::Packed(packed) => self.numbers.remove(*packed),
            Identity::Text(kind, text) => drop(self.texts.remove(&(*kind, text.clone()))),
        }
    }
}

/// Session-Ids of running sessions to partitions: a request of a session need not name its subscriber (spec C-164).
#[derive(Debug, Default)]
pub(super) struct SessionIndex(DashMap<SessionKey, PartitionId, Hasher>);

impl SessionIndex {
    pub(super) fn get(&self, key: SessionKey) -> Option<PartitionId> {
        self.0.get(&key).map(|entry| *entry)
    }

    pub(super) fn insert(&self, key: SessionKey, partition: PartitionId) {
        self.0.insert(key, partition);
    }

    /// Removes a session of this partition; one with the same Session-Id in another partition stays.
    pub(super) fn remove(&self, key: SessionKey, partition: PartitionId) {
        self.0.remove_if(&key, |_, known| *known == partition);
    }
}
