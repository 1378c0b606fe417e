//! What can be said of a tenant's address as it is written.

use std::net::IpAddr;

use url::{Host, Url};

use super::EgressRefusal;
use super::address::Reach;

/// Longer ones are refused before they are parsed.
const LONGEST: usize = 2048;

/// An address that paths are added to, if nothing speaks against it yet.
pub(super) fn check(given: &str, allow_private: bool) -> Result<Url, EgressRefusal> {
    let url = check_target(given, allow_private)?;
    if url.query().is_some() {
        return Err(EgressRefusal::Query);
    }
    Ok(url)
}

/// An address that is called as it is, if nothing speaks against it yet: it may have a query.
pub(super) fn check_target(given: &str, allow_private: bool) -> Result<Url, EgressRefusal> {
    let url = Some(given)
        .filter(|given| given.len() <= LONGEST)
        .and_then(|given| Url::parse(given).ok())
        .ok_or(EgressRefusal::Malformed)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err(EgressRefusal::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EgressRefusal::User);
    }
    if url.fragment().is_some() {
        return Err(EgressRefusal::Query);
    }
    match url.host().ok_or(EgressRefusal::Malformed)? {
        Host::Domain(name) if is_local(name) && !allow_private => Err(EgressRefusal::Private),
        Host::Domain(_) => Ok(url),
        Host::Ipv4(address) => allowed(address.into(), allow_private).map(|()| url),
        Host::Ipv6(address) => allowed(address.into(), allow_private).map(|()| url),
    }
}

/// # Errors
///
/// [`EgressRefusal`] if nobody at this address may be called.
pub(super) fn allowed(address: IpAddr, allow_private: bool) -> Result<(), EgressRefusal> {
    match Reach::of(address) {
        Reach::Public => Ok(()),
        Reach::Private if allow_private => Ok(()),
        Reach::Private => Err(EgressRefusal::Private),
        Reach::Reserved => Err(EgressRefusal::Reserved),
    }
}

/// RFC 6761 section 6.3: always this machine, whatever a resolver says.
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(given: &str) -> Option<EgressRefusal> {
        check(given, false).err()
    }

    #[test]
    fn a_plain_https_address_is_fine() {
        for given in [
            "https://api.example.com",
            "https://api.example.com/api/",
            "https://api.example.com:8443/api",
            "https://1.1.1.1/api",
            "https://[2606:4700:4700::1111]/api",
        ] {
            assert_eq!(refusal(given), None, "{given}");
        }
    }

    #[test]
    fn everything_else_is_refused_for_what_it_is() {
        use EgressRefusal::{Malformed, Private, Query, Reserved, Scheme, User};
        for (given, expected) in [
            ("", Malformed),
            ("api.example.com", Malformed),
            ("https://", Malformed),
            ("https://exa mple.com", Malformed),
            ("https://api.example.com:99999", Malformed),
            ("http://api.example.com", Scheme),
            ("ftp://api.example.com", Scheme),
            ("file:///etc/passwd", Scheme),
            ("unix:/run/docker.sock", Scheme),
            ("https://user@api.example.com", User),
            ("https://user:pass@api.example.com", User),
            ("https://api.example.com@10.0.0.1", User),
            ("https://api.example.com/?x=1", Query),
            ("https://api.example.com/#x", Query),
            ("https://localhost/api", Private),
            ("https://LOCALHOST./api", Private),
            ("https://any.localhost/api", Private),
            ("https://127.0.0.1/api", Private),
            ("https://127.1/api", Private),
            ("https://2130706433/api", Private),
            ("https://0x7f.1/api", Private),
            ("https://0177.0.0.1/api", Private),
            ("https://10.0.0.1", Private),
            ("https://[::1]/api", Private),
            ("https://[::ffff:10.0.0.1]/api", Private),
            ("https://[fd00::1]/api", Private),
            ("https://0/api", Reserved),
            ("https://169.254.169.254/latest/meta-data", Reserved),
            ("https://[fe80::1]/api", Reserved),
            ("https://[::ffff:a9fe:a9fe]/api", Reserved),
            ("https://255.255.255.255", Reserved),
        ] {
            assert_eq!(refusal(given), Some(expected), "{given}");
        }
        assert!(check_target("https://api.example.com/?x=1", false).is_ok());
        let long = format!("https://api.example.com/{}", "x".repeat(LONGEST));
        assert_eq!(refusal(&long), Some(Malformed));
    }

    #[test]
    fn an_operator_may_allow_private_addresses_but_no_reserved_ones() {
        for given in [
            "http://127.0.0.1:4010/service_token/api",
            "http://localhost:1",
            "https://10.0.0.1",
            "http://[fd00::1]/api",
        ] {
            assert_eq!(check(given, true).err(), None, "{given}");
        }
        for given in [
            "http://169.254.169.254/",
            "https://0.0.0.0",
            "http://[ff02::1]",
        ] {
            let refusal = check(given, true).err();

            assert_eq!(refusal, Some(EgressRefusal::Reserved), "{given}");
        }
    }
}
