//! What is settled about the pages where people agree.

use std::time::Duration;

/// The pages of consent of all providers.
#[derive(Clone, Debug)]
pub struct ConsentSettings {
    /// Where people may be sent back to, compared as text; if there is none, to any
    /// https address without a query, and to http on this machine.
    pub redirect_uris: Vec<String>,
    /// How long a code can be exchanged.
    pub code_lifetime: Duration,
    /// Whether everybody agrees at once, each with a new account. `auto=1` in the
    /// address of a page does the same for one.
    pub auto: bool,
}

impl Default for ConsentSettings {
    fn default() -> Self {
        Self {
            redirect_uris: Vec::new(),
            code_lifetime: Duration::from_mins(1),
            auto: false,
        }
    }
}
