//! Flags of the commands that talk to a server.

/// Flags of every command that talks to a server.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// File with the bearer token [default: `TOKENFLEET_ADMIN_TOKEN`, else the saved log-in,
    /// else the data directory's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) token_file: Option<std::path::PathBuf>,
}

/// Flags of commands that talk to a server, whatever they show it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct PlaceArgs {
    /// Its address [default: `TOKENFLEET_SERVER`, else the API of this machine's settings]
    #[arg(long, global = true, value_name = "URL")]
    pub(super) server: Option<String>,
    /// JSON instead of tables
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl PlaceArgs {
    /// The address of the flag.
    pub(crate) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Whether a program reads what is printed.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }
}
