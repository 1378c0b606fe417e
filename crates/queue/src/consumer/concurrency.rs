//! How many jobs a consumer runs at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Jobs at once, at least 1. All clones are one number, which may change while the consumer
/// runs: what is claimed is run, and the next claim keeps to it.
#[derive(Clone, Debug)]
pub struct Concurrency(Arc<AtomicUsize>);

impl Concurrency {
    /// So many; 0 is taken for 1.
    #[must_use]
    pub fn new(jobs: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(jobs.max(1))))
    }

    /// How many now.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// So many from now on; 0 is taken for 1.
    pub fn set(&self, jobs: usize) {
        self.0.store(jobs.max(1), Ordering::Relaxed);
    }
}

impl From<usize> for Concurrency {
    fn from(jobs: usize) -> Self {
        Self::new(jobs)
    }
}
