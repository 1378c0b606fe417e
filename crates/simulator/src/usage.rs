//! How often one grant was asked for a refresh, by the generation that was presented.

use std::collections::VecDeque;

/// Generations that are remembered one by one; older ones only as sums.
const REMEMBERED: usize = 256;

/// How often one generation of one grant was presented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The generation.
    pub(crate) generation: u32,
    /// Requests that would have refreshed it.
    pub(crate) requests: u32,
    /// Requests that did.
    pub(crate) refreshes: u32,
}

/// The requests of one grant.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// All requests that named the grant.
    pub(crate) requests: u64,
    /// Those that brought new credentials.
    pub(crate) refreshes: u64,
    /// Those that presented a spent token.
    pub(crate) reuses: u64,
    /// Those that met another one of the same grant.
    pub(crate) overlaps: u64,
    /// Requests under way.
    pub(crate) in_flight: u32,
    /// Grows with every request that finds another one under way.
    pub(crate) meetings: u64,
    pairs: VecDeque<Pair>,
    forgotten: Sums,
}

/// How many generations were presented how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Generations that were presented at all.
    pub(crate) pairs: u64,
    /// Of these, more than once.
    pub(crate) repeated: u64,
    /// Of these, refreshed more than once.
    pub(crate) doubled: u64,
}

impl Sums {
    fn add(&mut self, pair: Pair) {
        self.pairs += 1;
        self.repeated += u64::from(pair.requests > 1);
        self.doubled += u64::from(pair.refreshes > 1);
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.repeated += other.repeated;
        self.doubled += other.doubled;
    }
}

impl Usage {
    /// A request presented this generation to have it refreshed.
    pub(crate) fn presented(&mut self, generation: u32) {
        self.pair(generation).requests += 1;
    }

    /// The request that presented this generation brought new credentials.
    pub(crate) fn refreshed(&mut self, generation: u32) {
        self.refreshes += 1;
        self.pair(generation).refreshes += 1;
    }

    /// The remembered generations.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter()
    }

    /// All generations since the last [`Usage::clear`].
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = self.forgotten;
        self.pairs.iter().for_each(|pair| sums.add(*pair));
        sums
    }

    /// Forgets everything but what is under way.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            in_flight: self.in_flight,
            meetings: self.meetings,
            ..Self::default()
        };
    }

    fn pair(&mut self, generation: u32) -> &mut Pair {
        let known = self.pairs.iter().rposition(|p| p.generation == generation);
        let at = known.unwrap_or_else(|| {
            if self.pairs.len() == REMEMBERED
                && let Some(oldest) = self.pairs.pop_front()
            {
                self.forgotten.add(oldest);
            }
            self.pairs.push_back(Pair {
                generation,
                ..Pair::default()
            });
            self.pairs.len() - 1
        });
        &mut self.pairs[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_exact_when_old_generations_are_forgotten() {
        let mut usage = Usage::default();

        for generation in 0..1000 {
            usage.presented(generation);
            if generation % 10 == 0 {
                usage.presented(generation);
                usage.refreshed(generation);
            }
            usage.refreshed(generation);
        }

        let all = Sums {
            pairs: 1000,
            repeated: 100,
            doubled: 100,
        };
        assert_eq!(usage.sums(), all);
        assert_eq!(usage.pairs().count(), REMEMBERED);
    }
}
