//! What is known of the client that a request comes from: how it is served where clients differ.

use crate::{diameter::credit_control::Strictness, rating::FailurePolicy};

/// A client's switches. Configured per peer (`config::Switches` says what each is for); what a request does not touch costs
/// nothing. The default is a client that keeps to the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTraits {
    /// What becomes of unknown AVPs with the M bit (spec B-24).
    pub strictness: Strictness,

    /// The Origin-State-Id that it told last; 0 = none (spec B-190).
    pub incarnation: u32,

    /// What it is told to do when it cannot reach us: by the catalog, for the service context of the request (spec C-154).
    pub failure: FailurePolicy,

    // How requests are understood.
    /// All that a price may depend on is read, also where none does: for usage records, which may be rated by other prices.
    pub all_conditions: bool,
    /// Its Destination-Host means nothing: it is served whatever stands there.
    pub any_destination: bool,
    /// Its Destination-Realm means nothing, where it is connected directly and names no other host (spec B-132, I-10).
    pub any_realm: bool,
    /// An update that reports usage asks for more, although it lacks Requested-Service-Unit (spec C-34).
    pub grant_without_request: bool,
    /// It may refund what is not linked to a debit (spec C-136); else 4010.
    pub unlinked_refunds: bool,

    // How sessions are re-authorised.
    /// It does not act on RAR: a short Validity-Time takes its place (spec I-15).
    pub ignores_reauthorisation: bool,
    /// RAR names the rating group that it is about (spec C-100); else the whole session is asked.
    pub narrow_reauthorisation: bool,

    // What answers hold.
    /// A grant may reach beyond a change of tariff and carries Tariff-Time-Change then (spec C-60..C-63); else its
    /// Validity-Time ends at the change (spec C-66).
    pub tariff_time_change: bool,
    /// 4011 in the MSCC of a rating group that costs nothing (spec C-59, C-114); else a grant without reservation.
    pub free_of_charge_4011: bool,
    /// It acts on the final unit actions REDIRECT and RESTRICT_ACCESS (spec C-80); else TERMINATE beside last units, and 4012
    /// where there are none.
    pub redirects: bool,
    /// QoS-Final-Unit-Indication beside Final-Unit-Indication (spec C-89).
    pub qos_final_unit: bool,
    /// Volume-, Time- and Unit-Quota-Threshold (spec G-60, I-5).
    pub thresholds: bool,
    /// Which of several MSCCs of an answer it acts on (interop.md). A dual quota (spec C-63) needs `All`.
    pub services_read: ServicesRead,
    /// Cost-Information in answers to updates (spec C-56); in final and event answers it is always.
    pub cost_information_in_updates: bool,
    /// Remaining-Balance (spec G-81).
    pub remaining_balance: bool,
    /// Low-Balance-Indication (spec G-80).
    pub low_balance_indication: bool,
    /// AoC-Request-Type is answered (spec G-85).
    pub advice_of_charge: bool,
    /// Announcement-Information (spec G-88).
    pub announcements: bool,
}

/// Which of several MSCCs of an answer a client acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServicesRead {
    /// Each, for its own rating group.
    #[default]
    All,
    /// The first.
    First,
    /// The last.
    Last,
}

impl Default for ClientTraits {
    fn default() -> Self {
        Self {
            strictness: Strictness::Tolerant,
            incarnation: 0,
            failure: FailurePolicy::default(),
            all_conditions: false,
            any_destination: false,
            any_realm: true,
            grant_without_request: false,
            unlinked_refunds: false,
            ignores_reauthorisation: false,
            narrow_reauthorisation: false,
            tariff_time_change: true,
            free_of_charge_4011: false,
            redirects: true,
            qos_final_unit: false,
            thresholds: true,
            services_read: ServicesRead::All,
            cost_information_in_updates: false,
            remaining_balance: false,
            low_balance_indication: true,
            advice_of_charge: true,
            announcements: false,
        }
    }
}
