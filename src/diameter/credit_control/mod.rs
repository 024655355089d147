//! Credit-control messages: CCR and CCA (RFC 8506 3, TS 32.299 6.4), to read and to write from either side.

mod answer;
pub mod glance;
mod parse_answer;
mod parse_request;
mod problems;
mod request;
mod services;
mod units;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod refusals;

pub use answer::{
    CheckBalanceResult, CostInformation, CreditControlAnswer, FailureHandling, FinalUnitAction, RedirectAddressType,
    ServiceAnswer,
};
pub use parse_answer::ReceivedAnswer;
pub use problems::Strictness;
pub use request::{CreditControlRequest, RequestType, SubscriptionId};
pub use services::MultipleServices;
pub use units::{CcMoney, GrantedUnits, ServiceUnits, TariffChangeUsage, UsedUnits};
