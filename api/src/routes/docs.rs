//! `/openapi.json`, and `/docs`: the document as a page that needs nothing from elsewhere.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use axum::response::{IntoResponse, Response};
use http::header;
use utoipa_swagger_ui::Config;

use crate::problem::Problem;

/// Scripts, styles and requests of our own alone; the page sets styles of single elements,
/// and its pictures stand in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Addresses are relative, so that the page also works behind a proxy that adds a prefix.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API of tokenfleet</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="document"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"#;

const START: &str = r##"SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#document",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  tagsSorter: "alpha",
  validatorUrl: null,
});
"##;

/// Shows the document; it is the same as long as the process lives.
pub(super) async fn document() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| super::table().document().to_string());
    ([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}

/// Shows the page.
pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, PAGE).into_response()
}

/// Starts the page.
pub(super) async fn start() -> Response {
    part("text/javascript; charset=utf-8", START.as_bytes().into())
}

/// The page's script, which comes with the program.
pub(super) async fn script() -> Result<Response, Problem> {
    let script = part_of_swagger_ui("swagger-ui-bundle.js")?;
    Ok(part("text/javascript; charset=utf-8", script))
}

/// The page's style sheet, which comes with the program.
pub(super) async fn style() -> Result<Response, Problem> {
    let style = part_of_swagger_ui("swagger-ui.css")?;
    Ok(part("text/css; charset=utf-8", style))
}

fn part_of_swagger_ui(name: &str) -> Result<Cow<'static, [u8]>, Problem> {
    let config = Arc::new(Config::from("openapi.json"));
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => Ok(file.bytes),
        Ok(None) | Err(_) => Err(Problem::not_found("file")),
    }
}

fn part(media_type: &'static str, bytes: Cow<'static, [u8]>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, bytes).into_response()
}
