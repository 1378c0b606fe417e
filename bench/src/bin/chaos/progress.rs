//! What the harness tells people while it works.

use std::fmt::Display;

/// Lines on standard error, each with what it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) quiet: bool,
    pub(crate) database: &'static str,
    pub(crate) seed: u64,
}

impl Progress {
    #[expect(clippy::print_stderr, reason = "progress is for people")]
    pub(crate) fn say(self, what: &dyn Display) {
        if !self.quiet {
            eprintln!("{} {}: {what}", self.database, self.seed);
        }
    }
}
