//! What the API knows people and programs by: secrets that sign, lifetimes, admission.

use anyhow::Context as _;
use api::Accounts;
use config::{Loaded, Registration, Settings};
use identity::{Lifetimes, PasswordCost, Passwords, SigningKeys, Tokens, bootstrap_token};
use secrecy::{ExposeSecret as _, SecretString};
use store::Store;
use url::{Host, Url};

use crate::data_dir::{self, DataDir};
use crate::output::say;

/// The accounts of a process that makes what is not set, and keeps it in its data directory.
///
/// # Errors
///
/// If a secret cannot be read, or holds none.
pub(crate) fn making(loaded: &Loaded, dir: &DataDir) -> anyhow::Result<Accounts> {
    let auth = &loaded.settings.auth;
    let access = match &auth.jwt_secret {
        Some(secret) => secret.clone(),
        None => dir.jwt_secret()?,
    };
    let refresh = match &auth.refresh_token_secret {
        Some(secret) => secret.clone(),
        None => dir.refresh_token_secret()?,
    };
    accounts(loaded, &access, &refresh)
}

/// The accounts of a single role: every process of a fleet must have the same secrets, so
/// none is made here.
///
/// # Errors
///
/// If a secret is neither set nor in the data directory, or holds none.
pub(crate) fn given(loaded: &Loaded, dir: &DataDir, role: &str) -> anyhow::Result<Accounts> {
    let auth = &loaded.settings.auth;
    let missing = |name: &str, what: &str| {
        format!(
            "{role} needs the secret that signs {what}: set {name} (32 random characters or more, \
             such as $(openssl rand -base64 32)), or {name}_FILE; only `up` and `demo` make their own"
        )
    };
    let access = match &auth.jwt_secret {
        Some(secret) => Some(secret.clone()),
        None => data_dir::read(&data_dir::jwt_secret_file(dir.path()))?,
    };
    let refresh = match &auth.refresh_token_secret {
        Some(secret) => Some(secret.clone()),
        None => data_dir::read(&data_dir::refresh_token_secret_file(dir.path()))?,
    };
    let access = access.with_context(|| missing("JWT_SECRET", "access tokens"))?;
    let refresh = refresh.with_context(|| missing("REFRESH_TOKEN_SECRET", "refresh tokens"))?;
    accounts(loaded, &access, &refresh)
}

fn accounts(
    loaded: &Loaded,
    access: &SecretString,
    refresh: &SecretString,
) -> anyhow::Result<Accounts> {
    let settings = &loaded.settings;
    let keys = |secret: &SecretString, key: &str| {
        SigningKeys::parse(secret).with_context(|| format!("setting {}", loaded.told(key)))
    };
    let access = keys(access, "auth.jwt_secret")?;
    let refresh = keys(refresh, "auth.refresh_token_secret")?;
    let bootstrap_token = (!is_private(settings)).then(|| bootstrap_token(&access));
    let lifetimes = Lifetimes {
        access: settings.auth.jwt_expires_in,
        refresh: settings.auth.refresh_token_expires_in,
    };
    let tokens = Tokens::new(access, refresh, lifetimes);
    Ok(Accounts {
        refresh_grace: settings.auth.refresh_token_grace,
        invitation_lifetime: settings.auth.invitation_expires_in,
        open_registration: settings.auth.registration == Registration::Open,
        bootstrap_token,
        ..Accounts::new(tokens, Passwords::new(PasswordCost::default()))
    })
}

/// Whether only this machine reaches the API, so that whoever registers first is its owner.
fn is_private(settings: &Settings) -> bool {
    let public = settings.api.public_url.as_deref().map(Url::parse);
    let public_is_local = match public {
        None => true,
        Some(url) => url.is_ok_and(|url| match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }),
    };
    settings.api.bind.ip().is_loopback() && public_is_local
}

/// Tells the person at the terminal how the first one registers, as long as nobody has.
///
/// # Errors
///
/// If the database does not answer.
pub(crate) async fn announce(accounts: &Accounts, store: &Store) -> anyhow::Result<()> {
    if let Some(token) = &accounts.bootstrap_token
        && store.has_no_users().await?
    {
        say(format_args!(
            "  bootstrap token {} (the first registration needs it)",
            token.expose_secret()
        ));
    }
    Ok(())
}
