//! The clients that one connection stands for: its peer alone, or all that a relay forwards for.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    Shared,
    registry::{Commands, Route},
};
use crate::{
    config::{self, ReauthoriseBy},
    diameter::credit_control::Strictness,
    mapping::{ClientTraits, FailurePolicy, ServicesRead},
    telemetry::names,
};

/// Origin-Hosts that one connection is remembered as the way to: a relay stands for many clients.
const CLIENTS_MAX: usize = 10_000;

/// What is known of those whose requests come over one connection, so that a request pays for one look-up only.
#[derive(Debug)]
pub(super) struct Clients {
    commands: Commands,
    /// The connected peer's: for clients behind it that are not configured.
    direct: ClientTraits,
    /// By Origin-Host as received.
    known: HashMap<Box<str>, Client, ahash::RandomState>,
    /// The connected peer's Origin-Host, and the Origin-State-Id that it told when it opened the connection, 0 if none.
    told: (Box<str>, u32),
}

#[derive(Debug)]
struct Client {
    traits: ClientTraits,
    /// `None`: the connection does not lead there, since it is being ended.
    route: Option<Arc<Route>>,
    /// The Origin-State-Id that it told last, over whatever connection.
    incarnation: Arc<AtomicU32>,
    /// The one that it told when it opened this connection, 0 if none: what comes over it is of that incarnation, also when
    /// another connection has told of a later one since.
    told_here: u32,
}

impl Clients {
    pub(super) fn new(commands: Commands) -> Self {
        Self { commands, direct: ClientTraits::default(), known: HashMap::default(), told: Default::default() }
    }

    /// The peer has introduced itself.
    pub(super) fn connected(&mut self, shared: &Shared, host: &str, state_id: u32) {
        self.direct = self.traits_of(shared, host);
        let client = self.request_from(shared, host, false);
        restarted(shared, host, client, state_id);
        self.told = (host.into(), state_id);
        if let Some(client) = self.known.get_mut(host) {
            client.told_here = state_id;
        }
    }

    /// A request came: what is known of the client that it names as its origin; of the connected peer, if it names none.
    pub(super) fn sender(&mut self, shared: &Shared, host: Option<&str>, open: bool) -> ClientTraits {
        host.map_or(self.direct, |host| self.request_from(shared, host, open))
    }

    /// A request of a client came: what is known of it. `open` = requests of ours may go this way from now on.
    pub(super) fn request_from(&mut self, shared: &Shared, host: &str, open: bool) -> ClientTraits {
        if let Some(client) = self.known.get_mut(host) {
            let incarnation = match client.told_here {
                0 => client.incarnation.load(Ordering::Relaxed),
                told => told,
            };
            let is_way = |route: &Arc<Route>| route.used(self.commands.connection);
            if open && !client.route.as_ref().is_some_and(is_way) {
                client.route = Some(shared.registry.route(host, &self.commands));
            }
            return ClientTraits { incarnation, ..client.traits };
        }
        let traits = self.traits_of(shared, host);
        let told = shared.store.incarnation(host);
        // The peer again, in other letters (RFC 6733 4.3.1).
        let told_here = if self.told.0.eq_ignore_ascii_case(host) { self.told.1 } else { 0 };
        let incarnation = if told_here == 0 { told.load(Ordering::Relaxed) } else { told_here };
        if self.known.len() < CLIENTS_MAX {
            let route = open.then(|| shared.registry.route(host, &self.commands));
            self.known.insert(host.into(), Client { traits, route, incarnation: told, told_here });
        }
        ClientTraits { incarnation, ..traits }
    }

    /// No request of ours goes this way any more, or for now (spec B-167, B-172).
    pub(super) fn leave(&mut self, shared: &Shared) {
        for (host, client) in &mut self.known {
            if client.route.take().is_some() {
                shared.registry.forget(host, self.commands.connection);
            }
        }
    }

    /// Requests of ours may go this way (again).
    pub(super) fn enter(&mut self, shared: &Shared) {
        for (host, client) in &mut self.known {
            client.route = Some(shared.registry.route(host, &self.commands));
        }
    }

    /// A client's own profile, also behind a relay; that of the connected peer if it has none.
    fn traits_of(&self, shared: &Shared, host: &str) -> ClientTraits {
        traits_of(&shared.config, host).unwrap_or_else(|| of_a_stranger(self.direct))
    }
}

/// A client without an entry is served like the peer that it comes by, but whoever may give money back is named (spec C-136).
const fn of_a_stranger(by: ClientTraits) -> ClientTraits {
    ClientTraits { unlinked_refunds: false, ..by }
}

/// Takes in the Origin-State-Id that a client tells: if it has grown, the client has restarted and lost its sessions (spec
/// B-191). Returns what is known of the client from now on.
pub(super) fn restarted(shared: &Shared, host: &str, client: ClientTraits, state_id: u32) -> ClientTraits {
    if state_id <= client.incarnation {
        return client;
    }
    let known = shared.store.incarnation(host).load(Ordering::Relaxed);
    if state_id > known {
        shared.store.client_state(host, state_id);
    }
    if state_id > known && known > 0 {
        metrics::counter!(names::CLIENT_RESTARTS).increment(1);
        tracing::info!(client = host, "the client has restarted: the sessions that it has left behind will be closed");
    }
    ClientTraits { incarnation: state_id, ..client }
}

/// How a client is served, from its entry in the configuration.
pub(super) fn traits_of(config: &config::Diameter, host: &str) -> Option<ClientTraits> {
    let peer = config.peer(host)?;
    let switches = peer.switches();
    let strict = peer.strict_mandatory_avps.unwrap_or(config.strict_mandatory_avps);
    Some(ClientTraits {
        all_conditions: false,
        strictness: if strict { Strictness::Strict } else { Strictness::Tolerant },
        incarnation: 0,
        failure: FailurePolicy::default(),
        any_destination: switches.any_destination,
        any_realm: switches.any_realm,
        grant_without_request: switches.grant_without_request,
        unlinked_refunds: switches.unlinked_refunds,
        ignores_reauthorisation: switches.reauthorise_by == ReauthoriseBy::Validity,
        narrow_reauthorisation: switches.narrow_reauthorisation,
        tariff_time_change: switches.tariff_time_change,
        free_of_charge_4011: switches.free_of_charge_4011,
        redirects: switches.redirect,
        qos_final_unit: switches.qos_final_unit,
        thresholds: switches.thresholds,
        services_read: match switches.services_read {
            config::ServicesRead::All => ServicesRead::All,
            config::ServicesRead::First => ServicesRead::First,
            config::ServicesRead::Last => ServicesRead::Last,
        },
        cost_information_in_updates: switches.cost_information_in_updates,
        remaining_balance: switches.remaining_balance,
        low_balance_indication: switches.low_balance_indication,
        advice_of_charge: switches.advice_of_charge,
        announcements: switches.announcements,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment, Peer};

    fn diameter(text: &str) -> config::Diameter {
        let no_variables: &dyn Environment = &[] as &[(&str, &str); 0];
        Config::parse(text, None, no_variables).unwrap().diameter
    }

    #[test]
    fn a_peer_of_which_nothing_is_said_keeps_to_the_standard() {
        let config = config::Diameter { peers: vec![Peer::generic("a.example")], ..config::Diameter::default() };
        assert_eq!(traits_of(&config, "a.example"), Some(ClientTraits::default()));
        assert_eq!(traits_of(&config, "b.example"), None);
    }

    // tests: C-136
    #[test]
    fn a_client_that_nobody_has_named_gives_no_money_back_whatever_its_relay_may() {
        let relay = ClientTraits { unlinked_refunds: true, any_destination: true, ..ClientTraits::default() };
        let stranger = of_a_stranger(relay);
        assert!(!stranger.unlinked_refunds);
        assert_eq!(ClientTraits { unlinked_refunds: true, ..stranger }, relay);
    }

    #[test]
    fn a_profile_is_a_set_of_switches_and_an_entry_overrides_some() {
        let config = diameter(
            "[diameter]\nstrict_mandatory_avps = true\npeers = [{ origin_host = \"smf.example\", profile = \"open5gs\", \
             strict_mandatory_avps = false, remaining_balance = true }, { origin_host = \"agw.example\", profile = \
             \"magma\" }]\n",
        );
        let smf = traits_of(&config, "smf.example").unwrap();
        let expected = ClientTraits {
            ignores_reauthorisation: true,
            tariff_time_change: false,
            redirects: false,
            services_read: ServicesRead::Last,
            low_balance_indication: false,
            advice_of_charge: false,
            remaining_balance: true,
            ..ClientTraits::default()
        };
        assert_eq!(smf, expected);
        let agw = traits_of(&config, "agw.example").unwrap();
        let expected = ClientTraits {
            strictness: Strictness::Strict,
            any_destination: true,
            tariff_time_change: false,
            low_balance_indication: false,
            advice_of_charge: false,
            ..ClientTraits::default()
        };
        assert_eq!(agw, expected);
    }
}
