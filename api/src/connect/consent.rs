//! A consent that brought a code: exchanged, stored, and written down.

use std::sync::Arc;

use providers::{Connected, Granted, Provider, RefreshError};
use secrecy::SecretString;

use super::{Brought, Goal, Page, Ticket, bring, words};
use crate::App;
use crate::problem::Problem;
use crate::trail::{self, Trail};

/// A consent with the code that it brought.
pub(crate) struct Consent {
    /// What it was asked for.
    pub(crate) ticket: Ticket,
    /// Who gave the code.
    pub(crate) provider: Arc<dyn Provider>,
    /// The code.
    pub(crate) code: SecretString,
    /// What the challenge was made of.
    pub(crate) verifier: SecretString,
    /// Where the browser came back to.
    pub(crate) redirect_uri: String,
}

impl Consent {
    /// Exchanges the code and stores what it brings; the page that says so.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if the database or Redis is away.
    pub(crate) async fn complete(self, app: &App, trail: Trail) -> Result<Page, Problem> {
        let connected = match self.exchange(app).await? {
            Ok(connected) => connected,
            Err(error) => return words::refused(app, &self.ticket, &error).await,
        };
        let warning = connected.accepted.warning.clone();
        let brought = bring(app, &self.ticket, &self.provider, connected).await?;
        note(app, &self.ticket, &brought, &trail).await;
        words::told(app, &self.ticket, brought, warning).await
    }

    async fn exchange(&self, app: &App) -> Result<Result<Connected, RefreshError>, Problem> {
        let account = match &self.ticket.goal {
            Goal::New { .. } => None,
            Goal::Repair { channel, .. } => {
                let channel = app.store.channel_by_uid(*channel).await?;
                channel.and_then(|channel| channel.external_id)
            }
        };
        let granted = Granted {
            code: &self.code,
            verifier: &self.verifier,
            redirect_uri: &self.redirect_uri,
            account: account.as_deref(),
            now: app.store.now().await?,
        };
        let way = self
            .provider
            .connect()
            .expect("a ticket finds no other provider");
        Ok(way.exchange(&granted).await)
    }
}

/// Writes down what came of a consent; the one who made the link has done it.
async fn note(app: &App, ticket: &Ticket, brought: &Brought, trail: &Trail) {
    let (action, channel) = match brought {
        Brought::Made(channel) => ("channel.connect", channel),
        Brought::Repaired(channel) => ("channel.repair", channel),
        Brought::Waits(channel) => ("channel.new_account", channel),
        Brought::OtherAccount { .. } | Brought::Taken | Brought::Gone => return,
    };
    tracing::info!(
        tenant.id = %ticket.tenant_id,
        channel.id = %channel.id,
        provider = %ticket.provider,
        outcome = action,
        "a person connected an account"
    );
    let trail = trail.clone().by(ticket.by.clone()).within(ticket.tenant);
    let target = format!("tenants/{}/channels/{}", ticket.tenant_id, channel.id);
    trail::leave(app, &trail.entry(action, target)).await;
}
