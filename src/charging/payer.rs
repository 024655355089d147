//! Who pays for a member's usage of a shared account: which buckets it may use, and in which order.
//!
//! What is the member's own and what is shared are two groups, each in the order of the account's buckets; the member's
//! terms say which comes first, or that one of them is not used at all. What was used above a grant must be paid by
//! somebody: it goes to the main bucket whatever the terms are (spec C-20).

use super::{Account, Bucket, MemberNo, PayOrder};

/// On whose behalf a balance is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payer {
    member: MemberNo,
    order: PayOrder,
}

impl Payer {
    /// Nobody in particular: pays from what is shared.
    pub(super) const ANYBODY: Self = Self { member: MemberNo::SHARED, order: PayOrder::SharedOnly };

    /// A member, or whoever uses the account without terms of its own.
    pub(super) fn of(account: &Account, member: MemberNo) -> Self {
        let profile = account.profile.as_deref().filter(|_| member != MemberNo::SHARED);
        let known = profile.and_then(|profile| profile.member(member));
        known.map_or(Self::ANYBODY, |known| Self { member, order: known.order })
    }

    pub(super) fn member(self) -> MemberNo {
        self.member
    }

    /// Whose buckets are used, first those that are used first.
    pub(super) fn owners(self) -> [Option<MemberNo>; 2] {
        let (own, shared) = (Some(self.member), Some(MemberNo::SHARED));
        match self.order {
            PayOrder::OwnFirst => [own, shared],
            PayOrder::SharedFirst => [shared, own],
            PayOrder::OwnOnly => [own, None],
            PayOrder::SharedOnly => [shared, None],
        }
    }

    /// Whether it may use a bucket.
    pub(super) fn uses(self, bucket: &Bucket) -> bool {
        self.owners().contains(&Some(bucket.owner))
    }

    /// Whether what one of them gives back may be of use to the other.
    pub(super) fn shares_with(self, other: Self) -> bool {
        self.owners().iter().flatten().any(|owner| other.owners().contains(&Some(*owner)))
    }
}
