//! `tokenfleet channel connect` and `account`: people connect accounts themselves.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;

use super::Which;
use crate::remote::{Remote, minutes};

/// A link for one person.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The tenant
    tenant: String,
    /// facebook, tiktok, oauth2:NAME, … [default: that of --channel]
    #[arg(long, required_unless_present = "channel")]
    provider: Option<String>,
    /// The channel that is connected again, with the same account [default: a new one]
    #[arg(long, conflicts_with_all = ["id", "name"])]
    channel: Option<String>,
    /// Id of the new channel [default: made up]
    #[arg(long)]
    id: Option<String>,
    /// What people will call the new channel [default: what the provider calls the account]
    #[arg(long)]
    name: Option<String>,
    /// How long the link can be opened, 1m to 7d [default: 10m, or as the server is set]
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    expires_in: Option<u64>,
}

/// The account that waits for an owner's word.
#[derive(Debug, clap::Args)]
pub(super) struct Account {
    #[command(flatten)]
    which: Which,
    /// It is the channel's: the id that is shown without this flag
    #[arg(long, value_name = "ID", conflicts_with = "refuse")]
    confirm: Option<String>,
    /// It is not
    #[arg(long)]
    refuse: bool,
}

impl Args {
    /// Makes a link; people and scripts get its address alone.
    ///
    /// # Errors
    ///
    /// If the server refuses.
    pub(super) async fn run(self, server: &Remote) -> anyhow::Result<()> {
        let provider = match (&self.provider, &self.channel) {
            (Some(provider), _) => provider.clone(),
            (None, channel) => {
                let channel = channel.as_deref().unwrap_or_default();
                let path = ["tenants", &self.tenant, "channels", channel];
                let channel = server.get(&path, &[]).await?;
                let provider = channel["provider"].as_str();
                provider
                    .context("the channel names no provider")?
                    .to_owned()
            }
        };
        let mut body = json!({ "provider": provider });
        for (field, value) in [
            ("channel_id", self.channel),
            ("id", self.id),
            ("display_name", self.name),
        ] {
            if let Some(value) = value {
                body[field] = value.into();
            }
        }
        if let Some(minutes) = self.expires_in {
            body["expires_in"] = minutes.saturating_mul(60).into();
        }
        let path = ["tenants", &self.tenant, "connect-links"];
        let made = server.call(Method::POST, &path, &[], Some(&body)).await?;
        server.tell(&made, made["url"].as_str().unwrap_or_default())
    }
}

impl Account {
    /// Shows it, or says whose it is.
    ///
    /// # Errors
    ///
    /// If the server refuses, or nothing waits.
    pub(super) async fn run(self, server: &Remote) -> anyhow::Result<()> {
        let path = [&self.which.path()[..], &["new-account"]].concat();
        if self.refuse {
            let answer = server.call(Method::DELETE, &path, &[], None).await?;
            return server.tell(&answer, "it is forgotten");
        }
        let Some(id) = self.confirm else {
            return server.show(&server.get(&path, &[]).await?);
        };
        let path = [&path[..], &["confirm"]].concat();
        let body = json!({ "id": id });
        let channel = server.call(Method::POST, &path, &[], Some(&body)).await?;
        server.show(&channel)
    }
}
