//! The token request of RFC 6749 section 6, in the dialects that are spoken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::form_urlencoded::{self, byte_serialize};

use super::description::Description;
use super::settings::BodyFormat;

/// The `user:password` of a Basic header, encoded. RFC 6749 section 2.3.1: both
/// parts are form-encoded before they are joined.
pub(super) fn basic(id: &str, secret: &SecretString) -> SecretString {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encoded(id), encoded(secret.expose_secret()));
    STANDARD.encode(joined).into()
}

/// A refresh. It names no scope: the grant's own is kept.
pub(super) fn refresh(described: &Description, refresh_token: &SecretString) -> Request {
    let fields = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose_secret()),
    ];
    token(described, fields)
}

/// A request with these fields, and with the app where it belongs.
pub(super) fn token<'a>(
    described: &'a Description,
    mut fields: Vec<(&'a str, &'a str)>,
) -> Request {
    let app = &described.app;
    if app.basic.is_none() {
        fields.push(("client_id", app.id.as_str()));
        let secret = app.secret().map(ExposeSecret::expose_secret);
        fields.extend(secret.map(|secret| ("client_secret", secret)));
    }
    let mut request = Request::new(Method::POST, described.token_url.clone());
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.extend(app.basic.clone().map(|basic| (AUTHORIZATION, basic)));
    let (content_type, body) = match described.body {
        BodyFormat::Form => ("application/x-www-form-urlencoded", form(&fields)),
        BodyFormat::Json => ("application/json", json(&fields)),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    *request.body_mut() = Some(Body::from(body));
    request
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

fn json(fields: &[(&str, &str)]) -> String {
    let member = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::from(*value));
    Value::Object(fields.iter().map(member).collect::<Map<_, _>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_secret_are_form_encoded_before_they_are_joined() {
        let basic = basic("id 1", &"s:ecret".into());

        let decoded = STANDARD.decode(basic.expose_secret()).expect("base64");
        assert_eq!(String::from_utf8(decoded).unwrap(), "id+1:s%3Aecret");
    }
}
