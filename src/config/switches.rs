//! What can be set for each client: one table of switches, of which a profile is a set of values and an entry of
//! `diameter.peers` overrides some.

use serde::{Deserialize, Serialize};

use super::Profile;

/// Defines [`Switches`] and [`Overrides`] together, so that no switch can be in one of them only.
macro_rules! switches {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $generic:expr;)+) => {
        /// How a client is served where clients differ. The values of [`Profile::Generic`] are the default.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Switches {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($name: $generic,)+ }
            }
        }

        /// The switches that an entry of `diameter.peers` sets itself.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct Overrides {
            $($(#[doc = $doc])+ #[serde(default, skip_serializing_if = "Option::is_none")] pub $name: Option<$type>,)+
        }

        impl Overrides {
            /// The keys, as they are written.
            pub(super) const KEYS: &[&str] = &[$(stringify!($name),)+];

            /// Every switch, set to what it has there.
            #[cfg(test)]
            pub(super) fn all_of(switches: Switches) -> Self {
                Self { $($name: Some(switches.$name),)+ }
            }

            /// A profile's switches with these instead.
            pub(super) fn over(&self, profile: Switches) -> Switches {
                Switches { $($name: self.$name.unwrap_or(profile.$name),)+ }
            }
        }
    };
}

switches! {
    /// It is served whatever Destination-Host its requests name (spec B-132).
    any_destination: bool = false;
    /// It is served whatever Destination-Realm its requests name, as long as they come straight from it and name no other
    /// host (spec B-132, I-10).
    any_realm: bool = true;
    /// An update that reports usage asks for more, although it lacks Requested-Service-Unit (spec C-34).
    grant_without_request: bool = false;
    /// It may give money back without saying which debit it reverses (spec C-136).
    unlinked_refunds: bool = false;
    /// How its sessions are made to ask again after a top-up (spec C-100, I-15).
    reauthorise_by: ReauthoriseBy = ReauthoriseBy::Rar;
    /// A Re-Auth-Request names the rating group that it is about, not the whole session (spec C-100).
    narrow_reauthorisation: bool = false;
    /// A grant that reaches beyond a change of tariff says when that is; without it, the grant ends there (spec C-66).
    tariff_time_change: bool = true;
    /// A rating group that costs nothing is answered 4011 and not a grant (spec C-59, C-114).
    free_of_charge_4011: bool = false;
    /// It knows the final unit actions REDIRECT and RESTRICT_ACCESS; else it is told to end the service (spec C-80, I-15).
    redirect: bool = true;
    /// QoS-Final-Unit-Indication stands beside Final-Unit-Indication (spec C-89).
    qos_final_unit: bool = false;
    /// Grants carry thresholds (spec G-60, I-5).
    thresholds: bool = true;
    /// Which of several MSCCs of an answer it acts on.
    services_read: ServicesRead = ServicesRead::All;
    /// Answers to updates carry the cost so far (spec C-56).
    cost_information_in_updates: bool = false;
    /// Answers carry Remaining-Balance (spec G-81).
    remaining_balance: bool = false;
    /// Answers carry Low-Balance-Indication when the balance is low (spec G-80).
    low_balance_indication: bool = true;
    /// AoC-Request-Type is answered (spec G-85).
    advice_of_charge: bool = true;
    /// Answers carry the announcements that the catalog names (spec G-88).
    announcements: bool = false;
}

/// How a running session is made to ask again after a top-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReauthoriseBy {
    /// By a Re-Auth-Request.
    Rar,
    /// By a short Validity-Time in every grant that may have to be followed up: for clients that ignore RAR (I-15).
    Validity,
}

/// Which of several MSCCs of an answer a client acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServicesRead {
    /// Each, for its own rating group.
    All,
    /// The first.
    First,
    /// The last.
    Last,
}

impl Profile {
    /// The set of switches that this name stands for.
    pub fn switches(self) -> Switches {
        let generic = Switches::default();
        match self {
            Self::Generic | Self::Cisco | Self::Nokia | Self::Huawei => generic,
            // Answers RAR with 2001 and then does nothing; any final unit ends the session; knows no tariff change, and the
            // last MSCC wins (I-15, interop.md). It asks for advice of charge always and reads none (G- section 17).
            Self::Open5gs => Switches {
                reauthorise_by: ReauthoriseBy::Validity,
                tariff_time_change: false,
                redirect: false,
                services_read: ServicesRead::Last,
                low_balance_indication: false,
                advice_of_charge: false,
                ..generic
            },
            // Its session manager names its own federation gateway in the first request of a session. Of an MSCC it reads
            // result, grant, validity and final units, of the answer nothing more than its result.
            Self::Magma => Switches {
                any_destination: true,
                tariff_time_change: false,
                low_balance_indication: false,
                advice_of_charge: false,
                ..generic
            },
        }
    }
}
