//! What a change of balance means for the account's life: credit stop, reconnect, thresholds (design section 6).

use super::{Account, AccountState, BucketKind, Notice, NoticeKind, quota::Ledger};
use crate::{
    rating::{Catalog, ThresholdKind},
    time::Timestamp,
    units::Money,
};

/// Whether nothing is left that could pay: money at or below zero (or the credit limit) and no units in any allowance.
pub(super) fn is_exhausted(account: &Account, ledger: &Ledger<'_>) -> bool {
    ledger.balance().saturating_add(account.credit_limit) <= Money::ZERO && !ledger.has_units()
}

/// The notices that a debit causes. `before` is the account as it is, `ledger` as it will be.
pub(super) fn notices_of_debit(
    before: &Account,
    ledger: &Ledger<'_>,
    catalog: &Catalog,
    now: Timestamp,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    let (old, balance) = (before.balance(), ledger.balance());
    let mut tell = |kind| notices.push(Notice { account: before.id, at: now, balance, kind });
    for threshold in catalog.thresholds() {
        match threshold.kind {
            ThresholdKind::Money(limit) => {
                if old > limit && balance <= limit {
                    tell(NoticeKind::Threshold { name: threshold.name.clone(), bucket: None });
                }
            }
            ThresholdKind::AllowancePercent(percent) => {
                for bucket in before.buckets.iter().filter(|bucket| bucket.kind != BucketKind::Money) {
                    let reached = |left: i64| {
                        let used = i128::from(bucket.initial) - i128::from(left);
                        used * 100 >= i128::from(bucket.initial) * i128::from(percent)
                    };
                    let after = ledger.amount(bucket.id).unwrap_or(bucket.amount);
                    if !reached(bucket.amount) && reached(after) {
                        tell(NoticeKind::Threshold { name: threshold.name.clone(), bucket: Some(bucket.id) });
                    }
                }
            }
        }
    }
    if before.never_stop {
        return notices;
    }
    let floor = -before.credit_limit;
    if balance < floor && balance < old {
        let excess = floor.min(old).saturating_sub(balance);
        tell(NoticeKind::Overdraft { excess });
    }
    if !before.credit_stopped && before.state != AccountState::Terminated && is_exhausted(before, ledger) {
        tell(NoticeKind::CreditStop);
    }
    notices
}
