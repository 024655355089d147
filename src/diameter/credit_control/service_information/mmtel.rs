//! MMTel-Information (TS 32.299 7.2.118, TS 32.275, spec G-105): supplementary services of a call.

use super::super::group::group;

group! {
    /// MMTel-Information.
    pub struct MmtelInformation<'a> {
        /// Supplementary-Service.
        services: Vec<SupplementaryService<'a>> = SUPPLEMENTARY_SERVICE,
    }
}

group! {
    /// Supplementary-Service.
    pub struct SupplementaryService<'a> {
        /// MMTel-SService-Type, see [`supplementary_service`].
        kind: Option<u32> = MMTEL_SSERVICE_TYPE,
        /// Service-Mode: the kind of diversion, barring and so on.
        mode: Option<u32> = SERVICE_MODE,
        /// Number-Of-Diversions.
        diversions: Option<u32> = NUMBER_OF_DIVERSIONS,
        /// Associated-Party-Address: who diverted the call, or who joined the conference.
        associated_party: Option<&'a str> = ASSOCIATED_PARTY_ADDRESS,
        /// Participant-Action-Type.
        participant_action: Option<u32> = PARTICIPANT_ACTION_TYPE,
        /// Number-Of-Participants.
        participants: Option<u32> = NUMBER_OF_PARTICIPANTS,
        /// CUG-Information.
        closed_group: Option<&'a [u8]> = CUG_INFORMATION,
    }
}

/// Values of MMTel-SService-Type (TS 32.299 7.2.119) that change who pays.
pub mod supplementary_service {
    /// The call is diverted: paid by the diverting party (spec G-105).
    pub const DIVERSION: u32 = 6;
    /// A conference.
    pub const CONFERENCE: u32 = 10;
    /// The call is handed over to a third party.
    pub const TRANSFER: u32 = 19;
}

impl MmtelInformation<'_> {
    /// Whether the call was diverted.
    pub fn is_diverted(&self) -> bool {
        self.services.iter().any(|service| service.kind == Some(supplementary_service::DIVERSION))
    }
}
