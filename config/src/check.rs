//! Checks one value against its kind and brings it into the form that the types read.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use toml::Value;
use url::Url;

use crate::{Bare, Kind, database_url, duration, master_keys, redis_url};

/// The value in its final form: durations as whole milliseconds, lists as arrays of texts,
/// everything else as its own type. `bare` is what a plain number means under the name that
/// was used.
///
/// # Errors
///
/// What is wrong with it, as a clause that shows no secret.
pub(crate) fn check(kind: Kind, value: &Value, bare: Bare) -> Result<Value, String> {
    match kind {
        Kind::Switch => switch(value),
        Kind::Whole { min, max } => whole(value, min, max),
        Kind::Decimal { min, max } => decimal(value, min, max),
        Kind::Span {
            min,
            max,
            plain_seconds,
        } => {
            let bare = match bare {
                Bare::Refused if plain_seconds => Bare::Seconds,
                other => other,
            };
            span(value, (min, max), bare)
        }
        Kind::Origins => list(value, origin),
        Kind::Networks => list(value, network),
        Kind::List => list(value, |item| Ok(item.to_owned())),
        _ => text(kind, value),
    }
}

fn text(kind: Kind, value: &Value) -> Result<Value, String> {
    let text = match value {
        Value::String(text) => text.trim(),
        // An app id is digits only; people write it without quotes.
        Value::Integer(number) if matches!(kind, Kind::Text | Kind::Secret { .. }) => {
            &number.to_string()
        }
        other => return Err(format!("{} is no text", type_of(other))),
    };
    let checked = match kind {
        Kind::Word { max } => word(text, max),
        Kind::Choice(words) => choice(text, words),
        Kind::Address => address(text),
        Kind::Web => web(text),
        Kind::Endpoint => endpoint(text),
        Kind::GraphVersion => graph_version(text),
        Kind::LogFilter => log_filter(text),
        Kind::Secret { min } => secret(text, min),
        Kind::DatabaseUrl => database_url::normalized(text),
        Kind::RedisUrl => redis_url::checked(text),
        Kind::MasterKeys => master_keys::normalized(text).map_err(|error| error.to_string()),
        _ => Ok(text.to_owned()),
    }?;
    if checked.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Value::String(checked))
}

fn switch(value: &Value) -> Result<Value, String> {
    match value {
        Value::Boolean(_) => Ok(value.clone()),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Boolean(false)),
            _ => Err(format!("{text:?} is neither")),
        },
        other => Err(format!("{} is neither", type_of(other))),
    }
}

fn whole(value: &Value, min: i64, max: i64) -> Result<Value, String> {
    let number = match value {
        Value::Integer(number) => *number,
        Value::String(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("{text:?} is no whole number"))?,
        other => return Err(format!("{} is no whole number", type_of(other))),
    };
    if number < min || number > max {
        return Err(format!("{number} is out of range"));
    }
    Ok(Value::Integer(number))
}

fn decimal(value: &Value, min: f64, max: f64) -> Result<Value, String> {
    let number: f64 = match value {
        Value::Float(number) => *number,
        Value::Integer(number) => number.to_string().parse().unwrap_or(f64::NAN),
        Value::String(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("{text:?} is no number"))?,
        other => return Err(format!("{} is no number", type_of(other))),
    };
    if !(min..=max).contains(&number) {
        return Err(format!("{number} is out of range"));
    }
    Ok(Value::Float(number))
}

fn span(value: &Value, range: (Duration, Duration), bare: Bare) -> Result<Value, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => return Err(format!("{} is no duration", type_of(other))),
    };
    let duration = duration::parse(&text, bare).ok_or_else(|| {
        if text.trim().parse::<u64>().is_ok() {
            format!("{text:?} has no unit")
        } else {
            format!("{text:?} is no duration")
        }
    })?;
    if duration < range.0 || duration > range.1 {
        return Err(format!("{} is out of range", duration::show(duration)));
    }
    let millis = i64::try_from(duration.as_millis()).map_err(|_| "it is too long".to_owned())?;
    Ok(Value::Integer(millis))
}

fn list(value: &Value, item: impl Fn(&str) -> Result<String, String>) -> Result<Value, String> {
    let items: Vec<&str> = match value {
        Value::String(text) => text.split(',').collect(),
        Value::Array(values) => values
            .iter()
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| "it holds more than texts".to_owned())
            })
            .collect::<Result<_, _>>()?,
        other => return Err(format!("{} is no list", type_of(other))),
    };
    items
        .into_iter()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| item(text).map(Value::String))
        .collect::<Result<_, _>>()
        .map(Value::Array)
}

fn word(text: &str, max: usize) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if text.len() > max || !text.bytes().all(allowed) {
        return Err(format!("{text:?} is not"));
    }
    Ok(text.to_owned())
}

fn choice(text: &str, words: &[&str]) -> Result<String, String> {
    words
        .iter()
        .find(|word| word.eq_ignore_ascii_case(text))
        .map(|word| (*word).to_owned())
        .ok_or_else(|| format!("{text:?} is none of them"))
}

fn address(text: &str) -> Result<String, String> {
    let local = text.replacen("localhost:", "127.0.0.1:", 1);
    let address: SocketAddr = local
        .parse()
        .map_err(|_| format!("{text:?} is no address with a port"))?;
    Ok(address.to_string())
}

/// Keeps a path, drops a trailing slash, so that paths can be appended.
fn web(text: &str) -> Result<String, String> {
    endpoint(text).map(|address| address.trim_end_matches('/').to_owned())
}

fn endpoint(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("{text:?} is neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it names a user".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} has a query or a fragment"));
    }
    Ok(url.into())
}

fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let address = web(text)?;
    let url = Url::parse(&address).map_err(|error| error.to_string())?;
    if url.path() != "/" {
        return Err(format!("{text:?} has a path"));
    }
    Ok(url.origin().ascii_serialization())
}

fn network(text: &str) -> Result<String, String> {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("{text:?} is no address or network"))?;
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let bits_are_right =
        bits.is_empty() && !text.contains('/') || bits.parse::<u8>().is_ok_and(|bits| bits <= most);
    if !bits_are_right {
        return Err(format!("{text:?} is no network"));
    }
    Ok(text.to_owned())
}

fn graph_version(text: &str) -> Result<String, String> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.strip_prefix('v').and_then(|rest| rest.split_once('.')) {
        Some((major, minor)) if number(major) && number(minor) => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no version")),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        let level = level.trim().to_lowercase();
        let is_target = !part.contains('=') && part.contains("::");
        if !LEVELS.contains(&level.as_str()) && !is_target {
            return Err(format!("{part:?} names no level"));
        }
    }
    Ok(text.to_owned())
}

fn secret(text: &str, min: usize) -> Result<String, String> {
    let length = text.chars().count();
    if length < min {
        return Err(format!("it has {length} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a line break or another control character".to_owned());
    }
    Ok(text.to_owned())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "a switch",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
        check(kind, &Value::String(text.to_owned()), Bare::Refused)
    }

    #[test]
    fn a_value_is_brought_into_its_final_form() {
        let forms = [
            (Kind::Switch, "Yes", Value::Boolean(true)),
            (Kind::Whole { min: 1, max: 9 }, " 3 ", Value::Integer(3)),
            (Kind::Decimal { min: 1.0, max: 9.0 }, "2", Value::Float(2.0)),
            (Kind::Choice(&["POST", "GET"]), "post", "POST".into()),
            (Kind::Address, "localhost:80", "127.0.0.1:80".into()),
            (
                Kind::Web,
                "https://x.example/a/",
                "https://x.example/a".into(),
            ),
            (Kind::GraphVersion, "v25.0", "v25.0".into()),
        ];

        for (kind, text, form) in forms {
            assert_eq!(from_text(kind, text), Ok(form), "{kind:?}");
        }
    }

    #[test]
    fn a_value_outside_its_kind_is_refused() {
        let refused = [
            (Kind::Switch, "maybe"),
            (Kind::Whole { min: 1, max: 9 }, "0"),
            (Kind::Whole { min: 1, max: 9 }, "many"),
            (Kind::Decimal { min: 1.0, max: 9.0 }, "NaN"),
            (Kind::Word { max: 8 }, "a:b"),
            (Kind::Choice(&["POST", "GET"]), "PUT"),
            (Kind::Address, "8000"),
            (Kind::Web, "ftp://x.example"),
            (Kind::Web, "https://u:p@x.example"),
            (Kind::Web, "https://x.example/?a=b"),
            (Kind::Origins, "https://x.example/path"),
            (Kind::Networks, "10.0.0.0/33"),
            (Kind::GraphVersion, "25"),
            (Kind::LogFilter, "verbose"),
            (Kind::Secret { min: 16 }, "short"),
            (Kind::RedisUrl, "http://x.example"),
            (Kind::RedisUrl, "redis://localhost:6379/first"),
            (Kind::Text, "  "),
        ];

        for (kind, text) in refused {
            assert!(from_text(kind, text).is_err(), "{kind:?} {text:?}");
        }
    }

    #[test]
    fn a_list_is_read_from_commas_and_from_an_array() {
        let array = Value::Array(vec!["10.0.0.0/8".into(), "::1".into()]);

        assert_eq!(
            from_text(Kind::Networks, "10.0.0.0/8, ::1,"),
            Ok(array.clone())
        );
        assert_eq!(check(Kind::Networks, &array, Bare::Refused), Ok(array));
    }
}
