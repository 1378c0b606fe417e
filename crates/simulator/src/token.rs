//! Token values that say themselves where they belong, so that no index of all
//! tokens ever issued has to be kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

const PLAIN: usize = 9;
const MAC: usize = 24;

/// Which token of which grant a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRef {
    /// The grant's number.
    pub(crate) grant: u32,
    /// The generation of the grant that it was issued with.
    pub(crate) generation: u32,
    /// What it is for; each provider names its own.
    pub(crate) purpose: u8,
}

/// Writes and reads token values; everything follows from the seed.
#[derive(Clone, Copy)]
pub(crate) struct TokenMint {
    seed: u64,
}

impl TokenMint {
    /// The mint of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The value of a token: `prefix` and 44 characters of base64url.
    pub(crate) fn write(self, prefix: &str, token: TokenRef) -> String {
        let mut plain = [0; PLAIN];
        plain[..4].copy_from_slice(&token.grant.to_be_bytes());
        plain[4..8].copy_from_slice(&token.generation.to_be_bytes());
        plain[8] = token.purpose;
        let mac = self.mac(plain);
        let mut sealed = [0; PLAIN + MAC];
        for (at, byte) in plain.iter().enumerate() {
            sealed[at] = byte ^ mac[at];
        }
        sealed[PLAIN..].copy_from_slice(&mac);
        let mut text = String::with_capacity(prefix.len() + 44);
        text.push_str(prefix);
        URL_SAFE_NO_PAD.encode_string(sealed, &mut text);
        text
    }

    /// Which token a value is; `None` if this mint did not write it with this prefix.
    pub(crate) fn read(self, prefix: &str, value: &str) -> Option<TokenRef> {
        let mut sealed = [0; PLAIN + MAC];
        let length = URL_SAFE_NO_PAD
            .decode_slice(value.strip_prefix(prefix)?, &mut sealed)
            .ok()?;
        let (body, mac) = sealed.split_at(PLAIN);
        let mut plain = [0; PLAIN];
        for (at, byte) in body.iter().enumerate() {
            plain[at] = byte ^ mac[at];
        }
        if length != PLAIN + MAC || self.mac(plain) != mac {
            return None;
        }
        let [g0, g1, g2, g3, n0, n1, n2, n3, purpose] = plain;
        Some(TokenRef {
            grant: u32::from_be_bytes([g0, g1, g2, g3]),
            generation: u32::from_be_bytes([n0, n1, n2, n3]),
            purpose,
        })
    }

    /// A number that is always the same for a grant and a label: account ids, names.
    pub(crate) fn number(self, grant: u32, label: &str) -> u64 {
        let salt = label
            .bytes()
            .fold(u64::from(grant), |salt, byte| mix(salt ^ u64::from(byte)));
        mix(self.seed ^ mix(salt))
    }

    /// A uniform number in `[0, 1)` for one request and one purpose.
    pub(crate) fn draw(self, seq: u64, label: u64) -> f64 {
        let bits = mix(self.seed ^ mix(seq.wrapping_mul(8).wrapping_add(label)));
        let top = u32::try_from(bits >> 32).expect("a u64 shifted by 32 fits");
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }

    /// A key of this seed for signatures.
    pub(crate) fn key(self, label: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(label)
            .finalize()
            .into()
    }

    fn mac(self, plain: [u8; PLAIN]) -> [u8; MAC] {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(plain)
            .finalize()
            .into();
        let mut mac = [0; MAC];
        mac.copy_from_slice(&digest[..MAC]);
        mac
    }
}

/// The final step of `SplitMix64` (Steele, Lea, Flood 2014): spreads any number over 64 bits.
pub(crate) const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How the ledger names a token without showing it: SHA-256, 64 hex digits.
#[must_use]
pub fn fingerprint(token: &str) -> String {
    hex(&digest(token))
}

/// The bytes of [`fingerprint`].
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: TokenRef = TokenRef {
        grant: 70_000,
        generation: 3,
        purpose: b'r',
    };

    #[test]
    fn a_token_says_where_it_belongs_to_the_mint_that_wrote_it() {
        let value = TokenMint::new(1).write("rft.", TOKEN);

        assert_eq!(value.len(), 48);
        assert_eq!(TokenMint::new(1).read("rft.", &value), Some(TOKEN));
        assert_eq!(TokenMint::new(2).read("rft.", &value), None);
        assert_eq!(TokenMint::new(1).read("act.", &value), None);
    }

    #[test]
    fn a_changed_or_cut_token_is_nobodys() {
        let mint = TokenMint::new(1);
        let value = mint.write("", TOKEN);
        let mut changed = value.clone();
        changed.replace_range(0..1, if value.starts_with('A') { "B" } else { "A" });

        assert_eq!(mint.read("", &changed), None);
        assert_eq!(mint.read("", &value[..40]), None);
        assert_eq!(mint.read("", &format!("{value}AAAA")), None);
        assert_eq!(mint.read("", "ñ"), None);
    }

    #[test]
    fn draws_are_uniform_enough_and_follow_from_the_seed() {
        let hits = (0..10_000)
            .filter(|seq| TokenMint::new(7).draw(*seq, 0) < 0.2)
            .count();

        assert!((1850..=2150).contains(&hits), "{hits}");
        assert!((TokenMint::new(7).draw(5, 0) - TokenMint::new(7).draw(5, 0)).abs() < f64::EPSILON);
    }

    #[test]
    fn a_fingerprint_is_sha_256_in_hex() {
        assert_eq!(
            fingerprint("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
