//! Service-Information of an answer: advice of charge, and what the gateway is told for its own purposes (spec G-82, G-84
//! to G-87).

use std::sync::Arc;

use crate::time::Timestamp;

use super::{
    group::group,
    unit_value::{CcUnitType, UnitValue},
};

group! {
    /// Service-Information as a server sends it.
    pub struct AnswerInformation {
        /// AoC-Information.
        aoc: Option<AocInformation> = AOC_INFORMATION,
        /// PS-Information.
        ps: Option<PsAnswer> = PS_INFORMATION,
        /// IMS-Information.
        ims: Option<ImsAnswer> = IMS_INFORMATION,
    }
}

group! {
    /// PS-Information of an answer.
    pub struct PsAnswer {
        /// PS-Furnish-Charging-Information.
        furnish: Option<FurnishCharging> = PS_FURNISH_CHARGING_INFORMATION,
        /// Unused-Quota-Timer, seconds: session wide.
        unused_quota_timer: Option<u32> = UNUSED_QUOTA_TIMER,
    }
}

group! {
    /// PS-Furnish-Charging-Information: text for the gateway's own records (spec G-84).
    pub struct FurnishCharging {
        /// 3GPP-Charging-Id of the session; required.
        charging_id: Option<u32> = TGPP_CHARGING_ID,
        /// PS-Free-Format-Data.
        data: Option<Vec<u8>> = PS_FREE_FORMAT_DATA,
        /// PS-Append-Free-Format-Data: 0 append, 1 or absent overwrite.
        append: Option<u32> = PS_APPEND_FREE_FORMAT_DATA,
    }
}

group! {
    /// IMS-Information of an answer.
    pub struct ImsAnswer {
        /// Account-Expiration: when the account ends (spec G-82).
        account_expiration: Option<Timestamp> = ACCOUNT_EXPIRATION,
    }
}

group! {
    /// AoC-Information (TS 32.299 7.2.14, spec G-85).
    pub struct AocInformation {
        /// AoC-Cost-Information.
        cost: Option<AocCost> = AOC_COST_INFORMATION,
        /// Tariff-Information.
        tariff: Option<AocTariffs> = TARIFF_INFORMATION,
        /// AoC-Subscription-Information.
        subscription: Option<AocSubscription> = AOC_SUBSCRIPTION_INFORMATION,
    }
}

group! {
    /// AoC-Cost-Information: what it has cost.
    pub struct AocCost {
        /// Accumulated-Cost: since the beginning.
        accumulated: Option<UnitValue> = ACCUMULATED_COST,
        /// Incremental-Cost: since the last time.
        incremental: Vec<UnitValue> = INCREMENTAL_COST,
        /// Currency-Code.
        currency: Option<u32> = CURRENCY_CODE,
    }
}

group! {
    /// Tariff-Information: what it costs.
    pub struct AocTariffs {
        /// Current-Tariff.
        current: Option<AocTariff> = CURRENT_TARIFF,
        /// Tariff-Time-Change.
        change: Option<Timestamp> = TARIFF_TIME_CHANGE,
        /// Next-Tariff: after the change.
        next: Option<AocTariff> = NEXT_TARIFF,
    }
}

group! {
    /// Current-Tariff or Next-Tariff: the price is the scale times the sum of the elements (spec G-86).
    pub struct AocTariff {
        /// Currency-Code.
        currency: Option<u32> = CURRENCY_CODE,
        /// Scale-Factor; 1 when absent.
        scale: Option<UnitValue> = SCALE_FACTOR,
        /// Rate-Element.
        elements: Vec<RateElement> = RATE_ELEMENT,
    }
}

group! {
    /// Rate-Element: `cost` for each `size` of `unit`; a fixed fee when the unit is money (spec G-86).
    pub struct RateElement {
        /// CC-Unit-Type.
        unit: Option<CcUnitType> = CC_UNIT_TYPE,
        /// Charge-Reason-Code: 0 unknown, 1 usage, 2 attempt, 3 set-up, 4 add-on.
        reason: Option<u32> = CHARGE_REASON_CODE,
        /// Unit-Value.
        size: Option<UnitValue> = UNIT_VALUE,
        /// Unit-Cost.
        cost: Option<UnitValue> = UNIT_COST,
        /// Unit-Quota-Threshold: how many units this element lasts before the next applies.
        lasts: Option<u32> = UNIT_QUOTA_THRESHOLD,
    }
}

group! {
    /// AoC-Subscription-Information: what the user has subscribed to.
    pub struct AocSubscription {
        /// AoC-Service.
        services: Vec<AocService> = AOC_SERVICE,
        /// AoC-Format: 0 monetary, 1 not, 2 CAI.
        format: Option<u32> = AOC_FORMAT,
        /// Preferred-AoC-Currency.
        currency: Option<u32> = PREFERRED_AOC_CURRENCY,
    }
}

group! {
    /// AoC-Service.
    pub struct AocService {
        /// AoC-Service-Obligatory-Type: 1 binding.
        binding: Option<bool> = AOC_SERVICE_OBLIGATORY_TYPE,
        /// AoC-Service-Type: 0 none, 1 at set-up, 2 during, 3 at the end.
        kind: Option<u32> = AOC_SERVICE_TYPE,
    }
}

group! {
    /// Where else to go (RFC 6733 6.12..6.14, spec B-137).
    pub struct Redirection {
        /// Redirect-Host.
        hosts: Vec<Arc<str>> = REDIRECT_HOST,
        /// Redirect-Host-Usage; absent is 0, do not cache.
        usage: Option<u32> = REDIRECT_HOST_USAGE,
        /// Redirect-Max-Cache-Time, seconds; needed when the usage is not 0.
        max_cache_secs: Option<u32> = REDIRECT_MAX_CACHE_TIME,
    }
}

group! {
    /// Experimental-Result: a vendor's code beside Result-Code (RFC 6733 7.6).
    pub struct ExperimentalResult {
        /// Vendor-Id.
        vendor: Option<u32> = VENDOR_ID,
        /// Experimental-Result-Code.
        code: Option<u32> = EXPERIMENTAL_RESULT_CODE,
    }
}
