//! What an entry of `diameter.peers` must not say: combinations under which a client would be served for nothing, would take
//! a refusal for a grant, or would never hear of a top-up. What each kind of client does is in its own sources.

use super::{Diameter, Peer, Profile, ReauthoriseBy, ServicesRead};

/// The key that breaks a rule, and the end of a sentence that begins with the peer's name.
pub(super) type BrokenRule = (&'static str, &'static str);

impl Peer {
    /// Every rule that this entry breaks, given the rest of its section.
    pub(super) fn broken_rules(&self, diameter: &Diameter) -> Vec<BrokenRule> {
        let switches = self.switches();
        let (open5gs, cisco) = (self.profile == Profile::Open5gs, self.profile == Profile::Cisco);
        let rules: [(bool, BrokenRule); 8] = [
            // I-15.
            (
                open5gs && switches.reauthorise_by == ReauthoriseBy::Rar,
                (
                    "reauthorise_by",
                    "Open5GS answers a Re-Auth-Request and then does nothing, so its sessions would never hear of a \
                     top-up: write `reauthorise_by = \"validity\"`",
                ),
            ),
            // I-15, C-80.
            (
                open5gs && switches.redirect,
                (
                    "redirect",
                    "Open5GS acts on no redirection, so a user without credit would be let through with a grant of zero: \
                     write `redirect = false`",
                ),
            ),
            // I-2, I-4, C-114.
            (
                (open5gs || cisco) && switches.free_of_charge_4011,
                (
                    "free_of_charge_4011",
                    "this client takes 4011 in an MSCC for a failure, and has no grant to count by: write \
                     `free_of_charge_4011 = false`, and what is free is granted",
                ),
            ),
            // I-2: of several MSCCs Open5GS keeps the last.
            (
                open5gs && switches.services_read != ServicesRead::Last,
                (
                    "services_read",
                    "Open5GS acts on the last MSCC of an answer only, so a refusal before a grant would be lost: write \
                     `services_read = \"last\"`",
                ),
            ),
            // C-66.
            (
                (open5gs || self.profile == Profile::Magma) && switches.tariff_time_change,
                (
                    "tariff_time_change",
                    "this client splits no usage at a change of tariff, so that what follows it would be charged at the \
                     price before it: write `tariff_time_change = false`",
                ),
            ),
            // C-60, C-63: a second MSCC for the time after the change would not be seen, and grant nothing.
            (
                !open5gs && switches.tariff_time_change && switches.services_read != ServicesRead::All,
                (
                    "services_read",
                    "a client that acts on one MSCC only cannot be told of units before and after a change of tariff: \
                     write `tariff_time_change = false` too",
                ),
            ),
            // I-10.
            (
                open5gs && !switches.any_realm && !diameter.serves_realm_of(&self.origin_host),
                (
                    "any_realm",
                    "Open5GS sends its own realm as Destination-Realm, so every request would be refused (3003): write \
                     `any_realm = true`, or name that realm in `realms`",
                ),
            ),
            // C-136.
            (
                switches.unlinked_refunds && self.origin_host.starts_with("*."),
                (
                    "unlinked_refunds",
                    "whoever may give money back is named: write an entry for each host, not a pattern",
                ),
            ),
        ];
        rules.into_iter().filter(|(broken, _)| *broken).map(|(_, rule)| rule).collect()
    }
}

impl Diameter {
    /// Whether a realm that is served here is one that a host lies in.
    fn serves_realm_of(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let within = |realm: &String| host.strip_suffix(&realm.to_ascii_lowercase()).is_some_and(|l| l.ends_with('.'));
        within(&self.origin_realm) || self.realms.iter().any(within)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, Overrides, Profile};

    const NO_VARIABLES: [(&str, &str); 0] = [];

    fn checked(realms: &str, entry: &str) -> Result<Config, String> {
        let text = format!("[diameter]\nrealms = [{realms}]\n\n[[diameter.peers]]\n{entry}\n");
        Config::parse(&text, Some(Path::new("t.toml")), &NO_VARIABLES).map_err(|error| error.to_string())
    }

    // tests: I-2, I-4, I-10, I-15, C-66, C-114, C-136
    #[test]
    fn what_would_serve_for_nothing_is_refused_with_its_place() {
        let open5gs = "origin_host = \"smf.example\"\nprofile = \"open5gs\"\n";
        let cisco = "origin_host = \"pgw.example\"\nprofile = \"cisco\"\n";
        let magma = "origin_host = \"agw.example\"\nprofile = \"magma\"\n";
        let nokia = "origin_host = \"pgw.example\"\nprofile = \"nokia\"\n";
        let pattern = "origin_host = \"*.mms.example\"\n";
        for (entry, line, switch, right) in [
            (open5gs, 7, "reauthorise_by = \"rar\"", "`reauthorise_by = \"validity\"`"),
            (open5gs, 7, "redirect = true", "`redirect = false`"),
            (open5gs, 7, "free_of_charge_4011 = true", "`free_of_charge_4011 = false`"),
            (cisco, 7, "free_of_charge_4011 = true", "`free_of_charge_4011 = false`"),
            (open5gs, 7, "services_read = \"all\"", "`services_read = \"last\"`"),
            (open5gs, 7, "services_read = \"first\"", "`services_read = \"last\"`"),
            (open5gs, 7, "tariff_time_change = true", "`tariff_time_change = false`"),
            (magma, 7, "tariff_time_change = true", "`tariff_time_change = false`"),
            (nokia, 7, "services_read = \"first\"", "`tariff_time_change = false`"),
            (open5gs, 7, "any_realm = false", "`any_realm = true`"),
            (pattern, 6, "unlinked_refunds = true", "an entry for each host"),
        ] {
            let report = checked("", &format!("{entry}{switch}")).expect_err(switch);
            assert!(report.starts_with(&format!("t.toml:{line}:1: peer `")), "{report}");
            assert!(report.contains(right) && report.lines().count() == 1, "{report}");
        }
    }

    #[test]
    fn what_is_safe_is_not_refused() {
        for (realms, entry) in [
            ("", "origin_host = \"pgw.example\"\nfree_of_charge_4011 = true\nunlinked_refunds = true"),
            ("", "origin_host = \"as.example\"\nservices_read = \"first\"\ntariff_time_change = false"),
            (
                "",
                "origin_host = \"smf.example\"\nprofile = \"open5gs\"\nreauthorise_by = \"validity\"\nredirect = false",
            ),
            ("\"EPC.example\"", "origin_host = \"smf.epc.example\"\nprofile = \"open5gs\"\nany_realm = false"),
        ] {
            assert_eq!(checked(realms, entry).err(), None, "{entry}");
        }
        let profiles =
            [Profile::Generic, Profile::Open5gs, Profile::Magma, Profile::Cisco, Profile::Nokia, Profile::Huawei];
        for profile in profiles {
            let peer = crate::config::Peer { profile, ..crate::config::Peer::generic("a.example") };
            assert_eq!(peer.broken_rules(&Config::default().diameter), [], "{profile:?}");
            assert_eq!(peer.overrides, Overrides::default());
        }
    }
}
