//! Packet data (TS 32.251, and TS 32.255 alike): where the user is and how connected.

use crate::{
    diameter::{
        CreditControlRequest,
        credit_control::service_information::{Area, Cell},
    },
    rating::Attributes,
};

/// From PS-Information, or the AVPs that old clients put at command level (spec G-91..G-95).
pub(super) fn attributes(request: &CreditControlRequest<'_>) -> Option<Attributes> {
    let ps = request.ps_information()?;
    let area = ps.location.and_then(|location| location.area).map(|area| match area {
        Area::Lac(lac) | Area::Rac(lac, _) => u32::from(lac),
        Area::Tac(tac) => tac,
    });
    let cell = ps.location.and_then(|location| location.cell).map(|cell| match cell {
        Cell::Ci(cell) | Cell::Sac(cell) => u64::from(cell),
        Cell::Eci(cell) => u64::from(cell),
        Cell::Nci(cell) => cell,
    });
    Some(Attributes {
        access: ps.rat_type,
        serving_network: ps.serving_network().map(|network| network.as_str().into()),
        area,
        cell,
        apn: ps.apn().map(Into::into),
        // At most fourteen hours.
        time_zone: ps.time_zone.and_then(|zone| i16::try_from(zone.offset_minutes()).ok()),
        ..Attributes::default()
    })
}
