//! Random numbers that are the same for the same seed.

/// A xorshift generator (Marsaglia, "Xorshift RNGs", 2003).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // 0 would stay 0; and near seeds are not to begin alike.
        let mut random = Self((seed ^ 0x9e37_79b9_7f4a_7c15).max(1));
        for _ in 0..16 {
            random.below(1);
        }
        random
    }

    /// A number below this one.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_below_their_limit_and_the_same_for_the_same_seed() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            std::array::from_fn::<_, 100, _>(|_| random.below(1000))
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!(numbers(3).iter().all(|number| *number < 1000));
        let distinct = std::collections::BTreeSet::from(numbers(4));
        assert!(distinct.len() > 80, "{distinct:?}");
    }
}
