//! What a token endpoint says, as leniently as the endpoints are careless.

use domain::{FreshTokens, Lifetime};
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use url::form_urlencoded;

use crate::delay;
use crate::http::Answer;
use crate::json::{seconds, secret, text};
use crate::jwt;

use super::description::Description;

/// Names under which the refresh token's own lifetime is told, in seconds.
const REFRESH_LIFETIME: [&str; 3] = [
    "refresh_token_expires_in",
    "x_refresh_token_expires_in",
    "refresh_expires_in",
];

/// The body as an object, be it JSON or, as GitHub's without an `Accept`, a form.
pub(super) fn body(answer: &Answer) -> Option<Value> {
    answer.json().or_else(|| form(answer))
}

/// Whether the body reports an error, at whatever status: GitHub and Slack say 200.
pub(super) fn is_error(body: &Value) -> bool {
    let error = body.get("error");
    error.is_some_and(|error| !matches!(error, Value::Null | Value::Bool(false)) && error != "")
        || body.get("ok") == Some(&Value::Bool(false))
}

/// The tokens of a success; `None` if there is no access token.
///
/// An absent `token_type` means a bearer token; an absent refresh token keeps the old one.
pub(super) fn tokens(body: &Value, described: &Description) -> Option<FreshTokens> {
    let nested = described.nested.as_ref().and_then(|name| body.get(name));
    let holder = [Some(body), nested]
        .into_iter()
        .flatten()
        .find(|it| secret(it, "access_token").is_some())?;
    let told = seconds(holder, "expires_in").or(described.default_expires_in);
    let refresh_lifetime = REFRESH_LIFETIME
        .iter()
        .find_map(|name| seconds(holder, name));
    Some(FreshTokens {
        refresh_token: secret(holder, "refresh_token"),
        refresh_lifetime: refresh_lifetime.map(Lifetime::For),
        scope: scope(holder),
        ..FreshTokens::access(
            secret(holder, "access_token")?,
            told.map_or(Lifetime::Unknown, Lifetime::For),
        )
    })
}

/// The account behind the tokens: the `member` of the answer that names it, dots leading
/// into objects, else the subject of an `OpenID` Connect id token. That one came from the
/// provider itself over TLS, so its signature adds nothing (`OpenID` Connect Core 3.1.3.7).
pub(super) fn account(body: &Value, member: Option<&str>) -> Option<String> {
    let Some(member) = member else {
        let claims = jwt::claims(&text(body, "id_token")?)?;
        return text(&claims, "sub");
    };
    let (path, name) = member.rsplit_once('.').unwrap_or(("", member));
    let mut steps = path.split('.').filter(|step| !step.is_empty());
    let holder = steps.try_fold(body, |at, step| at.get(step))?;
    text(holder, name)
}

/// The scope in the provider's own notation: with spaces, with commas, or a list.
fn scope(holder: &Value) -> Option<String> {
    let list = holder.get("scope").and_then(Value::as_array);
    match list {
        Some(list) => {
            let scopes: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            Some(scopes.join(" "))
        }
        None => text(holder, "scope"),
    }
}

/// A form, if it is called one, or if it is called nothing telling and holds what is looked for.
fn form(answer: &Answer) -> Option<Value> {
    let content_type = delay::text(&answer.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_other = ["html", "json", "xml"]
        .iter()
        .any(|it| content_type.contains(it));
    let plain = answer.body.iter().all(u8::is_ascii_graphic);
    if is_other || !plain {
        return None;
    }
    let fields: serde_json::Map<String, Value> = form_urlencoded::parse(&answer.body)
        .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
        .collect();
    let tells = ["access_token", "error"]
        .iter()
        .any(|name| fields.contains_key(*name));
    tells.then_some(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::HeaderMap;
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::super::settings::OAuth2Settings;
    use super::*;

    fn described(settings: OAuth2Settings) -> Description {
        let settings = OAuth2Settings {
            token_url: Some("https://acme.example/token".to_owned()),
            client_id: "id".to_owned(),
            ..settings
        };
        Description::of("acme", settings).expect("it is described")
    }

    fn answer(content_type: &str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        Answer {
            status: 200,
            headers,
            body: body.as_bytes().to_vec().into(),
        }
    }

    #[test]
    fn a_form_is_read_as_an_object_and_html_is_not() {
        let form = "access_token=ghu_1&expires_in=28800&scope=";

        for content_type in [
            "application/x-www-form-urlencoded; charset=utf-8",
            "text/plain",
        ] {
            let read = body(&answer(content_type, form)).expect("an object");

            assert_eq!(
                read,
                json!({ "access_token": "ghu_1", "expires_in": "28800", "scope": "" })
            );
        }
        for (content_type, text) in [
            ("text/html", form),
            ("text/plain", "access_token is missing"),
            ("text/plain", "a=b"),
            ("text/plain", ""),
            ("application/json", "[1]"),
        ] {
            assert_eq!(body(&answer(content_type, text)), None, "{text}");
        }
    }

    #[test]
    fn an_error_is_one_at_any_status() {
        for error in [
            json!({ "error": "bad_refresh_token" }),
            json!({ "error": { "code": 5 } }),
            json!({ "ok": false }),
            json!({ "ok": false, "error": "invalid_refresh_token" }),
        ] {
            assert!(is_error(&error), "{error}");
        }
        for fine in [
            json!({}),
            json!({ "ok": true, "access_token": "x" }),
            json!({ "error": null }),
            json!({ "error": "" }),
            json!({ "error": false }),
        ] {
            assert!(!is_error(&fine), "{fine}");
        }
    }

    #[test]
    fn lifetimes_are_read_under_all_their_names() {
        let described = described(OAuth2Settings::default());
        for name in REFRESH_LIFETIME {
            let body = json!({ "access_token": "a", "expires_in": "3600", name: "86400" });

            let fresh = tokens(&body, &described).expect("tokens");

            let day = Lifetime::For(Duration::from_hours(24));
            assert_eq!(fresh.lifetime, Lifetime::For(Duration::from_hours(1)));
            assert_eq!(fresh.refresh_lifetime, Some(day), "{name}");
        }
    }

    #[test]
    fn an_untold_lifetime_is_the_described_one_or_unknown() {
        let told = |settings| {
            let body = json!({ "access_token": "a" });
            tokens(&body, &described(settings)).map(|fresh| fresh.lifetime)
        };

        let hour = Duration::from_hours(1);
        let with_default = OAuth2Settings {
            default_expires_in: Some(hour),
            ..OAuth2Settings::default()
        };
        assert_eq!(told(OAuth2Settings::default()), Some(Lifetime::Unknown));
        assert_eq!(told(with_default), Some(Lifetime::For(hour)));
    }

    #[test]
    fn nested_tokens_are_found_where_the_description_says() {
        let mut described = described(OAuth2Settings::default());
        let body = json!({
            "ok": true,
            "authed_user": { "access_token": "xoxp", "refresh_token": "xoxe", "expires_in": 43200 },
        });

        assert!(tokens(&body, &described).is_none());
        described.nested = Some("authed_user".to_owned());
        let fresh = tokens(&body, &described).expect("tokens");

        let token = fresh.access_token.expect("a token");
        assert_eq!(token.expose_secret(), "xoxp");
        assert_eq!(fresh.lifetime, Lifetime::For(Duration::from_hours(12)));
    }

    #[test]
    fn the_account_is_named_by_a_member_or_by_an_id_token() {
        // {"sub":"s-1"}
        let body = json!({
            "id_token": "eyJ.eyJzdWIiOiJzLTEifQ.sig", "team": { "id": "T1" }, "workspace_id": 7,
        });

        let named = |member| account(&body, member);

        assert_eq!(named(None).as_deref(), Some("s-1"));
        assert_eq!(named(Some("team.id")).as_deref(), Some("T1"));
        assert_eq!(named(Some("workspace_id")).as_deref(), Some("7"));
        assert_eq!(named(Some("team.name.first")), None);
        assert_eq!(account(&json!({ "id_token": "x" }), None), None);
    }

    #[test]
    fn a_scope_keeps_its_notation() {
        let of = |scope: Value| super::scope(&json!({ "scope": scope }));

        assert_eq!(of(json!("a,b")).as_deref(), Some("a,b"));
        assert_eq!(of(json!("a b")).as_deref(), Some("a b"));
        assert_eq!(of(json!(["a", "b"])).as_deref(), Some("a b"));
        assert_eq!(of(json!("")), None);
    }
}
