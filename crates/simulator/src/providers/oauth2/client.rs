//! Who asks, and whether the request is written as the provider wants it
//! (RFC 6749 section 2.3.1).

use axum::http::{Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use super::answers::{Problem, invalid_client};
use super::{OAuth2, SCOPE};
use crate::call::{Call, Fields};
use crate::{BodyFormat, ClientAuth};

/// The fields of a request, if it has the right content type; JSON may only hold text.
pub(super) fn fields(call: &Call, format: BodyFormat) -> Option<Fields> {
    match format {
        BodyFormat::Form if call.is("application/x-www-form-urlencoded") => {
            Some(Fields::parse(&call.body))
        }
        BodyFormat::Json if call.is("application/json") => Fields::of_json(&call.body),
        BodyFormat::Form | BodyFormat::Json => None,
    }
}

impl OAuth2 {
    /// What is asked of a refresh, before its refresh token is looked at.
    pub(super) fn check(&self, call: &Call) -> Result<(), Problem> {
        let fields = self.checked(call, &["grant_type", "refresh_token", "scope"])?;
        let wrong = |text: String| Err(Problem::new("invalid_request", text));
        match fields.get("grant_type") {
            Some("refresh_token") => {}
            Some(_) => {
                let text = "The grant type is not supported";
                return Err(Problem::new("unsupported_grant_type", text));
            }
            None => return wrong("The parameter grant_type is missing".to_owned()),
        }
        if fields.get("refresh_token").is_none() {
            return wrong("The parameter refresh_token is missing".to_owned());
        }
        let mut scopes = fields.get("scope").unwrap_or_default().split(' ');
        match scopes.find(|scope| !scope.is_empty() && !SCOPE.contains(scope)) {
            Some(_) => Err(Problem::new(
                "invalid_scope",
                "The scope exceeds what was granted",
            )),
            None => Ok(()),
        }
    }

    /// What is asked of every request: its form, its client, and no more than these fields.
    pub(super) fn checked(&self, call: &Call, known: &[&'static str]) -> Result<Fields, Problem> {
        let wrong = |text: String| Err(Problem::new("invalid_request", text));
        if call.method != Method::POST {
            return Err(Problem {
                status: 405,
                ..Problem::new("invalid_request", "Only POST is allowed")
            });
        }
        if !call.query.is_empty() {
            return wrong("Parameters belong in the body".to_owned());
        }
        let Some(fields) = fields(call, self.settings.body) else {
            let format = match self.settings.body {
                BodyFormat::Form => "a form",
                BodyFormat::Json => "a flat object of JSON",
            };
            return wrong(format!("The body must be {format}"));
        };
        self.check_client(call, &fields)?;
        let mut allowed = known.to_vec();
        match self.settings.auth {
            ClientAuth::Basic => {}
            ClientAuth::Body => allowed.extend(["client_id", "client_secret"]),
            ClientAuth::Public => allowed.push("client_id"),
        }
        if let Some(name) = fields.unexpected(&allowed) {
            return wrong(format!("The parameter {name} is unknown or given twice"));
        }
        Ok(fields)
    }

    /// The client's credentials, in the one place where they belong.
    fn check_client(&self, call: &Call, fields: &Fields) -> Result<(), Problem> {
        let auth = self.settings.auth;
        let in_header = call.headers.contains_key(header::AUTHORIZATION);
        let (id, secret) = (fields.get("client_id"), fields.get("client_secret"));
        if in_header && (id.is_some() || secret.is_some()) {
            let text = "The client authenticates in two places";
            return Err(Problem::new("invalid_request", text));
        }
        let client = &self.settings.client;
        let known =
            |id: &str, secret: &str| id == client.id && secret == client.secret.expose_secret();
        let accepted = match auth {
            ClientAuth::Basic => {
                let given = call.header(header::AUTHORIZATION).and_then(basic);
                given.is_some_and(|(id, secret)| known(&id, &secret))
            }
            ClientAuth::Body => !in_header && id.zip(secret).is_some_and(|(i, s)| known(i, s)),
            ClientAuth::Public => !in_header && id == Some(&client.id),
        };
        if accepted {
            Ok(())
        } else {
            Err(invalid_client(auth))
        }
    }
}

/// Id and secret of `Basic …`: each is form-encoded, then both are base64.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// One form-encoded value; `None` if it was not encoded at all.
fn form_decoded(value: &str) -> Option<String> {
    let is_encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"*-._+%".contains(&byte);
    if !value.bytes().all(is_encoded) {
        return None;
    }
    let fields = Fields::parse(format!("v={value}").as_bytes());
    fields.get("v").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_secret_are_form_encoded_before_base64() {
        let header = |plain: &str| format!("Basic {}", STANDARD.encode(plain));
        let read = |plain: &str| basic(&header(plain));

        assert_eq!(
            read("id+1:s%3Aecret"),
            Some(("id 1".to_owned(), "s:ecret".to_owned()))
        );
        assert_eq!(read("id 1:secret"), None);
        assert_eq!(read("id:s:ecret"), None);
        assert_eq!(basic("Bearer abc"), None);
    }
}
