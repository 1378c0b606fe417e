//! `tokenfleet channel import`: a grant and its credentials.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::remote::Remote;

/// A grant to import.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tenant
    tenant: String,
    /// Its id [default: made up]
    #[arg(long)]
    id: Option<String>,
    /// facebook, tiktok, facturify, …
    #[arg(long)]
    provider: String,
    /// What people call it
    #[arg(long)]
    name: String,
    /// What your own system calls it
    #[arg(long)]
    local_name: Option<String>,
    /// JSON file with the credentials; - reads standard input, so that none is in a command line
    #[arg(long, value_name = "FILE")]
    credentials: PathBuf,
}

impl Args {
    /// Imports it, and shows the channel that it made.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or the server refuses.
    pub(super) async fn run(self, server: &Remote) -> anyhow::Result<()> {
        let mut body = json!({
            "provider": self.provider,
            "display_name": self.name,
            "credentials": credentials(&self.credentials)?,
        });
        for (field, value) in [("id", self.id), ("local_name", self.local_name)] {
            if let Some(value) = value {
                body[field] = value.into();
            }
        }
        let path = ["tenants", &self.tenant, "channels"];
        let made = server.call(Method::POST, &path, &[], Some(&body)).await?;
        server.show(&made)
    }
}

fn credentials(file: &Path) -> anyhow::Result<Value> {
    let told = || format!("cannot read the credentials in {}", file.display());
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).with_context(told)?;
    }
    // The parser's own message may quote what it read.
    serde_json::from_str(&text).map_err(|error| {
        anyhow::anyhow!(
            "{}: no JSON at line {}, column {}",
            told(),
            error.line(),
            error.column()
        )
    })
}
