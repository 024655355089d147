//! Credit-control messages: CCR and CCA (RFC 8506 3, TS 32.299 6.4), to read and to write from either side.

mod announcement;
mod answer;
mod equipment;
mod final_unit;
pub mod glance;
mod group;
mod information;
mod overload;
mod parse_answer;
mod parse_request;
mod problems;
mod qos;
mod quota;
mod request;
mod service_answer;
pub mod service_information;
mod services;
mod unit_value;
mod units;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod failed_avps;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod requests;

pub use announcement::{Announcement, PlayAlternative, VariablePart, VariablePartType};
pub use answer::{AnswerExtras, CheckBalanceResult, CostInformation, CreditControlAnswer, FailureHandling};
pub use equipment::{AocRequestType, EquipmentKind, ServiceParameter, UserEquipment};
pub use final_unit::{FinalUnitAction, QosFinalUnit, RedirectAddressType, RedirectTarget};
pub use group::Few;
pub use information::{
    AnswerInformation, AocCost, AocInformation, AocService, AocSubscription, AocTariff, AocTariffs, ExperimentalResult,
    FurnishCharging, ImsAnswer, PsAnswer, RateElement, Redirection,
};
pub(super) use overload::offers_loss;
pub use overload::{OC_LOSS, OverloadReport, OverloadReportType, SupportedFeatures, append_overload};
pub use parse_answer::ReceivedAnswer;
pub use problems::Strictness;
pub use qos::{QosInformation, RetentionPriority};
pub use quota::{
    AfCorrelation, Envelope, EnvelopeReporting, Flows, PoolReference, ServiceSpecificInfo, TimeQuotaMechanism,
    TimeQuotaType,
};
pub use request::{CreditControlRequest, RequestType, SubscriptionId};
pub use service_answer::{ServiceAnswer, ServiceAnswerExtras};
pub use service_information::ServiceInformation;
pub use services::{MultipleServices, ServiceExtras};
pub use unit_value::{CcUnitType, UnitValue};
pub use units::{CcMoney, GrantedUnits, ServiceUnits, TariffChangeUsage, UsedUnits};
