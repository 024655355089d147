//! How often an address was refused: so that nobody tries tokens until one fits, and nobody fills logs and the audit trail
//! with refusals. Time is passed in.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Wrong credentials that an address may show in one window; after that its credentials are not looked at until the window
/// ends. A person who mistypes has enough; one who guesses 32 octets has not.
pub(super) const WRONG_MAX: u32 = 10;
/// Refusals of one address in one window that are written down; further ones are only counted. Those of known callers have
/// their own count, so that a stranger's noise hides none of them.
pub(super) const TOLD_MAX: u32 = 100;
/// How long a window is; it begins with the first refusal.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered. Beyond it the one that was first refused the longest ago is forgotten.
pub(super) const ADDRESSES_MAX: usize = 10_000;
/// Bits of an IPv6 address that stand for one site, which may use all addresses below.
const SITE_BITS: u32 = 64;

/// What is remembered of the refusals of the last minute.
#[derive(Debug, Default)]
pub(super) struct Refusals(HashMap<IpAddr, Window>);

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    of_strangers: u32,
    of_callers: u32,
    wrong: u32,
}

/// Who was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A known caller.
    Caller,
    /// Nobody that is known.
    Stranger,
    /// Nobody that is known, with credentials that may have been guessed.
    Guesser,
}

/// How much is written down of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// All of it.
    Yes,
    /// All of it, and that it is the last for a while.
    Last,
    /// Nothing: it is counted.
    No,
}

impl Refusals {
    /// For how long the credentials of an address are not looked at.
    pub(super) fn blocked(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let window = self.0.get(&site(address)).filter(|window| window.lasts(now) && window.wrong >= WRONG_MAX)?;
        Some(WINDOW.saturating_sub(now.saturating_duration_since(window.began)))
    }

    /// Somebody at an address was refused.
    pub(super) fn refused(&mut self, address: IpAddr, who: Who, now: Instant) -> Told {
        let site = site(address);
        if !self.0.contains_key(&site) && self.0.len() >= ADDRESSES_MAX {
            self.make_room(now);
        }
        let fresh = Window { began: now, of_strangers: 0, of_callers: 0, wrong: 0 };
        let window = self.0.entry(site).or_insert(fresh);
        if !window.lasts(now) {
            *window = fresh;
        }
        window.wrong = window.wrong.saturating_add(u32::from(who == Who::Guesser));
        let count = if who == Who::Caller { &mut window.of_callers } else { &mut window.of_strangers };
        *count = count.saturating_add(1);
        match *count {
            ..TOLD_MAX => Told::Yes,
            TOLD_MAX => Told::Last,
            _ => Told::No,
        }
    }

    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, window| window.lasts(now));
        if self.0.len() >= ADDRESSES_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, window)| window.began).map(|(site, _)| *site)
        {
            self.0.remove(&oldest);
        }
    }
}

impl Window {
    fn lasts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) < WINDOW
    }
}

/// What counts as one address.
pub(super) fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - SITE_BITS))).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_shows_too_many_wrong_credentials_waits_for_the_windows_end() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let (guesser, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for number in 0..WRONG_MAX {
            let now = start + Duration::from_secs(number.into());
            assert_eq!(refusals.blocked(guesser, now), None, "{number}");
            refusals.refused(guesser, Who::Guesser, now);
        }
        let late = start + Duration::from_secs(20);
        assert_eq!(refusals.blocked(guesser, late), Some(Duration::from_secs(40)));
        assert_eq!(refusals.blocked(other, late), None);
        assert_eq!(refusals.blocked(guesser, start + WINDOW), None);
        // A new window begins with nothing.
        refusals.refused(guesser, Who::Guesser, start + WINDOW);
        assert_eq!(refusals.blocked(guesser, start + WINDOW), None);
    }

    #[test]
    fn who_is_refused_for_other_reasons_is_not_blocked() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for _ in 0..10 * WRONG_MAX {
            refusals.refused(ip("192.0.2.1"), Who::Stranger, now);
            refusals.refused(ip("192.0.2.1"), Who::Caller, now);
        }
        assert_eq!(refusals.blocked(ip("192.0.2.1"), now), None);
    }

    #[test]
    fn of_many_refusals_only_some_are_written_down() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let told: Vec<_> = (0..TOLD_MAX + 5).map(|_| refusals.refused(ip("192.0.2.1"), Who::Stranger, now)).collect();
        let many = |what| told.iter().filter(|told| **told == what).count();
        assert_eq!((many(Told::Yes), many(Told::Last), many(Told::No)), (TOLD_MAX as usize - 1, 1, 5));
        assert_eq!(told[TOLD_MAX as usize - 1], Told::Last);
        assert_eq!(refusals.refused(ip("192.0.2.2"), Who::Stranger, now), Told::Yes);
        assert_eq!(refusals.refused(ip("192.0.2.1"), Who::Caller, now), Told::Yes);
        assert_eq!(refusals.refused(ip("192.0.2.1"), Who::Stranger, now + WINDOW), Told::Yes);
    }

    #[test]
    fn one_site_is_one_address() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for number in 0..WRONG_MAX {
            refusals.refused(ip(&format!("2001:db8:0:1::{number:x}")), Who::Guesser, now);
        }
        assert!(refusals.blocked(ip("2001:db8:0:1:ffff::"), now).is_some());
        assert!(refusals.blocked(ip("2001:db8:0:2::"), now).is_none());
        for _ in 0..WRONG_MAX {
            refusals.refused(ip("::ffff:192.0.2.1"), Who::Guesser, now);
        }
        assert!(refusals.blocked(ip("192.0.2.1"), now).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgets_the_oldest() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let address = |number: usize| IpAddr::from(std::net::Ipv4Addr::from_bits(number as u32));
        for number in 0..ADDRESSES_MAX {
            let now = start + Duration::from_millis(number as u64);
            for _ in 0..WRONG_MAX {
                refusals.refused(address(number), Who::Guesser, now);
            }
        }
        let now = start + Duration::from_secs(30);
        assert!(refusals.blocked(address(0), now).is_some());
        refusals.refused(address(ADDRESSES_MAX), Who::Guesser, now);
        assert_eq!(refusals.0.len(), ADDRESSES_MAX);
        assert!(refusals.blocked(address(0), now).is_none());
        assert!(refusals.blocked(address(1), now).is_some());
        // Whose window is over goes first.
        let later = start + WINDOW + Duration::from_secs(5);
        refusals.refused(address(ADDRESSES_MAX + 1), Who::Guesser, later);
        assert!(refusals.0.len() < ADDRESSES_MAX, "{}", refusals.0.len());
    }
}
