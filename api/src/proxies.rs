//! Who is behind a proxy, as far as that proxy is believed.

use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;

/// The header in which each proxy adds, at its end, whom it was called by.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// An address, or a network in CIDR form: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text that is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an address, or a network such as 10.0.0.0/8")]
pub struct InvalidNetwork;

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differs = network.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differs = network.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits
            .map_or(Ok(most), str::parse)
            .map_err(|_| InvalidNetwork)?;
        if bits > most {
            return Err(InvalidNetwork);
        }
        Ok(Self { address, bits })
    }
}

/// Whom a request comes from: the peer, or whom a trusted peer says it was called by.
///
/// The header is read from its end, for only what trusted proxies have added is
/// true; what is no address ends the search.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let hops = headers.get_all(FORWARDED_FOR).iter().rev();
    for hop in hops.flat_map(|value| value.to_str().unwrap_or_default().rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(address) => client = address.to_canonical(),
            Err(_) => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn found(peer: &str, forwarded: &[&'static str]) -> String {
        let trusted: Vec<Network> = ["10.0.0.0/8", "2001:db8::/32", "127.0.0.1"]
            .iter()
            .map(|text| text.parse().expect("a network"))
            .collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        client(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        assert_eq!(found("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn what_trusted_proxies_added_is_believed_and_nothing_before_it() {
        assert_eq!(found("10.1.1.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(found("::ffff:10.1.1.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            found("127.0.0.1", &["203.0.113.9, 198.51.100.7, 10.2.2.2"]),
            "198.51.100.7"
        );
        assert_eq!(
            found("2001:db8::1", &["203.0.113.9", "198.51.100.7"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn without_a_header_that_can_be_read_the_proxy_is_the_client() {
        assert_eq!(found("10.1.1.1", &[]), "10.1.1.1");
        assert_eq!(found("10.1.1.1", &["unknown"]), "10.1.1.1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "host", "::/129"] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
    }
}
