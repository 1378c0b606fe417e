//! `/` and the files of the dashboard (S5.9): a page that shows with the visitor's own token
//! what the API tells.
//!
//! The page and its files hold no figures and no secrets, so everybody may load them.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::connect::escaped;
use crate::problem::Problem;
use crate::tokens::is_known;

/// Scripts, styles and requests of our own alone. Its forms are sent by the script: without it
/// a password must not end in the address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const PAGE: &str = include_str!("../dashboard/page.html");

/// The files that the page loads: name, media type and text.
const PARTS: [(&str, &str, &str); 7] = [
    (
        "figures.js",
        SCRIPT,
        include_str!("../dashboard/figures.js"),
    ),
    ("main.js", SCRIPT, include_str!("../dashboard/main.js")),
    ("paint.js", SCRIPT, include_str!("../dashboard/paint.js")),
    (
        "session.js",
        SCRIPT,
        include_str!("../dashboard/session.js"),
    ),
    ("stuck.js", SCRIPT, include_str!("../dashboard/stuck.js")),
    ("style.css", CSS, include_str!("../dashboard/style.css")),
    ("words.js", SCRIPT, include_str!("../dashboard/words.js")),
];

/// Shows the dashboard to browsers, and says to other programs where to look.
pub(super) async fn home(State(app): State<App>, headers: HeaderMap) -> Response {
    let mut answer = if is_browser(&headers) {
        let page = PAGE.replace("{app_name}", &escaped(&app.settings.app_name));
        file(&headers, HTML, page)
    } else {
        let plain = "text/plain; charset=utf-8";
        ([(header::CONTENT_TYPE, plain)], directions(&app)).into_response()
    };
    let vary = HeaderValue::from_static("accept");
    answer.headers_mut().insert(header::VARY, vary);
    answer
}

/// Whether HTML is asked for by name: `curl` and other programs take anything.
fn is_browser(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"))
}

fn directions(app: &App) -> String {
    format!(
        "{name}: keeps other people's access tokens alive.\n\n\
         Programs talk to {base}/api/v1 with the header Authorization: Bearer <token>.\n\
         {base}/        the dashboard, in a browser\n\
         {base}/docs    the whole API\n\
         {base}/livez   the process runs\n\
         {base}/readyz  its database, its Redis and its workers answer\n\
         {base}/metrics the figures of the fleet, for Prometheus\n\n\
         On the command line: tokenfleet --help\n",
        name = app.settings.app_name,
        base = app.settings.public_url.as_deref().unwrap_or_default(),
    )
}

/// Shows a file of the dashboard.
pub(super) async fn part(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = PARTS.iter().find(|(known, ..)| *known == name);
    let (_, media_type, text) = found.ok_or_else(|| Problem::not_found("file"))?;
    Ok(file(&headers, media_type, (*text).to_owned()))
}

/// A file that a browser keeps but asks after each time, so that page and scripts are always
/// those of one version; 304 if it has this one.
fn file(headers: &HeaderMap, media_type: &'static str, text: String) -> Response {
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(&text)));
    let tag = HeaderValue::try_from(tag).expect("base64 can stand in a header");
    // The policy too: browsers take the headers of a 304 for those of what they kept.
    let kept = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (header::ETAG, tag.clone()),
    ];
    if is_known(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(header::CONTENT_TYPE, media_type)], text).into_response()
}
