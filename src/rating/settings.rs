//! What a catalog says once for all its services.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{calendar::Holidays, dial_plan::DialPlan, tariff::Network};

/// What a catalog says beside what it sells.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) dial_plan: DialPlan,
    pub(super) event_past_secs: u64,
    pub(super) event_future_secs: u64,
    pub(super) indeterminate: Indeterminate,
    pub(super) validity_jitter_secs: u32,
    /// The operator's clock, if nothing else is said.
    pub(super) time_zone: TimeZone,
    /// Days that are not what day of the week they fall on.
    pub(super) holidays: Holidays,
    pub(super) home_networks: Arc<[Network]>,
    /// What numbers of visitor registers begin with, and whose they are (spec G-141).
    pub(super) visited_networks: Vec<(Box<str>, Box<str>)>,
}

/// What requests of a context are read for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ContextSettings {
    /// For names that tell nothing.
    pub(super) domain: Option<Domain>,
    /// A price depends on what Service-Information tells.
    pub(super) priced_by_attributes: bool,
    /// There may be calls, and emergencies among them.
    pub(super) calls: bool,
}

/// A domain of services, each with a group of its own in Service-Information (spec G-28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Packet data.
    Ps,
    /// IMS calls and events, with supplementary services.
    Ims,
    /// Short messages.
    Sms,
    /// Multimedia messages.
    Mms,
    /// Circuit-switched calls through a proxy.
    Vcs,
}

impl Domain {
    /// By the five digits of a specification (spec G-28).
    pub(super) fn of_specification(number: [u8; 5]) -> Option<Self> {
        match &number {
            b"32251" | b"32255" => Some(Self::Ps),
            b"32260" | b"32275" => Some(Self::Ims),
            b"32274" => Some(Self::Sms),
            b"32270" => Some(Self::Mms),
            b"32276" => Some(Self::Vcs),
            _ => None,
        }
    }

    /// Whether emergency calls may be among its sessions (spec G-104).
    pub(super) fn has_calls(self) -> bool {
        matches!(self, Self::Ims | Self::Vcs)
    }
}

/// How usage is rated that lies on an unknown side of a change of tariff (Tariff-Change-Usage 2, spec C-62).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Indeterminate {
    /// By the one that costs more.
    #[default]
    Dearer,
    /// By the one before the change.
    Before,
    /// By the one after it.
    After,
}
