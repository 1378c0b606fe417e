//! Addresses of tenants, their channels and tokens, and of connecting accounts.

use domain::RefreshResult;
use http::{Method, StatusCode};

use super::super::{
    attempts, batches, channels, connect, connect_links, expiring, facturify, figures, imports,
    new_accounts, one_time, refresh, schedules, tenants, tokens,
};
use crate::access::Right;
use crate::table::Table;
use crate::tokens::TokenView;

pub(super) fn of_tenants() -> Table {
    use Right::{Platform, ReadChannels, Refresh};
    const TENANT: &str = "/{tenant}";
    const SCHEDULE: &str = "/{tenant}/schedule";
    const DELETE_SCHEDULE: Option<&str> = Some("schedule.delete");
    const STATISTICS: &str = "/{tenant}/refresh/statistics";

    Table::under("/api/v1/tenants")
        .get("", Platform, tenants::list)
        .says("Lists tenants.")
        .post("", Platform, Some("tenant.create"), tenants::create)
        .says("Makes a tenant.")
        .refuses(StatusCode::CONFLICT, "The id is taken.")
        .get(TENANT, ReadChannels, tenants::show)
        .says("Shows a tenant.")
        .delete(TENANT, Platform, Some("tenant.delete"), tenants::delete)
        .refuses(StatusCode::CONFLICT, "It is the built-in one, or your own.")
        .says("Deletes a tenant with all its channels.")
        .get(SCHEDULE, ReadChannels, schedules::show)
        .says("Shows the recurring refresh of a tenant.")
        .put(SCHEDULE, Refresh, Some("schedule.put"), schedules::put)
        .says("Makes or changes the recurring refresh; the same twice changes nothing.")
        .delete(SCHEDULE, Refresh, DELETE_SCHEDULE, schedules::delete)
        .says("Cancels the recurring refresh.")
        .get(STATISTICS, ReadChannels, figures::statistics)
        .says("Shows a tenant's channels in figures.")
}

pub(super) fn of_channels() -> Table {
    use Right::{EditChannels, ReadChannels, Refresh, WriteChannels};
    const CHANNEL: &str = "/{channel}";
    const NOW: &str = "/{channel}/refresh";
    const LATER: &str = "/{channel}/refresh/schedule";
    const CHANGED: Option<&str> = Some("channel.change");
    const DELETED: Option<&str> = Some("channel.delete");
    const REFRESHED: Option<&str> = Some("channel.refresh");
    const POSTPONED: Option<&str> = Some("channel.refresh_later");
    const NOT_REFRESHED: &str = "The channel is paused, or only a person can fix it.";

    Table::under("/api/v1/tenants/{tenant}/channels")
        .get("", ReadChannels, channels::list)
        .says("Lists the channels of a tenant.")
        .post("", WriteChannels, Some("channel.import"), imports::import)
        .says("Imports a channel with its credentials, which no answer ever shows.")
        .refuses(StatusCode::CONFLICT, "The id is taken.")
        .get("/needing-refresh", ReadChannels, expiring::list)
        .says("Lists the channels that need a refresh, those that end first in front.")
        .post("/refresh", Refresh, REFRESHED, batches::refresh_many)
        .says("Refreshes many channels, or all that need it, and waits for them.")
        .answers::<batches::BatchView>(StatusCode::OK)
        .answers::<batches::Accepted>(StatusCode::ACCEPTED)
        .get(CHANNEL, ReadChannels, channels::show)
        .says("Shows a channel.")
        .patch(CHANNEL, EditChannels, CHANGED, channels::patch)
        .says("Renames, pauses or resumes a channel.")
        .delete(CHANNEL, WriteChannels, DELETED, channels::delete)
        .says("Deletes a channel.")
        .post(NOW, Refresh, REFRESHED, refresh::refresh_now)
        .says("Refreshes a channel now and waits for it.")
        .answers::<RefreshResult>(StatusCode::OK)
        .answers::<refresh::Accepted>(StatusCode::ACCEPTED)
        .refuses(StatusCode::CONFLICT, NOT_REFRESHED)
        .post(LATER, Refresh, POSTPONED, refresh::refresh_later)
        .says("Refreshes a channel later.")
        .refuses(StatusCode::CONFLICT, NOT_REFRESHED)
        .get("/{channel}/attempts", ReadChannels, attempts::list)
        .says("Lists what was tried for a channel, newest first.")
}

pub(super) fn of_tokens() -> Table {
    use Right::{Oneself, ReadTokens};
    const TOKEN: &str = "/api/v1/tenants/{tenant}/channels/{channel}/token";
    const MANY: &str = "/api/v1/tenants/{tenant}/channels/tokens";
    const REPORT: &str = "/api/v1/tenants/{tenant}/channels/{channel}/token/report";
    const REPORTED: Option<&str> = Some("token.report");
    const NO_TOKEN: &str = "No token lives, and only a person can help.";

    Table::under("")
        .get(TOKEN, ReadTokens, tokens::show)
        .says("Gives a valid token of a channel, refreshed first if needed.")
        .answers::<TokenView>(StatusCode::OK)
        .shows(StatusCode::NOT_MODIFIED, None)
        .refuses(StatusCode::CONFLICT, NO_TOKEN)
        .post(MANY, ReadTokens, None, tokens::show_many)
        .says("Gives valid tokens of many channels.")
        .post(REPORT, ReadTokens, REPORTED, tokens::report)
        .says("Takes your word that a token does not work, and refreshes it once.")
        .answers::<tokens::Reported>(StatusCode::OK)
        .answers::<tokens::Reported>(StatusCode::ACCEPTED)
        .refuses(StatusCode::CONFLICT, NO_TOKEN)
        .post("/token/create", Oneself, None, one_time::create)
        .says("Makes a token that is good once, within seconds.")
        .post("/token/validate", Oneself, None, one_time::validate)
        .says("Uses such a token up.")
        .refuses(StatusCode::NOT_FOUND, "It is unknown, used or expired.")
}

pub(super) fn of_connecting() -> Table {
    use Right::{Connect, ReadChannels, WriteChannels};
    const LINKS: &str = "/connect-links";
    const ACCOUNT: &str = "/channels/{channel}/new-account";
    const CONFIRM: &str = "/channels/{channel}/new-account/confirm";
    const MADE: Option<&str> = Some("connect_link.create");
    const CONFIRMED: Option<&str> = Some("channel.confirm_account");
    const REFUSED: Option<&str> = Some("channel.refuse_account");

    Table::under("/api/v1/tenants/{tenant}")
        .post(LINKS, Connect, MADE, connect_links::create)
        .says("Makes a link with which one person connects an account, or a channel again.")
        .answers::<connect_links::LinkView>(StatusCode::CREATED)
        .refuses(
            StatusCode::CONFLICT,
            "The id is taken, or the provider or this server is not set up for it.",
        )
        .get(ACCOUNT, ReadChannels, new_accounts::show)
        .says("Shows an account that was connected again and waits for an owner's word.")
        .post(CONFIRM, WriteChannels, CONFIRMED, new_accounts::confirm)
        .says("Says that it is the account of the channel, which gets its credentials.")
        .refuses(StatusCode::CONFLICT, "It is another one by now.")
        .delete(ACCOUNT, WriteChannels, REFUSED, new_accounts::refuse)
        .says("Says that it is not, and forgets it.")
}

/// Pages for the people who connect accounts.
pub(super) fn of_browsers() -> Table {
    const HTML: Option<&str> = Some("text/html");
    const START: &str = "/connect/{provider}";
    const TOO_MANY: &str = "Too many links that do not work were opened from this address.";
    const AWAY: &str = "Redis or the database is away for the moment.";

    Table::default()
        .open(Method::GET, START, connect::ask)
        .strictly_if_failed()
        .says("Shows who asks for an account to be connected; nothing is used up.")
        .shows(StatusCode::OK, HTML)
        .shows(StatusCode::NOT_FOUND, HTML)
        .refuses(StatusCode::TOO_MANY_REQUESTS, TOO_MANY)
        .refuses(StatusCode::SERVICE_UNAVAILABLE, AWAY)
        .open(Method::POST, START, connect::go)
        .strictly_if_failed()
        .says("Uses the link up and sends the browser to the provider.")
        .shows(StatusCode::SEE_OTHER, None)
        .shows(StatusCode::FORBIDDEN, HTML)
        .shows(StatusCode::NOT_FOUND, HTML)
        .shows(StatusCode::BAD_GATEWAY, HTML)
        .open(Method::GET, "/connect/callback", connect::back)
        .strictly_if_failed()
        .says("Takes the browser back from the provider, and stores what it brings.")
        .shows(StatusCode::OK, HTML)
        .shows(StatusCode::ACCEPTED, HTML)
        .shows(StatusCode::FORBIDDEN, HTML)
        .shows(StatusCode::NOT_FOUND, HTML)
        .shows(StatusCode::CONFLICT, HTML)
        .shows(StatusCode::BAD_GATEWAY, HTML)
        .refuses(StatusCode::TOO_MANY_REQUESTS, TOO_MANY)
        .refuses(StatusCode::SERVICE_UNAVAILABLE, AWAY)
}

pub(super) fn of_facturify() -> Table {
    use Right::Facturify;
    const OBTAINED: Option<&str> = Some("facturify.obtain");
    const REFRESHED: Option<&str> = Some("facturify.refresh");
    const NO_ACCOUNT: &str = "The platform has no Facturify account.";
    const REFUSED: &str = "Facturify refused; `provider_status` is its status.";

    Table::under("/api/v1/facturify/auth/token")
        .get("", Facturify, facturify::show)
        .says("Gives a valid token of the platform's Facturify account.")
        .refuses(StatusCode::CONFLICT, NO_ACCOUNT)
        .refuses(StatusCode::BAD_GATEWAY, REFUSED)
        .post("", Facturify, OBTAINED, facturify::obtain)
        .says("Obtains a new token of the platform's Facturify account.")
        .refuses(StatusCode::CONFLICT, NO_ACCOUNT)
        .refuses(StatusCode::BAD_GATEWAY, REFUSED)
        .post("/refresh", Facturify, REFRESHED, facturify::refresh)
        .says("Refreshes the token of the platform's Facturify account.")
        .refuses(StatusCode::CONFLICT, NO_ACCOUNT)
        .refuses(StatusCode::BAD_GATEWAY, REFUSED)
        .get("/status", Facturify, facturify::status)
        .says("Tells the state of that token without asking Facturify.")
        .refuses(StatusCode::CONFLICT, NO_ACCOUNT)
}
