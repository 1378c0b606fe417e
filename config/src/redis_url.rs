//! The address of Redis: one server, Sentinels that name it, or the nodes of a cluster.

use url::Url;

/// The address as it is, if it is one.
///
/// # Errors
///
/// What is wrong with it, without showing it.
pub(crate) fn checked(text: &str) -> Result<String, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| "it has no scheme".to_owned())?;
    if rest.is_empty() {
        return Err("it names no server".to_owned());
    }
    match scheme {
        "redis+unix" | "unix" => {}
        "redis" | "rediss" => one(text)?,
        _ => match kind_of(scheme) {
            Some("sentinel") => sentinels(rest)?,
            Some("cluster") => cluster(rest)?,
            _ => return Err(format!("the scheme {scheme:?} is none of Redis")),
        },
    }
    Ok(text.to_owned())
}

/// The same address without password, for people; `None` if it names a single server.
pub(crate) fn shown(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    kind_of(scheme)?;
    let rest = rest.split('?').next().unwrap_or_default();
    Some(match rest.rsplit_once('@') {
        Some((login, hosts)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{hosts}")
        }
        None => format!("{scheme}://{rest}"),
    })
}

/// Of `redis+sentinel`, `rediss-cluster` and the like.
fn kind_of(scheme: &str) -> Option<&str> {
    let (base, kind) = scheme.split_once(['+', '-'])?;
    let is_known = matches!(base, "redis" | "rediss") && matches!(kind, "sentinel" | "cluster");
    is_known.then_some(kind)
}

fn one(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    database(url.path().trim_matches('/'))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no server".to_owned());
    }
    Ok(())
}

fn sentinels(rest: &str) -> Result<(), String> {
    let (addresses, path) = rest.split_once('/').unwrap_or((rest, ""));
    hosts(addresses)?;
    let (service, db) = path.split_once('/').unwrap_or((path, ""));
    if service.is_empty() {
        return Err("it lacks the name by which the Sentinels know the master".to_owned());
    }
    database(db)
}

fn cluster(rest: &str) -> Result<(), String> {
    let (addresses, path) = rest.split_once('/').unwrap_or((rest, ""));
    hosts(addresses)?;
    if !matches!(path, "" | "0") {
        return Err("a cluster has database 0 alone".to_owned());
    }
    Ok(())
}

/// Several, after the log-in that all of them share.
fn hosts(addresses: &str) -> Result<(), String> {
    let hosts = addresses
        .rsplit_once('@')
        .map_or(addresses, |(_, hosts)| hosts);
    for host in hosts.split(',') {
        let address = Url::parse(&format!("redis://{host}"));
        let is_one = address.is_ok_and(|url| url.host_str().is_some_and(|it| !it.is_empty()));
        if !is_one {
            return Err("its servers are not HOST:PORT, separated by commas".to_owned());
        }
    }
    Ok(())
}

fn database(number: &str) -> Result<(), String> {
    if number.is_empty() || number.parse::<u16>().is_ok() {
        return Ok(());
    }
    Err("what follows the server is no database number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_sentinels_and_clusters_are_addresses() {
        let addresses = [
            "redis://:hush@h:6379/1",
            "unix:///run/redis.sock",
            "redis+sentinel://user:hush@a,b:26380/main/2",
            "redis-sentinel://[::1]:26379/main",
            "rediss-cluster://:hush@a:7000,b:7001",
            "redis+cluster://a:7000/0",
        ];

        for address in addresses {
            assert_eq!(checked(address).as_deref(), Ok(address));
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told_without_it() {
        let wrong = [
            ("redis+sentinel://:hush@a:1", "name by which"),
            ("redis+sentinel://:hush@a/main/x", "database number"),
            ("redis+sentinel://:hush@/main", "HOST:PORT"),
            ("redis+cluster://:hush@a:7000,,b", "HOST:PORT"),
            ("redis+cluster://:hush@a:port", "HOST:PORT"),
            ("redis+cluster://:hush@a/1", "database 0"),
            ("redis+ring://:hush@a", "scheme"),
            ("redis://:hush@h/first", "database number"),
        ];

        for (address, expected) in wrong {
            let told = checked(address).expect_err(address);
            assert!(told.contains(expected), "{address}: {told}");
            assert!(!told.contains("hush"), "{told}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(
            shown("redis+sentinel://:hush@a:1,b:2/main").as_deref(),
            Some("redis+sentinel://:***@a:1,b:2/main")
        );
        assert_eq!(
            shown("redis+cluster://a:1").as_deref(),
            Some("redis+cluster://a:1")
        );
        assert_eq!(shown("redis://:hush@h"), None);
    }
}
