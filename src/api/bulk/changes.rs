//! The changes of a bulk change: from messages, what they weigh, who may make them, and in words.

use std::{collections::BTreeMap, mem::discriminant};

use tonic::Status;

use crate::{
    api::{
        Api,
        access::Caller,
        convert::{money, name},
        products::{number, when},
        status::{invalid, not_found},
        v1::{self, bulk_change::Change as Wire},
    },
    charging::{AccountState, BULK_CHANGES_MAX, Change, PlannedChange, VoucherValue, When},
    ids::AccountId,
    rating::Catalog,
    store::{BatchStatus, method_of},
    units::Money,
};

/// What was asked for, and what it weighs against the limits of approval.
pub(super) struct Planned {
    pub(super) changes: Vec<PlannedChange>,
    /// How many; of a batch of vouchers that are worth an allowance, each one counts.
    pub(super) weight: u64,
    /// The sum of the amounts, without their signs; vouchers of money count in full.
    pub(super) money: Money,
}

/// Whether a caller may make each of the changes by a single call. Of each kind one is asked for: there may be very many.
pub(super) fn allowed(caller: &Caller, changes: &[PlannedChange]) -> Result<(), Status> {
    let mut asked = Vec::new();
    for PlannedChange { change, .. } in changes {
        let kind = discriminant(change);
        if !asked.contains(&kind) {
            asked.push(kind);
            caller.may(&single_call(change))?;
        }
    }
    Ok(())
}

fn single_call(change: &Change) -> String {
    let service = match change {
        Change::Adjust(_) | Change::TopUp(_) | Change::GrantAllowance(_) => "BalanceService",
        Change::SetPlan(_) | Change::SetState(_) => "AccountService",
        Change::Buy(..) | Change::Cancel(..) => "ProductService",
        Change::UnblockVouchers(_) => "VoucherService",
    };
    format!("tollgate.v1.{service}/{}", method_of(change))
}

impl Api {
    /// Reads the changes.
    pub(super) fn planned(&self, wire: &[v1::BulkChange]) -> Result<Planned, Status> {
        if !(1..=BULK_CHANGES_MAX).contains(&wire.len()) {
            return Err(invalid("changes", format_args!("are {}, must be 1 to {BULK_CHANGES_MAX}", wire.len())));
        }
        let catalog = self.store.catalog();
        let has_batches = wire.iter().any(|change| matches!(change.change, Some(Wire::UnblockVouchers(_))));
        let batches = if has_batches { self.whole_batches() } else { Vec::new() };
        let batches = batches.into_iter().map(|status| (status.batch.name.to_string(), status)).collect();
        let mut planned = Planned { changes: Vec::with_capacity(wire.len()), weight: 0, money: Money::ZERO };
        for (index, change) in wire.iter().enumerate() {
            self.plan(&mut planned, &format!("changes[{index}]"), change, (&catalog, &batches))?;
        }
        Ok(planned)
    }

    fn plan(
        &self,
        planned: &mut Planned,
        field: &str,
        wire: &v1::BulkChange,
        (catalog, batches): (&Catalog, &BTreeMap<String, BatchStatus>),
    ) -> Result<(), Status> {
        let change = wire.change.as_ref().ok_or_else(|| invalid(field, "says nothing of what is to be done"))?;
        let change = read(field, change, catalog)?;
        let account = match &change {
            Change::UnblockVouchers(_) if wire.account.is_some() => {
                return Err(invalid(&format!("{field}.account"), "is not named where vouchers are unblocked"));
            }
            Change::UnblockVouchers(_) => AccountId(0),
            _ => self.resolve(&format!("{field}.account"), wire.account.as_ref())?,
        };
        if account != AccountId(0) && !self.store.has_account(account) {
            return Err(not_found(&format!("{field}.account"), format_args!("{account} does not exist")));
        }
        let (weight, money) = match &change {
            Change::Adjust(amount) | Change::TopUp(amount) => (1, without_sign(*amount)),
            Change::UnblockVouchers(batch) => {
                let status = batches.get(&**batch);
                let missing = || not_found(&format!("{field}.unblock_vouchers"), no_batch(batch));
                let status = status.ok_or_else(missing)?;
                let (vouchers, money) = worth(&status.batch.value, status.count);
                // It is one change itself.
                (vouchers.max(1), money)
            }
            _ => (1, Money::ZERO),
        };
        planned.weight = planned.weight.saturating_add(weight);
        planned.money = planned.money.saturating_add(money);
        planned.changes.push(PlannedChange { account, change });
        Ok(())
    }

    fn whole_batches(&self) -> Vec<BatchStatus> {
        let _alone = self.batches_alone();
        self.store.voucher_batches()
    }
}

/// What a batch of vouchers weighs: vouchers of an allowance, which have no price, are counted; those of money are summed.
pub(in crate::api) fn worth(value: &VoucherValue, count: u64) -> (u64, Money) {
    match value {
        VoucherValue::Money(each) => {
            let all = i128::from(each.micros()) * i128::from(count);
            (0, Money::from_micros(i64::try_from(all).unwrap_or(i64::MAX)))
        }
        VoucherValue::Allowance(_) => (count, Money::ZERO),
    }
}

/// An amount as limits count it.
pub(in crate::api) fn without_sign(amount: Money) -> Money {
    Money::from_micros(i64::try_from(amount.micros().unsigned_abs()).unwrap_or(i64::MAX))
}

fn no_batch(batch: &str) -> String {
    format!("there is no batch `{batch}`")
}

fn read(field: &str, change: &Wire, catalog: &Catalog) -> Result<Change, Status> {
    let there = |what: &str, value: &str, is_there: bool| {
        let field = format!("{field}.{what}");
        let value = name(&field, value)?;
        if is_there {
            Ok(Box::from(value))
        } else {
            Err(not_found(&field, format_args!("the catalog has no `{value}`")))
        }
    };
    let amount = |what: &str, wire: &v1::Money| {
        let field = format!("{field}.{what}");
        let (amount, currency) = money(&field, Some(wire))?;
        if currency != catalog.currency() {
            return Err(invalid(&format!("{field}.currency"), format_args!("is not {}", catalog.currency())));
        }
        if amount == Money::ZERO || without_sign(amount) > Money::MAX_INPUT {
            let why = format_args!("must not be zero, and at most {}", Money::MAX_INPUT);
            return Err(invalid(&format!("{field}.amount"), why));
        }
        Ok(amount)
    };
    let begin = |start: &Option<v1::Start>| when(start.as_ref()).map_err(|why| invalid(field, why.message()));
    Ok(match change {
        Wire::Adjust(wire) => Change::Adjust(amount("adjust", wire)?),
        Wire::TopUp(wire) => match amount("top_up", wire)? {
            amount if amount.is_positive() => Change::TopUp(amount),
            _ => return Err(invalid(&format!("{field}.top_up.amount"), "must be above zero")),
        },
        Wire::GrantAllowance(it) => {
            Change::GrantAllowance(there("grant_allowance", it, catalog.allowance(it).is_some())?)
        }
        Wire::SetPlan(plan) if plan.is_empty() => Change::SetPlan("".into()),
        Wire::SetPlan(plan) => Change::SetPlan(there("set_plan", plan, catalog.plan(plan).is_some())?),
        Wire::Buy(v1::BulkBuy { product, start }) => {
            Change::Buy(there("buy.product", product, catalog.product(product).is_some())?, begin(start)?)
        }
        Wire::Cancel(v1::BulkCancel { subscription, start }) => {
            let subscription = number(*subscription).map_err(|why| invalid(field, why.message()))?;
            Change::Cancel(subscription, begin(start)?)
        }
        Wire::SetState(state) => Change::SetState(match v1::AccountState::try_from(*state) {
            Ok(v1::AccountState::Active) => AccountState::Active,
            Ok(v1::AccountState::Suspended) => AccountState::Suspended,
            Ok(v1::AccountState::Terminated) => AccountState::Terminated,
            _ => return Err(invalid(&format!("{field}.set_state"), "must be ACTIVE, SUSPENDED or TERMINATED")),
        }),
        Wire::UnblockVouchers(batch) => {
            Change::UnblockVouchers(name(&format!("{field}.unblock_vouchers"), batch)?.into())
        }
    })
}

/// A change in words.
pub(super) fn told(change: &Change) -> String {
    let when = |when: &When| match when {
        When::Now => String::new(),
        When::At(at) => format!(" at {at}"),
        When::Next => " with the next period".to_owned(),
    };
    match change {
        Change::Adjust(amount) => format!("adjust {amount}"),
        Change::TopUp(amount) => format!("top up {amount}"),
        Change::GrantAllowance(name) => format!("grant allowance {name}"),
        Change::SetPlan(plan) if plan.is_empty() => "set no plan".to_owned(),
        Change::SetPlan(plan) => format!("set plan {plan}"),
        Change::Buy(product, start) => format!("buy {product}{}", when(start)),
        Change::Cancel(subscription, end) => format!("cancel subscription {subscription}{}", when(end)),
        Change::SetState(AccountState::Active) => "set state active".to_owned(),
        Change::SetState(AccountState::Stopped) => "set state stopped".to_owned(),
        Change::SetState(AccountState::Suspended) => "set state suspended".to_owned(),
        Change::SetState(AccountState::Terminated) => "set state terminated".to_owned(),
        Change::UnblockVouchers(batch) => format!("unblock vouchers {batch}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Approval;

    #[test]
    fn vouchers_of_money_weigh_by_their_money_alone() {
        let limits = Approval { changes: 0, money: Money::from_micros(100), ..Approval::default() };
        let needed = |value: VoucherValue, count| {
            let (weight, money) = worth(&value, count);
            limits.is_needed(weight, money)
        };
        let each = VoucherValue::Money(Money::from_micros(10));
        assert_eq!([needed(each.clone(), 10), needed(each, 11)], [false, true]);
        assert!(needed(VoucherValue::Allowance("sms".into()), 1));
        let all = VoucherValue::Money(Money::MAX_INPUT);
        assert_eq!(worth(&all, u64::MAX), (0, Money::from_micros(i64::MAX)));
    }
}
