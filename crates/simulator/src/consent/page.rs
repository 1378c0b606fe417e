//! The pages of consent, as plain as they can be.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use url::Url;

use super::request::Asked;
use crate::grants;
use crate::world::World;

/// The account that does not exist yet.
pub(super) const SOMEBODY_NEW: &str = "new";

/// Accounts to choose from.
const SHOWN: usize = 20;

/// Asks the person; the form comes back to the same address.
pub(super) fn question(world: &World, provider: usize, asked: &Asked) -> Response<Body> {
    let name = world.providers[provider].name();
    let mut accounts = account(SOMEBODY_NEW, "a new account", true);
    let numbers = world.grants.numbers(Some(provider));
    for number in numbers.into_iter().rev().take(SHOWN) {
        let id = grants::id(name, number);
        accounts.push_str(&account(&id, &world.display_name(number), false));
    }
    let scope = escaped(&asked.scope);
    let back = escaped(&asked.redirect_uri.origin().ascii_serialization());
    html(
        StatusCode::OK,
        &format!(
            "<h1>{name} (simulated)</h1>\
             <p>An app asks to act for you at {back}. It asks for: <code>{scope}</code></p>\
             <form method=\"post\"><p>You are logged in as</p>{accounts}\
             <p><button name=\"decision\" value=\"allow\">Allow</button> \
             <button name=\"decision\" value=\"deny\">Deny</button></p></form>"
        ),
    )
}

/// Tells the person that the app asked wrongly; nobody is sent anywhere.
pub(super) fn refusal(text: &str) -> Response<Body> {
    let text = escaped(text);
    html(
        StatusCode::BAD_REQUEST,
        &format!("<h1>This app made a mistake</h1><p>{text}</p>"),
    )
}

/// Sends the browser back to the app.
pub(super) fn back(to: &Url) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let to = HeaderValue::from_str(to.as_str()).expect("an address is visible ASCII");
    response.headers_mut().insert(header::LOCATION, to);
    response
}

fn account(id: &str, name: &str, chosen: bool) -> String {
    let (id, name) = (escaped(id), escaped(name));
    let checked = if chosen { " checked" } else { "" };
    format!(
        "<label><input type=\"radio\" name=\"account\" value=\"{id}\"{checked}> \
         {name} <small>{id}</small></label><br>"
    )
}

fn html(status: StatusCode, body: &str) -> Response<Body> {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>Consent (simulated)</title></head><body>{body}</body></html>"
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, character| {
        match character {
            '<' | '>' | '&' | '"' | '\'' => {
                write!(safe, "&#{};", u32::from(character)).expect("a string takes all");
            }
            plain => safe.push(plain),
        }
        safe
    })
}
