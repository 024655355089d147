//! What goes with a quota: pools, envelopes, the ways of consuming time (RFC 8506 8.30, TS 32.299 6.5, spec sections 8 and 9
//! of gy-ro-3gpp and 15 of credit-control).

use crate::{
    diameter::{
        avp::{Avp, Avps},
        dictionary::{self as d, AvpDef, key},
        writer::Writer,
    },
    time::Timestamp,
};

use super::{
    group::{Member, enumerated, group},
    unit_value::{CcUnitType, UnitValue},
};

/// G-S-U-Pool-Reference: this kind of unit of the quota draws from a pool (spec C-170).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolReference {
    /// G-S-U-Pool-Identifier.
    pub pool: u32,
    /// CC-Unit-Type: which of the granted units.
    pub unit: CcUnitType,
    /// Unit-Value: how many units of the pool one unit of the service is.
    pub multiplier: UnitValue,
}

/// All three members are required; a reference without one of them is none.
impl<'a> Member<'a> for PoolReference {
    fn read(group: &Avp<'a>) -> Option<Self> {
        let (mut pool, mut unit, mut multiplier) = (None, None, None);
        for avp in Avps::new(group.data).map_while(Result::ok) {
            match avp.key() {
                key::G_S_U_POOL_IDENTIFIER => pool = avp.u32().ok(),
                key::CC_UNIT_TYPE => unit = CcUnitType::read(&avp),
                key::UNIT_VALUE => multiplier = UnitValue::read(&avp),
                _ => {}
            }
        }
        Some(Self { pool: pool?, unit: unit?, multiplier: multiplier? })
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.group(def, |w| {
            w.u32(&d::G_S_U_POOL_IDENTIFIER, self.pool);
            self.unit.write(&d::CC_UNIT_TYPE, w);
            self.multiplier.write(&d::UNIT_VALUE, w);
        });
    }
}

enumerated! {
    /// Time-Quota-Type (TS 32.299 7.2.223, spec G-70).
    pub enum TimeQuotaType {
        /// Each interval is bought as a whole when traffic starts it.
        Discrete = 0,
        /// Intervals with traffic run on until one has none.
        Continuous = 1,
    }
}

/// Time-Quota-Mechanism: how time is consumed, instead of Quota-Consumption-Time (spec G-70).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeQuotaMechanism {
    /// Time-Quota-Type.
    pub kind: TimeQuotaType,
    /// Base-Time-Interval, seconds.
    pub interval_secs: u32,
}

impl<'a> Member<'a> for TimeQuotaMechanism {
    fn read(group: &Avp<'a>) -> Option<Self> {
        let (mut kind, mut interval) = (None, None);
        for avp in Avps::new(group.data).map_while(Result::ok) {
            match avp.key() {
                key::TIME_QUOTA_TYPE => kind = TimeQuotaType::read(&avp),
                key::BASE_TIME_INTERVAL => interval = avp.u32().ok(),
                _ => {}
            }
        }
        Some(Self { kind: kind?, interval_secs: interval? })
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.group(def, |w| {
            self.kind.write(&d::TIME_QUOTA_TYPE, w);
            w.u32(&d::BASE_TIME_INTERVAL, self.interval_secs);
        });
    }
}

enumerated! {
    /// Envelope-Reporting (TS 32.299 7.2.61, spec G-71).
    pub enum EnvelopeReporting {
        /// None; the default.
        None = 0,
        /// Envelopes.
        Envelopes = 1,
        /// With volume.
        WithVolume = 2,
        /// With events.
        WithEvents = 3,
        /// With both.
        WithVolumeAndEvents = 4,
    }
}

group! {
    /// Envelope: a stretch of time in which quota was consumed, for the record only (spec G-71, G-73).
    pub struct Envelope {
        /// Envelope-Start-Time.
        start: Option<Timestamp> = ENVELOPE_START_TIME,
        /// Envelope-End-Time; absent while it is open, and then it comes again.
        end: Option<Timestamp> = ENVELOPE_END_TIME,
        /// CC-Total-Octets since the start.
        total_octets: Option<u64> = CC_TOTAL_OCTETS,
        /// CC-Input-Octets since the start.
        input_octets: Option<u64> = CC_INPUT_OCTETS,
        /// CC-Output-Octets since the start.
        output_octets: Option<u64> = CC_OUTPUT_OCTETS,
        /// CC-Service-Specific-Units since the start.
        specific: Option<u64> = CC_SERVICE_SPECIFIC_UNITS,
    }
}

group! {
    /// Service-Specific-Info: what the parties agreed on (TS 32.299 7.2.190).
    pub struct ServiceSpecificInfo<'a> {
        /// Service-Specific-Type: what the data is.
        kind: Option<u32> = SERVICE_SPECIFIC_TYPE,
        /// Service-Specific-Data.
        data: Option<&'a str> = SERVICE_SPECIFIC_DATA,
    }
}

group! {
    /// AF-Correlation-Information: ties the usage to a session of an application, such as a call (spec G-97).
    pub struct AfCorrelation<'a> {
        /// AF-Charging-Identifier: the ICID of the call.
        charging_id: Option<&'a [u8]> = AF_CHARGING_IDENTIFIER,
        /// Flows.
        flows: Vec<Flows> = FLOWS,
    }
}

group! {
    /// Flows (TS 29.214): which flows of which medium.
    pub struct Flows {
        /// Media-Component-Number.
        medium: Option<u32> = MEDIA_COMPONENT_NUMBER,
        /// Flow-Number.
        numbers: Vec<u32> = FLOW_NUMBER,
    }
}
