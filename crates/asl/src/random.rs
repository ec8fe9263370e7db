//! The seeded generator behind retry jitter, `$random` and `$uuid`, so that an execution can be repeated exactly.

/// A small generator of evenly spread numbers (the step of `SplitMix64`), not for secrets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Generator {
    state: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator of its own for each named execution and each of its redrives, so that executions that run beside
    /// each other do not disturb one another's numbers.
    pub(crate) fn for_execution(seed: u64, name: &str, redrives: u64) -> Self {
        // FNV-1a, because the standard hasher may change between Rust releases.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self::new(seed ^ hash ^ redrives.rotate_left(32))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 (inclusive) to 1 (exclusive), with 53 random bits.
    pub(crate) fn fraction(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
        let bits = (self.next() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_repeat_for_a_seed_and_differ_between_executions() {
        let draw = |mut generator: Generator| (0..4).map(|_| generator.next()).collect::<Vec<_>>();
        let first = draw(Generator::for_execution(7, "a", 0));
        assert_eq!(first, draw(Generator::for_execution(7, "a", 0)));
        assert_ne!(first, draw(Generator::for_execution(7, "b", 0)));
        assert_ne!(first, draw(Generator::for_execution(8, "a", 0)));
        assert_ne!(first, draw(Generator::for_execution(7, "a", 1)));
    }

    #[test]
    fn fractions_fill_the_unit_interval() {
        let mut generator = Generator::new(1);
        let fractions: Vec<f64> = (0..1000).map(|_| generator.fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        assert!(fractions.iter().any(|fraction| *fraction < 0.05) && fractions.iter().any(|fraction| *fraction > 0.95));
    }
}
