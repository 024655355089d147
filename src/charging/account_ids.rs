//! The ids of all accounts of a partition in order, so that a list can go on where its last page ended without a look at
//! every account. Eight octets each: an ordered tree would take twice that, for something that is seldom asked for.

use crate::ids::AccountId;

/// Ids of accounts. They are put in order when somebody wants to see them so; accounts are never removed.
#[derive(Debug)]
pub(super) struct AccountIds {
    ids: Vec<AccountId>,
    in_order: bool,
}

impl Default for AccountIds {
    fn default() -> Self {
        Self { ids: Vec::new(), in_order: true }
    }
}

impl AccountIds {
    pub(super) fn push(&mut self, id: AccountId) {
        self.in_order &= self.ids.last().is_none_or(|last| *last < id);
        self.ids.push(id);
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Ids above `after`, in order, at most `limit`.
    pub(super) fn after(&mut self, after: AccountId, limit: usize) -> &[AccountId] {
        if !self.in_order {
            // All that was in order before is one run, which this sort finds and keeps.
            self.ids.sort();
            self.in_order = true;
        }
        let start = self.ids.partition_point(|id| *id <= after);
        let rest = self.ids.get(start..).unwrap_or_default();
        rest.get(..limit).unwrap_or(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_in_order_whenever_they_were_added() {
        let mut ids = AccountIds::default();
        let of = |found: &[AccountId]| found.iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(of(ids.after(AccountId(0), 5)), [0u64; 0]);
        [5, 9, 2].into_iter().for_each(|id| ids.push(AccountId(id)));
        assert_eq!(of(ids.after(AccountId(0), 2)), [2, 5]);
        assert_eq!(of(ids.after(AccountId(5), 2)), [9]);
        [7, 1].into_iter().for_each(|id| ids.push(AccountId(id)));
        assert_eq!(of(ids.after(AccountId(2), 9)), [5, 7, 9]);
        assert_eq!(of(ids.after(AccountId(9), 9)), [0u64; 0]);
        assert_eq!(ids.len(), 5);
    }
}
