//! Chance from a seed: the same seed gives the same catalog and the same life, on any machine.

/// SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `from` to `to`, both included.
    pub(super) fn number(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from + 1)
    }

    /// True `percent` times of a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.number(0, of.len() as u64 - 1) as usize].clone()
    }

    /// Small numbers are as likely as large ones.
    pub(super) fn magnitude(&mut self, most: u64) -> u64 {
        let bits = self.number(0, u64::from(most.ilog2()) + 1);
        self.number(0, most.min((1 << bits) - 1))
    }
}
