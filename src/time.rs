//! Time as a value: it is passed in everywhere. Only [`SystemClock`] asks the operating system.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Seconds from 1900-01-01 (the epoch of Diameter's Time type) to 1970-01-01.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000
    }

    /// This moment and `secs` seconds more, at most the end of the range.
    pub const fn plus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1_000)))
    }

    /// How long it is since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Diameter Time (RFC 6733 4.3.1, spec B-49): seconds since 1900 modulo 2^32.
    pub const fn to_diameter(self) -> u32 {
        (self.secs().wrapping_add(NTP_TO_UNIX) & 0xffff_ffff) as u32
    }

    /// From Diameter Time: a set top bit means 1968..2036, a clear one the era that begins 2036-02-07T06:28:16Z (spec
    /// B-49). Moments before 1970 become the epoch.
    pub const fn from_diameter(time: u32) -> Self {
        let since_1900 = if time & 0x8000_0000 != 0 { time as u64 } else { time as u64 + (1 << 32) };
        Self::from_secs(since_1900.saturating_sub(NTP_TO_UNIX))
    }
}

impl Timestamp {
    /// Reads what [`Display`](fmt::Display) writes and nothing else.
    pub fn from_utc(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let secs = number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
        // The reverse of what is done there.
        let year_from_march = year.checked_sub(u64::from(month <= 2))?;
        let month_from_march = (month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
        let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
        let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
        let at = Self((days * 86_400 + secs) * 1_000 + number(20, 23)?);
        (at.to_string() == text).then_some(at)
    }
}

/// Writes UTC, `2026-01-01T00:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days to a civil date by the usual era arithmetic (400 years have 146,097 days).
        let (days, second) = (self.secs() / 86_400, self.secs() % 86_400);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second, milli) = (second / 3_600, second / 60 % 60, second % 60, self.0 % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// Tells the time. The system's in production, a hand-moved one in tests.
pub trait Clock: Send + Sync + 'static {
    /// The current moment.
    fn now(&self) -> Timestamp;

    /// How far it is kept behind the clock that it follows, because that has jumped.
    fn held_back(&self) -> Duration {
        Duration::ZERO
    }
}

/// The operating system's clock, except that it neither goes back nor jumps ahead.
///
/// When someone sets the system's clock back, this one stands still until that has caught up: else what has expired would
/// live again. When that jumps ahead (a mistake of NTP, a machine that was suspended), this one follows only slowly: else
/// request ids would be forgotten while clients still repeat, and sessions ended while clients still use them. Who knows that
/// the new time is right restarts the node: then it begins with the system's clock as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The latest time that was told in this process, in milliseconds.
static LATEST: AtomicU64 = AtomicU64::new(0);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let (elapsed, ahead) = system_ahead();
        let told = PACE.follow(elapsed, ahead);
        Timestamp(never_back(
            &LATEST,
            START_AT.load(Ordering::Relaxed).saturating_add(elapsed).saturating_add_signed(told),
        ))
    }

    fn held_back(&self) -> Duration {
        let (elapsed, ahead) = system_ahead();
        let held = ahead.saturating_sub(PACE.follow(elapsed, ahead));
        Duration::from_millis(u64::try_from(held).unwrap_or(0))
    }
}

static START: OnceLock<Instant> = OnceLock::new();
/// The system's clock at that moment, in milliseconds.
static START_AT: AtomicU64 = AtomicU64::new(0);
static PACE: Pace = Pace::new();

/// Milliseconds since the clock was first asked, and how much more than that the system's clock has advanced.
fn system_ahead() -> (u64, i64) {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let wall = || millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let start = START.get_or_init(|| {
        START_AT.store(wall(), Ordering::Relaxed);
        Instant::now()
    });
    let elapsed = millis(start.elapsed());
    let ahead = i128::from(wall()) - i128::from(START_AT.load(Ordering::Relaxed)) - i128::from(elapsed);
    // A clock that is off by 292 million years is followed no further.
    (elapsed, i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX }))
}

/// A step of the system's clock that is followed at once: what NTP does in ordinary life.
const STEP_MAX: i64 = 5_000;
/// Of a larger one, this part of the time that really passes: what is kept for 255 s, which is the least with some to spare
/// (B-96: 240), is kept for 240 s even then.
const CATCH_UP: u64 = 16;

/// How fast a clock may be followed that runs ahead of real time.
struct Pace {
    /// How far ahead of real time that clock was when it was last followed, in milliseconds.
    accepted: AtomicI64,
    /// When that was, in milliseconds.
    at: AtomicU64,
}

impl Pace {
    const fn new() -> Self {
        Self { accepted: AtomicI64::new(0), at: AtomicU64::new(0) }
    }

    /// How far ahead of real time it is now, as far as it is followed. Between two threads, one may see the new half of what
    /// the other writes: the difference is less than what they may differ by anyway.
    fn follow(&self, elapsed: u64, ahead: i64) -> i64 {
        let (accepted, at) = (self.accepted.load(Ordering::Relaxed), self.at.load(Ordering::Relaxed));
        let slow = i64::try_from(elapsed.saturating_sub(at) / CATCH_UP).unwrap_or(i64::MAX);
        let allowed = accepted.saturating_add(STEP_MAX).saturating_add(slow);
        if ahead > allowed {
            return allowed;
        }
        if ahead != accepted || elapsed > at.saturating_add(1_000) {
            self.accepted.store(ahead, Ordering::Relaxed);
            self.at.store(elapsed, Ordering::Relaxed);
        }
        ahead
    }
}

/// The later of both, which is the latest from then on. Most calls within a millisecond only read.
fn never_back(latest: &AtomicU64, now: u64) -> u64 {
    let seen = latest.load(Ordering::Relaxed);
    if now > seen { latest.fetch_max(now, Ordering::Relaxed).max(now) } else { seen }
}

/// A clock that stands still until it is moved: for tests and simulation.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicU64::new(start.0))
    }

    /// Moves it forward by `secs` seconds.
    pub fn advance_secs(&self, secs: u64) {
        self.0.fetch_add(secs.saturating_mul(1_000), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests: B-49
    #[test]
    fn diameter_time_wraps_in_2036() {
        let new_year_2026 = Timestamp::from_secs(1_767_225_600);
        assert_eq!(new_year_2026.to_diameter(), 0xed00_3780);
        assert_eq!(Timestamp::from_diameter(0xed00_3780), new_year_2026);

        let wrap = Timestamp::from_secs(2_085_978_496);
        assert_eq!(wrap.to_string(), "2036-02-07T06:28:16.000Z");
        assert_eq!(wrap.to_diameter(), 0);
        assert_eq!(Timestamp::from_diameter(0), wrap);
    }

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        let latest = AtomicU64::new(0);
        let told = [5, 7, 3, 7, 8].map(|now| never_back(&latest, now));
        assert_eq!(told, [5, 7, 7, 7, 8]);
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_followed_slowly() {
        const HOUR: i64 = 3_600_000;
        let pace = Pace::new();
        assert_eq!(
            [(10, 0), (1_000, 3), (2_000, STEP_MAX)].map(|(at, ahead)| pace.follow(at, ahead)),
            [0, 3, STEP_MAX]
        );
        // An hour at once: a step, and then a sixteenth of what passes.
        let told = [3_000, 19_000, 3_000 + HOUR as u64].map(|at| pace.follow(at, HOUR));
        assert_eq!(told, [2 * STEP_MAX + 62, 2 * STEP_MAX + 1_062, 2 * STEP_MAX + 62 + HOUR / 16]);
        // It was a mistake, and is mended.
        assert_eq!(pace.follow(4_000_000, 7), 7);
        assert_eq!(pace.follow(4_000_100, HOUR), 7 + STEP_MAX + 6);
        // In the end it is caught up.
        let (mut at, mut told) = (4_000_100, 0);
        while told < HOUR {
            at += 60_000;
            told = pace.follow(at, HOUR);
        }
        assert!((15 * HOUR..17 * HOUR).contains(&(at as i64 - 4_000_000)), "{at}");
        assert_eq!(pace.follow(at + 1_000, HOUR), HOUR);
    }

    #[test]
    fn the_system_s_clock_is_told_as_it_is() {
        let wall = |_| u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let (before, told, after) = (wall(()), SystemClock.now().millis(), wall(()));
        // Both clocks are read one after the other, and cut off to milliseconds.
        assert!(before <= told + 2 && told <= after + 2, "{before} {told} {after}");
        assert_eq!(SystemClock.held_back(), Duration::ZERO);
    }

    #[test]
    fn timestamps_are_written_in_utc() {
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
        assert_eq!(Timestamp::from_secs(1_767_225_600).to_string(), "2026-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_written_in_utc_is_read_back() {
        for day in (0..60_000u64).step_by(7) {
            let at = Timestamp::from_millis(day * 86_400_000 + day * 12_345 % 86_400_000);
            assert_eq!(Timestamp::from_utc(&at.to_string()), Some(at));
        }
        let bad =
            ["", "2026-01-01", "2026-02-30T00:00:00.000Z", "2026-00-01T00:00:00.000Z", "2026-01-00T00:00:00.000Z"];
        let worse = [
            "1969-12-31T23:59:59.000Z",
            "2026-01-01T00:00:00.000z",
            "2026-01-01T24:00:00.000Z",
            "é026-01-01T00:00:00.0Z",
        ];
        for text in bad.into_iter().chain(worse) {
            assert_eq!(Timestamp::from_utc(text), None, "{text}");
        }
    }
}
