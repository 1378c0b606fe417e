//! `TOKENFLEET_MASTER_KEYS`: the keys that wrap the keys of all envelopes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

const KEY_LENGTH: usize = 32;
const ID_MAX: usize = 32;

/// A text that is no list of master keys. It names positions and ids, never a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MasterKeysError {
    /// An entry has no colon.
    #[error("entry {0} has no colon between id and key")]
    NoColon(usize),
    /// An id is empty, too long, or has other characters.
    #[error("entry {0} has an id that is not 1 to 32 of A-Z, a-z, 0-9, _ and -")]
    BadId(usize),
    /// A key is not base64.
    #[error("key {0} is not base64")]
    NotBase64(String),
    /// A key has another length.
    #[error("key {id} has {length} bytes, not 32")]
    WrongLength {
        /// The key's id.
        id: String,
        /// Its bytes.
        length: usize,
    },
    /// Two keys share an id.
    #[error("two keys have the id {0}")]
    Duplicate(String),
    /// No key at all.
    #[error("there is no key in it")]
    None,
}

/// Reads `id:base64`, separated by commas or line breaks; the same list with commas
/// and standard base64 comes out.
///
/// # Errors
///
/// [`MasterKeysError`] for the first entry that is wrong.
pub(crate) fn normalized(text: &str) -> Result<String, MasterKeysError> {
    let mut ids: Vec<&str> = Vec::new();
    let mut list = String::new();
    let entries = text
        .split([',', '\n'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty() && !entry.starts_with('#'));
    for (place, entry) in entries.enumerate() {
        let (id, key) = parse_one(place + 1, entry)?;
        if ids.contains(&id) {
            return Err(MasterKeysError::Duplicate(id.to_owned()));
        }
        if !ids.is_empty() {
            list.push(',');
        }
        ids.push(id);
        list.push_str(id);
        list.push(':');
        STANDARD.encode_string(key, &mut list);
    }
    if ids.is_empty() {
        return Err(MasterKeysError::None);
    }
    Ok(list)
}

fn parse_one(place: usize, entry: &str) -> Result<(&str, [u8; KEY_LENGTH]), MasterKeysError> {
    let (id, encoded) = entry
        .split_once(':')
        .ok_or(MasterKeysError::NoColon(place))?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(allowed) {
        return Err(MasterKeysError::BadId(place));
    }
    let bytes = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|alphabet| alphabet.decode(encoded.trim()).ok())
        .ok_or_else(|| MasterKeysError::NotBase64(id.to_owned()))?;
    let key = <[u8; KEY_LENGTH]>::try_from(bytes.as_slice()).map_err(|_| {
        MasterKeysError::WrongLength {
            id: id.to_owned(),
            length: bytes.len(),
        }
    })?;
    Ok((id, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(byte: u8, length: usize) -> String {
        STANDARD.encode(vec![byte; length])
    }

    #[test]
    fn keys_keep_their_order_and_get_one_form() {
        let (one, two) = (encoded(255, 32), encoded(2, 32));
        let url_safe = one.replace('/', "_");

        let list = normalized(&format!("# ours\nnew:{url_safe},\nOld:{two}\n"));

        assert_eq!(list, Ok(format!("new:{one},Old:{two}")));
    }

    #[test]
    fn each_mistake_has_its_own_message() {
        let good = encoded(1, 32);
        let mistakes = [
            (good.clone(), MasterKeysError::NoColon(1)),
            (format!("a b:{good}"), MasterKeysError::BadId(1)),
            (
                "a:???".to_owned(),
                MasterKeysError::NotBase64("a".to_owned()),
            ),
            (
                format!("a:{}", encoded(1, 16)),
                MasterKeysError::WrongLength {
                    id: "a".to_owned(),
                    length: 16,
                },
            ),
            (
                format!("a:{good},a:{good}"),
                MasterKeysError::Duplicate("a".to_owned()),
            ),
            (" , ".to_owned(), MasterKeysError::None),
        ];

        for (text, mistake) in mistakes {
            assert_eq!(normalized(&text), Err(mistake));
        }
    }
}
