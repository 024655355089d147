//! What a price may depend on, as a part of a usage record.

use serde::{Deserialize, Serialize};

use crate::rating::{Attributes, Role};

/// The conditions of a use, as far as the client told them; what it did not tell is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionsLine {
    /// 3GPP-RAT-Type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub access: Option<u8>,
    /// MCC and MNC of the serving network.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serving_network: Option<String>,
    /// Location or tracking area code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub area: Option<u32>,
    /// Cell identity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cell: Option<u64>,
    /// Access point name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub apn: Option<String>,
    /// The other party's number, international.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other_party: Option<String>,
    /// `originating`, `terminating`, `forwarding`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    /// SM-Message-Type or Message-Type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message_type: Option<u32>,
    /// Octets of a message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// Offset of the user's local time from UTC, minutes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_zone: Option<i16>,
    /// An emergency session.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub emergency: bool,
}

const ROLES: [(Role, &str); 3] =
    [(Role::Originating, "originating"), (Role::Terminating, "terminating"), (Role::Forwarding, "forwarding")];

impl From<&Attributes> for ConditionsLine {
    fn from(told: &Attributes) -> Self {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(ToOwned::to_owned);
        let role = |role: Role| ROLES.iter().find(|(known, _)| *known == role).map(|(_, name)| (*name).to_owned());
        Self {
            access: told.access,
            serving_network: text(&told.serving_network),
            area: told.area,
            cell: told.cell,
            apn: text(&told.apn),
            other_party: text(&told.other_party),
            role: told.role.and_then(role),
            message_type: told.message_type,
            size: told.size,
            time_zone: told.time_zone,
            emergency: told.emergency,
        }
    }
}

impl From<&ConditionsLine> for Attributes {
    fn from(line: &ConditionsLine) -> Self {
        let role = |name: &String| ROLES.iter().find(|(_, known)| known == name).map(|(role, _)| *role);
        Self {
            access: line.access,
            serving_network: line.serving_network.as_deref().map(Into::into),
            area: line.area,
            cell: line.cell,
            apn: line.apn.as_deref().map(Into::into),
            other_party: line.other_party.as_deref().map(Into::into),
            role: line.role.as_ref().and_then(role),
            message_type: line.message_type,
            size: line.size,
            time_zone: line.time_zone,
            emergency: line.emergency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_comes_back_whole() {
        for role in [None, Some(Role::Originating), Some(Role::Terminating), Some(Role::Forwarding)] {
            let told = Attributes {
                access: Some(6),
                serving_network: Some("46000".into()),
                area: Some(7),
                cell: Some(8),
                apn: Some("internet".into()),
                other_party: Some("8613900000001".into()),
                role,
                message_type: Some(1),
                size: Some(140),
                time_zone: Some(-480),
                emergency: role.is_none(),
            };
            assert_eq!(Attributes::from(&ConditionsLine::from(&told)), told);
        }
        assert_eq!(serde_json::to_string(&ConditionsLine::from(&Attributes::default())).unwrap(), "{}");
    }
}
