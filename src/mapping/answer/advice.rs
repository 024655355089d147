//! Advice of charge in the words of TS 32.299 (spec G-85, G-86).

use super::quota::unit_type;
use crate::{
    charging::{Advice, TariffAdvice},
    diameter::credit_control::{
        AnswerInformation, AocCost, AocInformation, AocTariff, AocTariffs, CcMoney, CcUnitType, RateElement, UnitValue,
    },
    units::Money,
};

/// Charge-Reason-Code: usage.
const USAGE: u32 = 1;
/// Charge-Reason-Code: set-up.
const SET_UP: u32 = 3;

/// Service-Information of an answer whose accumulated cost is `cost`.
pub(super) fn information(advice: &Advice, cost: Money, currency: Option<u32>) -> AnswerInformation {
    let costs = advice.incremental.map(|incremental| AocCost {
        accumulated: Some(value(cost)),
        incremental: vec![value(incremental)],
        currency,
    });
    let tariff = advice.tariff.map(|tariff| AocTariffs {
        current: Some(told(tariff, currency)),
        change: advice.next.map(|(at, _)| at),
        next: advice.next.map(|(_, tariff)| told(tariff, currency)),
    });
    AnswerInformation {
        aoc: Some(AocInformation { cost: costs, tariff, subscription: None }),
        ..AnswerInformation::default()
    }
}

/// "Unit-Cost per Unit-Value of CC-Unit-Type", and a fee where there is one.
fn told(tariff: TariffAdvice, currency: Option<u32>) -> AocTariff {
    let TariffAdvice { kind, units, digits, scale, setup } = tariff;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let usage = RateElement {
        unit: Some(unit_type(kind)),
        reason: Some(USAGE),
        size: Some(UnitValue::whole(whole(units))),
        cost: Some(UnitValue { digits: whole(digits), exponent: -i32::from(scale) }),
        lasts: None,
    };
    let fee = setup.is_positive().then(|| RateElement {
        unit: Some(CcUnitType::Money),
        reason: Some(SET_UP),
        cost: Some(value(setup)),
        ..RateElement::default()
    });
    AocTariff { currency, scale: None, elements: fee.into_iter().chain([usage]).collect() }
}

fn value(money: Money) -> UnitValue {
    let CcMoney { digits, exponent, .. } = CcMoney::from_money(money, None);
    UnitValue { digits, exponent }
}
