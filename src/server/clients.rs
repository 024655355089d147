//! The clients that one connection stands for: its peer alone, or all that a relay forwards for.

use std::{collections::HashMap, sync::Arc};

use super::{
    Shared,
    registry::{Commands, Route},
};
use crate::{config::ReauthoriseBy, mapping::ClientTraits};

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
}

#[derive(Debug)]
struct Client {
    traits: ClientTraits,
    /// `None`: the connection does not lead there, since it is being ended.
    route: Option<Arc<Route>>,
}

impl Clients {
    pub(super) fn new(commands: Commands) -> Self {
        Self { commands, direct: ClientTraits::default(), known: HashMap::default() }
    }

    /// The peer has introduced itself.
    pub(super) fn connected(&mut self, shared: &Shared, host: &str) {
        self.direct = self.traits_of(shared, host);
        self.request_from(shared, host, false);
    }

    /// A request of a client came: what is known of it. `open` = requests of ours may go this way from now on.
    pub(super) fn request_from(&mut self, shared: &Shared, host: &str, open: bool) -> ClientTraits {
        if let Some(client) = self.known.get_mut(host) {
            let is_way = |route: &Arc<Route>| route.used(self.commands.connection);
            if open && !client.route.as_ref().is_some_and(is_way) {
                client.route = Some(shared.registry.route(host, &self.commands));
            }
            return client.traits;
        }
        let traits = self.traits_of(shared, host);
        if self.known.len() < CLIENTS_MAX {
            let route = open.then(|| shared.registry.route(host, &self.commands));
            self.known.insert(host.into(), Client { traits, route });
        }
        traits
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
        shared.config.peer(host).map_or(self.direct, |profile| ClientTraits {
            ignores_reauthorisation: profile.reauthorise_by() == ReauthoriseBy::Validity,
            any_destination: profile.any_destination(),
        })
    }
}
