//! S1.3 and S1.4: `POST /token/create` and `POST /token/validate`.

use axum::Json;
use axum::extract::State;
use cache::Purpose;
use domain::{TenantUid, Timestamp};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::App;
use crate::caller::Caller;
use crate::extract::Input;
use crate::problem::Problem;
use crate::repeat::ShownOnce;

/// What these tokens are for; those of another purpose, such as connect links, are unknown here.
const NAME: &str = "api";

/// A new token, shown once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OneTimeToken")]
pub(super) struct Created {
    token: String,
    expires_in: u64,
}

/// What a token stands for: who asked for it, and when.
#[derive(Debug, Serialize, Deserialize)]
struct Issued {
    by: String,
    at: Timestamp,
}

/// Makes a token that [`validate`] takes once, within seconds (S1.3).
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
) -> Result<ShownOnce<Created>, Problem> {
    let ttl = app.settings.one_time_ttl;
    let issued = Issued {
        by: caller.account(),
        at: app.store.now().await?,
    };
    let scope = scope(caller.tenant);
    let token = app.cache.issue(purpose(&scope), &issued, ttl).await?;
    Ok(ShownOnce(Created {
        token: token.expose_secret().to_owned(),
        expires_in: ttl.as_secs(),
    }))
}

/// A token that somebody brings.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidateBody {
    /// As `/token/create` gave it.
    #[schemars(with = "String")]
    token: SecretString,
}

/// A token that was good, and is used up.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Validated {
    valid: bool,
    issued_by: String,
    issued_at: Timestamp,
}

/// Uses a token up (S1.4). Unknown, used and expired ones look alike, and so do those of
/// another tenant, which stay good.
pub(super) async fn validate(
    State(app): State<App>,
    caller: Caller,
    Input(body): Input<ValidateBody>,
) -> Result<Json<Validated>, Problem> {
    let scope = scope(caller.tenant);
    let issued: Option<Issued> = app.cache.consume(purpose(&scope), &body.token).await?;
    let issued = issued.ok_or_else(|| Problem::not_found("token"))?;
    Ok(Json(Validated {
        valid: true,
        issued_by: issued.by,
        issued_at: issued.at,
    }))
}

const fn purpose(scope: &str) -> Purpose<'_> {
    Purpose { name: NAME, scope }
}

/// Tokens count within the tenant of their maker; those of the admin token among its holders.
fn scope(tenant: Option<TenantUid>) -> String {
    tenant.map_or_else(String::new, |tenant| tenant.to_string())
}
