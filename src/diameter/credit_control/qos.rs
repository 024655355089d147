//! QoS-Information (TS 29.212 5.3.16, spec G-35, G-91): of the bearer in PS-Information, of the group's usage in an MSCC.

use super::group::group;

group! {
    /// QoS-Information. Bit rates are in bit/s.
    pub struct QosInformation {
        /// QoS-Class-Identifier.
        class: Option<u32> = QOS_CLASS_IDENTIFIER,
        /// Max-Requested-Bandwidth-UL.
        max_up: Option<u32> = MAX_REQUESTED_BANDWIDTH_UL,
        /// Max-Requested-Bandwidth-DL.
        max_down: Option<u32> = MAX_REQUESTED_BANDWIDTH_DL,
        /// Guaranteed-Bitrate-UL.
        guaranteed_up: Option<u32> = GUARANTEED_BITRATE_UL,
        /// Guaranteed-Bitrate-DL.
        guaranteed_down: Option<u32> = GUARANTEED_BITRATE_DL,
        /// Allocation-Retention-Priority.
        priority: Option<RetentionPriority> = ALLOCATION_RETENTION_PRIORITY,
        /// APN-Aggregate-Max-Bitrate-UL.
        aggregate_up: Option<u32> = APN_AGGREGATE_MAX_BITRATE_UL,
        /// APN-Aggregate-Max-Bitrate-DL.
        aggregate_down: Option<u32> = APN_AGGREGATE_MAX_BITRATE_DL,
    }
}

group! {
    /// Allocation-Retention-Priority.
    pub struct RetentionPriority {
        /// Priority-Level: 1 is the highest.
        level: Option<u32> = PRIORITY_LEVEL,
        /// Pre-emption-Capability: 0 may push others out.
        capability: Option<u32> = PRE_EMPTION_CAPABILITY,
        /// Pre-emption-Vulnerability: 0 may be pushed out.
        vulnerability: Option<u32> = PRE_EMPTION_VULNERABILITY,
    }
}
