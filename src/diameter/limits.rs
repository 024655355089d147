//! Bounds of what one message may hold, so that no peer decides how much work a message is.

use super::avp::AVP_DEPTH_MAX;

/// The bounds of a credit-control request. Each is a setting of `[diameter]` with the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Groups within groups, at most [`AVP_DEPTH_MAX`]; beyond it 5014 (spec B-33).
    pub avp_depth_max: usize,
    /// AVPs in all, members of groups included; the next one is answered 5009.
    pub avps_max: u32,
    /// Multiple-Services-Credit-Control; the next one is answered 5009.
    pub services_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // A CCR of 20 kB has about a thousand AVPs; gateways have some tens of rating groups, and each costs a decision.
        Self { avp_depth_max: AVP_DEPTH_MAX, avps_max: 4_096, services_max: 256 }
    }
}

/// A bound that a message has hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bound {
    /// [`Limits::avp_depth_max`].
    AvpDepth,
    /// [`Limits::avps_max`].
    Avps,
    /// [`Limits::services_max`].
    Services,
}

impl Bound {
    /// The name of its setting.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AvpDepth => "avp_depth_max",
            Self::Avps => "avps_max",
            Self::Services => "services_max",
        }
    }
}
