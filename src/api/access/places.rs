//! Connections at a time: of all, and of one address, so that no stranger takes the places of everyone.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::refusals::site;

/// Connections at a time: provisioning, care and shops have a few each, and an idle one costs some kilobytes.
pub(super) const CONNECTIONS_MAX: usize = 1_024;
/// Connections of one address (of IPv6: of one site) at a time: a whole farm of clients may be behind one.
pub(super) const CONNECTIONS_PER_ADDRESS_MAX: usize = 256;

/// The places that are taken. Clones are the same places.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_site: HashMap<IpAddr, usize>,
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    site: IpAddr,
}

impl Places {
    /// Takes a place for a connection from an address; `None` = there is none left for it.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let site = site(address);
        let mut taken = self.taken();
        let of_site = taken.by_site.get(&site).copied().unwrap_or_default();
        if taken.all >= CONNECTIONS_MAX || of_site >= CONNECTIONS_PER_ADDRESS_MAX {
            return None;
        }
        taken.all += 1;
        taken.by_site.insert(site, of_site + 1);
        drop(taken);
        Some(Place { places: self.clone(), site })
    }

    /// Nothing that panics is done while it is held.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        match taken.by_site.get_mut(&self.site) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.by_site.remove(&self.site)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(site: usize, host: usize) -> IpAddr {
        format!("2001:db8:0:{site:x}::{host:x}").parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let places = Places::default();
        let mut held: Vec<_> = (0..CONNECTIONS_PER_ADDRESS_MAX).map(|host| places.take(ip(1, host)).unwrap()).collect();
        assert!(places.take(ip(1, 0)).is_none());
        assert!(places.take(ip(2, 0)).is_some());
        // What is given back may be taken again.
        held.pop();
        assert!(places.take(ip(1, 7)).is_some());
    }

    #[test]
    fn all_together_have_so_many_places_and_leave_nothing_behind() {
        let places = Places::default();
        let held: Vec<_> = (0..CONNECTIONS_MAX).map(|site| places.take(ip(site, 1)).unwrap()).collect();
        assert!(places.take(ip(CONNECTIONS_MAX, 1)).is_none());
        drop(held);
        let taken = places.taken();
        assert_eq!((taken.all, taken.by_site.len()), (0, 0));
    }
}
