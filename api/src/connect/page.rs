//! The short pages that a person who connects an account sees. They need nothing from
//! elsewhere, run no script, and show whatever they are given as plain text.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2330;--dim:#5b6472;--back:#f4f5f7;--card:#fff;--line:#dfe3e8;\
--good:#0b7a4b;--bad:#b3261e;--wait:#8a5a00;--act:#1f4fd8}\
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--dim:#a2abb8;--back:#12151b;--card:#1b2028;\
--line:#2c333e;--good:#4cc38a;--bad:#ff8a80;--wait:#f0b95b;--act:#7aa2ff}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;padding:1.5rem;\
background:var(--back);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
main{width:100%;max-width:30rem;background:var(--card);border:1px solid var(--line);\
border-radius:12px;padding:2rem}\
header{color:var(--dim);font-size:.875rem;margin-bottom:1.25rem}\
h1{font-size:1.375rem;line-height:1.3;margin:0 0 .75rem;overflow-wrap:anywhere}\
.good h1{color:var(--good)}.bad h1{color:var(--bad)}.wait h1{color:var(--wait)}\
p{margin:0 0 .75rem;overflow-wrap:anywhere}\
.dim{color:var(--dim);font-size:.875rem}\
button,a.act{display:inline-block;margin-top:.75rem;padding:.625rem 1.25rem;border:0;border-radius:8px;\
background:var(--act);color:var(--card);font:inherit;font-weight:600;text-decoration:none;cursor:pointer}\
button:focus-visible,a.act:focus-visible{outline:3px solid var(--ink);outline-offset:2px}";

/// The only style that the pages may have. No `form-action`: browsers would hold it against
/// the provider that the form's answer leads to.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 can stand in a header")
});

/// How a page looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Question,
    Good,
    Wait,
    Bad,
}

/// A page, made of plain text.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    mood: Mood,
    heading: String,
    paragraphs: Vec<String>,
    /// What is told in small letters.
    notes: Vec<String>,
    act: Option<Act>,
    app_name: String,
}

/// What the person can do next.
#[derive(Debug)]
enum Act {
    /// Use a link's token up.
    Post {
        label: &'static str,
        token: SecretString,
    },
    /// Open a link.
    Open { label: &'static str, url: String },
}

impl Page {
    /// A question to the person: 200.
    pub(crate) fn question(app_name: &str, heading: impl Into<String>) -> Self {
        Self::new(StatusCode::OK, Mood::Question, app_name, heading.into())
    }

    /// It is done: 200.
    pub(crate) fn success(app_name: &str, heading: impl Into<String>) -> Self {
        Self::new(StatusCode::OK, Mood::Good, app_name, heading.into())
    }

    /// Somebody else has to do something: 202.
    pub(crate) fn waiting(app_name: &str, heading: impl Into<String>) -> Self {
        Self::new(StatusCode::ACCEPTED, Mood::Wait, app_name, heading.into())
    }

    /// It is not done.
    pub(crate) fn failure(app_name: &str, status: StatusCode, heading: impl Into<String>) -> Self {
        Self::new(status, Mood::Bad, app_name, heading.into())
    }

    fn new(status: StatusCode, mood: Mood, app_name: &str, heading: String) -> Self {
        Self {
            status,
            mood,
            heading,
            paragraphs: Vec::new(),
            notes: Vec::new(),
            act: None,
            app_name: app_name.to_owned(),
        }
    }

    /// The same with one more paragraph.
    pub(crate) fn says(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(text.into());
        self
    }

    /// The same with something in small letters.
    pub(crate) fn notes(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The same with a button that uses a link's token up.
    pub(crate) fn asks(mut self, label: &'static str, token: SecretString) -> Self {
        self.act = Some(Act::Post { label, token });
        self
    }

    /// The same with a link, if there is one.
    pub(crate) fn offers(mut self, label: &'static str, url: Option<String>) -> Self {
        self.act = url.map(|url| Act::Open { label, url });
        self
    }

    fn html(&self) -> String {
        let mood = match self.mood {
            Mood::Question => "ask",
            Mood::Good => "good",
            Mood::Wait => "wait",
            Mood::Bad => "bad",
        };
        let (name, heading) = (escaped(&self.app_name), escaped(&self.heading));
        let mut body = format!("<header>{name}</header><h1>{heading}</h1>");
        for text in &self.paragraphs {
            write!(body, "<p>{}</p>", escaped(text)).expect("a string takes all");
        }
        for text in &self.notes {
            write!(body, "<p class=\"dim\">{}</p>", escaped(text)).expect("a string takes all");
        }
        body.push_str(&self.act.as_ref().map_or_else(String::new, Act::html));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"robots\" content=\"noindex\"><title>{heading}</title>\
             <link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head>\
             <body><main class=\"{mood}\">{body}</main></body></html>\n"
        )
    }
}

impl Act {
    fn html(&self) -> String {
        match self {
            // The form goes to the address of the page, without its query.
            Self::Post { label, token } => format!(
                "<form method=\"post\" action=\"?\">\
                 <input type=\"hidden\" name=\"token\" value=\"{}\">\
                 <button>{}</button></form>",
                escaped(token.expose_secret()),
                escaped(label)
            ),
            Self::Open { label, url } => format!(
                "<a class=\"act\" href=\"{}\">{}</a>",
                escaped(url),
                escaped(label)
            ),
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        ];
        (self.status, headers, self.html()).into_response()
    }
}

/// The text as it can stand in HTML, between tags and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            plain => safe.push(plain),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_page_is_given_it_shows_as_text() {
        const EVIL: &str = "</p><script>alert('1')</script>&\"";

        let page = Page::failure(EVIL, StatusCode::CONFLICT, EVIL)
            .says(EVIL)
            .notes(EVIL)
            .offers(
                "Try again",
                Some(format!("https://fleet.example/?a=\"{EVIL}")),
            );

        let html = page.html();
        assert!(!html.contains("<script") && !html.contains("'1'"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 6);
        assert!(html.contains("href=\"https://fleet.example/?a=&quot;&lt;/p&gt;"));
    }

    #[test]
    fn the_policy_lets_nothing_in_but_the_style_of_the_page() {
        let policy = POLICY.to_str().unwrap();

        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
