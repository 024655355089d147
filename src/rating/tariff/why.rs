//! Why a tariff applied, in words: its conditions.

use super::{Conditions, Network, Prefixes, Tariff};
use crate::rating::{
    calendar::{Days, Hours},
    compile::tariffs::{ACCESS, MESSAGE_TYPES, ROLES},
};

/// Prefixes of one tariff that are shown.
const SHOWN_MAX: usize = 5;
const DAYS: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holidays"];

impl Tariff {
    /// When it applies, as the catalog says: `20:00 to 06:00 on mon, tue, holidays; roaming`.
    pub fn why(&self) -> String {
        let Conditions { hours, access, networks, areas, cells, apns, called, roles, message_types, size } =
            &self.conditions;
        let mut parts = Vec::new();
        parts.extend(hours.as_ref().map(hours_text));
        let mut listed = |what: &str, list: Vec<String>| {
            if !list.is_empty() {
                parts.push(format!("{what}{}", shown(list)));
            }
        };
        listed("", networks.iter().map(network).collect());
        listed("access ", access.iter().map(|it| word(ACCESS, *it)).collect());
        listed("area ", areas.iter().map(ToString::to_string).collect());
        listed("cell ", cells.iter().map(ToString::to_string).collect());
        listed("access point ", apns.iter().map(ToString::to_string).collect());
        listed("numbers that begin with ", called.iter().map(prefixes).collect());
        listed("", roles.iter().map(|it| word(ROLES, *it)).collect());
        listed("messages of type ", message_types.iter().map(|it| word(MESSAGE_TYPES, *it)).collect());
        match size {
            Some((least, u64::MAX)) => parts.push(format!("messages from {least} octets on")),
            Some((least, most)) => parts.push(format!("messages of {least} to {most} octets")),
            None => {}
        }
        parts.join("; ")
    }
}

fn hours_text(hours: &Hours) -> String {
    let time = |second: u32| format!("{:02}:{:02}", second / 3_600, second / 60 % 60);
    let all_day = hours.from == 0 && hours.to == crate::rating::calendar::DAY_SECS;
    let window = if all_day { "all day".to_owned() } else { format!("{} to {}", time(hours.from), time(hours.to)) };
    if hours.days == Days::ALL {
        return window;
    }
    let on = DAYS.iter().enumerate().filter(|(bit, _)| hours.days.0 >> bit & 1 == 1).map(|(_, day)| *day);
    format!("{window} on {}", on.collect::<Vec<_>>().join(", "))
}

fn network(network: &Network) -> String {
    match network {
        Network::Is(digits) => format!("network {digits}"),
        Network::Begins(digits) => format!("networks that begin with {digits}"),
        Network::Zone(zone) => format!("networks of {}", prefixes(zone)),
        Network::Home(_) => "in a network of our own".into(),
        Network::Roaming(_) => "roaming".into(),
    }
}

fn prefixes(Prefixes(all, zone): &Prefixes) -> String {
    match zone {
        Some(zone) => format!("zone {zone}"),
        None => shown(all.iter().map(ToString::to_string).collect()),
    }
}

fn shown(list: Vec<String>) -> String {
    let more = list.len().saturating_sub(SHOWN_MAX);
    let text = list.into_iter().take(SHOWN_MAX).collect::<Vec<_>>().join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

fn word<T: PartialEq + std::fmt::Debug>(words: &[(&str, T)], value: T) -> String {
    let known = words.iter().find(|(_, it)| *it == value);
    known.map_or_else(|| format!("{value:?}"), |(word, _)| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use crate::rating::Catalog;

    #[test]
    fn conditions_are_told_as_the_catalog_says_them() {
        let text = "currency = \"EUR\"\nhome_networks = [\"26201\"]\nholidays = [\"2026-01-01\"]\n\
                    [zones]\nuk = [\"44\"]\n\
                    [[context]]\nname = \"c\"\nservice_context_id = \"32251@3gpp.org\"\n\
                    [[service]]\nname = \"s\"\ncontext = \"c\"\nrating_group = 1\nprice = \"1\"\nper = \"1 s\"\n\
                    [[tariff]]\nservice = \"s\"\nname = \"night\"\nfrom = \"22:00\"\nto = \"06:30\"\ndays = [\"fri\", \"holiday\"]\nprice = \"0\"\nper = \"1 s\"\n\
                    [[tariff]]\nservice = \"s\"\nname = \"away\"\nserving_network = \"roaming\"\naccess = [\"UTRAN\"]\nprice = \"0\"\nper = \"1 s\"\n\
                    [[tariff]]\nservice = \"s\"\nname = \"abroad\"\ncalled = [\"zone:uk\", \"1\"]\nprice = \"0\"\nper = \"1 s\"\n";
        let catalog = Catalog::from_toml(text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let why = |name: &str| catalog.service_by_name("s").unwrap().tariff_by_name(name).unwrap().why();
        assert_eq!(why("night"), "22:00 to 06:30 on fri, holidays");
        assert_eq!(why("away"), "roaming; access UTRAN");
        assert_eq!(why("abroad"), "numbers that begin with zone uk, 1");
    }
}
