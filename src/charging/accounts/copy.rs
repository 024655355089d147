//! The accounts of a partition as they were at a moment. Taken under its lock in the time that it takes to copy octets, and looked
//! at without it.

use super::{
    super::Account,
    resting::{Packed, Room, Shared},
};
use crate::ids::AccountId;

/// Accounts as they were when the copy was taken.
#[derive(Debug)]
pub struct AccountsCopy {
    shared: Shared,
    /// In the order in which they came, and where the octets of each end; those of one that was awake are none.
    places: Vec<(AccountId, usize)>,
    octets: Vec<u8>,
    awake: Vec<Account>,
}

impl AccountsCopy {
    pub(super) fn new(shared: &Shared, accounts: usize) -> Self {
        let places = Vec::with_capacity(accounts);
        Self { shared: shared.copy(), places, octets: Vec::new(), awake: Vec::new() }
    }

    pub(super) fn awake(&mut self, account: &Account) {
        self.places.push((account.id, self.octets.len()));
        self.awake.push(account.clone());
    }

    pub(super) fn resting(&mut self, id: AccountId, packed: &Packed) {
        self.octets.extend_from_slice(packed.octets());
        self.places.push((id, self.octets.len()));
    }

    /// Looks at all, in the order in which they came, until something is wrong.
    ///
    /// # Errors
    /// Those of `look`.
    pub fn try_for_each<E>(&self, mut look: impl FnMut(&Account) -> Result<(), E>) -> Result<(), E> {
        let (mut start, mut awake, mut room) = (0, self.awake.iter(), Room::default());
        for (id, end) in &self.places {
            match self.octets.get(start..*end).filter(|octets| !octets.is_empty()) {
                None => awake.next().map_or(Ok(()), &mut look)?,
                Some(octets) => {
                    let mut account = self.shared.unpack(*id, octets, room);
                    look(&account)?;
                    room = Room::of(&mut account);
                }
            }
            start = *end;
        }
        Ok(())
    }
}
