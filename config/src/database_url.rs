//! The database's address: what people paste, brought into the form that the store opens.

use url::Url;

use crate::redis_url;

/// Parameters of Prisma's own pool, which mean nothing to a server.
const FOREIGN: [&str; 6] = [
    "connection_limit",
    "pool_timeout",
    "pgbouncer",
    "socket_timeout",
    "statement_cache_size",
    "async_fallback",
];

/// `sqlite:PATH…` as it is, `postgres://…` with a driver name, a `jdbc:` prefix
/// and the parameters of SQLAlchemy and Prisma translated.
///
/// # Errors
///
/// What is wrong with it, without showing it.
pub(crate) fn normalized(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("jdbc:").unwrap_or(text);
    let (scheme, rest) = text
        .split_once(':')
        .ok_or_else(|| "it has no scheme".to_owned())?;
    let (family, driver) = scheme.split_once('+').unwrap_or((scheme, ""));
    match family {
        "sqlite" => sqlite(rest, !driver.is_empty()),
        "postgres" | "postgresql" => postgres(rest),
        "file" => sqlite(rest, false),
        other => Err(format!("the database {other:?} is not supported")),
    }
}

/// The same address without password and parameters, for people.
pub(crate) fn shown(text: &str) -> String {
    if text.starts_with("sqlite:") || text.starts_with("redis+unix:") || text.starts_with("unix:") {
        return text.split('?').next().unwrap_or_default().to_owned();
    }
    if let Some(shown) = redis_url::shown(text) {
        return shown;
    }
    let Ok(mut url) = Url::parse(text) else {
        return "set".to_owned();
    };
    if url.password().is_some() {
        // Cannot fail: a URL with a password has a host.
        let _ = url.set_password(Some("***"));
    }
    url.set_query(None);
    url.to_string()
}

/// With a driver's name it is SQLAlchemy's form: three slashes are relative, four absolute.
fn sqlite(rest: &str, sqlalchemy: bool) -> Result<String, String> {
    let path = if sqlalchemy {
        rest.strip_prefix("///").unwrap_or(rest)
    } else {
        rest.strip_prefix("//").unwrap_or(rest)
    };
    if path.is_empty() {
        return Err("it names no file".to_owned());
    }
    if path.split('?').next() == Some(":memory:") {
        return Err("a database in memory is lost at the end of the process".to_owned());
    }
    Ok(format!("sqlite:{path}"))
}

fn postgres(rest: &str) -> Result<String, String> {
    // The parser's message may quote a part of the address, the password included.
    let mut url = Url::parse(&format!("postgres:{rest}")).map_err(|_| {
        "it is no address (special characters in a password must be %-encoded)".to_owned()
    })?;
    if !rest.starts_with("//") || url.cannot_be_a_base() {
        return Err("it lacks // after the scheme".to_owned());
    }
    if url.path().trim_matches('/').is_empty() {
        return Err("it names no database".to_owned());
    }
    let parameters: Vec<(String, String)> = url
        .query_pairs()
        .filter_map(|(name, value)| parameter(&name, &value))
        .collect();
    url.set_query(None);
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    Ok(url.to_string())
}

fn parameter(name: &str, value: &str) -> Option<(String, String)> {
    match name {
        "schema" if value == "public" => None,
        "schema" => Some(("options[search_path]".to_owned(), value.to_owned())),
        "ssl" => Some((
            "sslmode".to_owned(),
            if value == "true" { "require" } else { value }.to_owned(),
        )),
        _ if FOREIGN.contains(&name) => None,
        _ => Some((name.to_owned(), value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_is_translated() {
        let pairs = [
            ("sqlite:fleet.db", "sqlite:fleet.db"),
            ("sqlite://fleet.db?mode=rwc", "sqlite:fleet.db?mode=rwc"),
            ("sqlite:///var/fleet.db", "sqlite:/var/fleet.db"),
            ("sqlite+aiosqlite:///./fleet.db", "sqlite:./fleet.db"),
            ("sqlite+aiosqlite:////var/fleet.db", "sqlite:/var/fleet.db"),
            ("file:./dev.db", "sqlite:./dev.db"),
            ("postgres://u:p@h:5432/d", "postgres://u:p@h:5432/d"),
            ("postgresql+asyncpg://u:p@h/d", "postgres://u:p@h/d"),
            (
                "jdbc:postgresql://h/d?ssl=true",
                "postgres://h/d?sslmode=require",
            ),
            (
                "postgresql://u:p@h/d?schema=public&connection_limit=5",
                "postgres://u:p@h/d",
            ),
            (
                "postgres:///d?host=/run/postgresql",
                "postgres:///d?host=%2Frun%2Fpostgresql",
            ),
        ];

        for (pasted, expected) in pairs {
            assert_eq!(normalized(pasted).as_deref(), Ok(expected), "{pasted}");
        }
    }

    #[test]
    fn an_address_of_something_else_is_refused_without_showing_it() {
        for bad in [
            "fleet.db",
            "mysql://u:hush@h/d",
            "mongodb+srv://u:hush@h/d",
            "postgres://u:hush@h",
            "postgres:u:hush",
            "postgres://u:hu#sh@h:x/d",
            "sqlite:",
            "sqlite::memory:",
        ] {
            let problem = normalized(bad).expect_err(bad);

            assert!(!problem.contains("hush"), "{problem}");
        }
    }

    #[test]
    fn a_shown_address_has_no_password() {
        assert_eq!(
            shown("postgres://u:hush@h/d?password=hush"),
            "postgres://u:***@h/d"
        );
        assert_eq!(shown("redis://:hush@h:6379/0"), "redis://:***@h:6379/0");
        assert_eq!(shown("sqlite:/var/fleet.db?x=y"), "sqlite:/var/fleet.db");
    }
}
