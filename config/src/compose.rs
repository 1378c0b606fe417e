//! Puts `DATABASE_URL` and `REDIS_URL` together from their parts where they are unset.

use toml::Value;
use url::Url;

use crate::values::{Sourced, Values};
use crate::{Setting, SettingsError, Source, catalog};

const DATABASE: [&str; 5] = [
    "database.user",
    "database.password",
    "database.host",
    "database.port",
    "database.name",
];
const REDIS: [&str; 4] = ["redis.host", "redis.port", "redis.db", "redis.password"];

/// Replaces the parts by the addresses that they make up.
///
/// # Errors
///
/// [`SettingsError::Contradiction`] if there are parts, but not enough.
pub(crate) fn compose(values: &mut Values) -> Result<(), SettingsError> {
    let database = take(values, &DATABASE);
    if !values.0.contains_key("database.url") && database.given() {
        let url = database.postgres()?;
        values
            .0
            .insert("database.url".to_owned(), database.sourced(&url));
    }
    let redis = take(values, &REDIS);
    if !values.0.contains_key("redis.url") && redis.given() {
        let url = redis.redis()?;
        values.0.insert("redis.url".to_owned(), redis.sourced(&url));
    }
    values.0.remove("redis.decode_responses");
    Ok(())
}

/// The parts that were set, with their keys.
struct Parts(Vec<(&'static str, Sourced)>);

fn take(values: &mut Values, keys: &[&'static str]) -> Parts {
    Parts(
        keys.iter()
            .filter_map(|key| Some((*key, values.0.remove(*key)?)))
            .collect(),
    )
}

impl Parts {
    fn given(&self) -> bool {
        !self.0.is_empty()
    }

    fn get(&self, key: &str) -> Option<String> {
        let (_, part) = self.0.iter().find(|(known, _)| *known == key)?;
        match &part.value {
            Value::String(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn required(&self, key: &'static str) -> Result<String, SettingsError> {
        let name = catalog::find(key).map_or_else(String::new, Setting::usual_name);
        self.get(key).ok_or_else(|| {
            SettingsError::Contradiction(format!(
                "{} set, but {name} is missing; set it, or one address instead of the parts",
                self.names()
            ))
        })
    }

    fn postgres(&self) -> Result<String, SettingsError> {
        let host = self.required("database.host")?;
        let name = self.required("database.name")?;
        let mut url = base("postgres", &host, &self.names())?;
        url.set_path(&name);
        let user = self.get("database.user").unwrap_or("postgres".to_owned());
        let password = self.get("database.password");
        let port = self.get("database.port");
        complete(&mut url, &user, password.as_deref(), port.as_deref());
        Ok(url.to_string())
    }

    fn redis(&self) -> Result<String, SettingsError> {
        let host = self.required("redis.host")?;
        let mut url = base("redis", &host, &self.names())?;
        url.set_path(&self.get("redis.db").unwrap_or("0".to_owned()));
        let password = self.get("redis.password");
        let port = self.get("redis.port").unwrap_or("6379".to_owned());
        complete(&mut url, "", password.as_deref(), Some(&port));
        Ok(url.to_string())
    }

    fn sourced(&self, url: &str) -> Sourced {
        Sourced {
            value: url.into(),
            source: Source::Parts(self.names()),
        }
    }

    fn names(&self) -> String {
        let usual = |(key, _): &(&str, _)| {
            catalog::find(key).map_or_else(|| (*key).to_owned(), Setting::usual_name)
        };
        self.0.iter().map(usual).collect::<Vec<_>>().join(", ")
    }
}

fn base(scheme: &str, host: &str, names: &str) -> Result<Url, SettingsError> {
    Url::parse(&format!("{scheme}://{host}/"))
        .ok()
        .filter(|url| url.host_str() == Some(host) && url.port().is_none())
        .ok_or_else(|| {
            SettingsError::Contradiction(format!("{names}: {host:?} is no host name or IP address"))
        })
}

/// Adds what a URL with a host can always take.
fn complete(url: &mut Url, user: &str, password: Option<&str>, port: Option<&str>) {
    let _ = url.set_username(user);
    let _ = url.set_password(password);
    let _ = url.set_port(port.and_then(|port| port.parse().ok()));
}
