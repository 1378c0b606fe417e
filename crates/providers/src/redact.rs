//! Takes credentials out of what a provider said.

use std::collections::HashSet;

use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

/// What stands where a credential stood.
const REDACTED: &str = "[redacted]";

/// A piece of a secret so long, anywhere in a text, is taken for the secret cut short.
const PIECE: usize = 8;

/// Shorter secrets are no secrets, and their removal would garble every text.
const SHORTEST: usize = 4;

/// Knows the secrets of one call, in the clear and percent-encoded.
///
/// It compares without regard to ASCII case: hexadecimal digits and whole tokens
/// come back in either.
pub(crate) struct Redactor {
    /// All pieces of [`PIECE`] bytes of all forms.
    pieces: HashSet<[u8; PIECE]>,
    /// Forms too short to have pieces.
    short: Vec<Vec<u8>>,
}

impl Redactor {
    /// Of these secrets.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a SecretString>) -> Self {
        let mut redactor = Self {
            pieces: HashSet::new(),
            short: Vec::new(),
        };
        for secret in secrets {
            for form in forms(secret.expose_secret()) {
                redactor.learn(form.to_ascii_lowercase().into_bytes());
            }
        }
        redactor
    }

    /// `text` without control characters and credentials, cut to `max` characters.
    pub(crate) fn clean(&self, text: &str, max: usize) -> String {
        let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        let secret = self.secret_bytes(&visible);
        let mut clean = String::new();
        let mut inside = false;
        for (at, character) in visible.char_indices() {
            let is_secret = secret[at..at + character.len_utf8()].contains(&true);
            match (is_secret, inside) {
                (true, false) => clean.push_str(REDACTED),
                (true, true) => {}
                (false, _) => clean.push(character),
            }
            inside = is_secret;
        }
        clean.chars().take(max).collect()
    }

    fn learn(&mut self, form: Vec<u8>) {
        if form.len() < PIECE {
            if form.len() >= SHORTEST {
                self.short.push(form);
            }
            return;
        }
        self.pieces.extend(form.array_windows::<PIECE>().copied());
    }

    /// For each byte of `text`, whether it belongs to a secret.
    fn secret_bytes(&self, text: &str) -> Vec<bool> {
        let text = text.to_ascii_lowercase().into_bytes();
        let mut secret = vec![false; text.len()];
        for (at, piece) in text.array_windows::<PIECE>().enumerate() {
            if self.pieces.contains(piece) {
                secret[at..at + PIECE].fill(true);
            }
        }
        for short in &self.short {
            for (at, piece) in text.windows(short.len()).enumerate() {
                if piece == short {
                    secret[at..at + short.len()].fill(true);
                }
            }
        }
        secret
    }
}

/// How a secret may come back: as it is, as in a form, as in a path.
fn forms(secret: &str) -> [String; 3] {
    let in_form = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let in_path = secret.bytes().map(percent_encoded).collect();
    [secret.to_owned(), in_form, in_path]
}

fn percent_encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// Control and formatting characters: they break lines in logs, turn text
/// around, and could hide a token from the search.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(secrets: &[&str], text: &str) -> String {
        let secrets: Vec<SecretString> = secrets.iter().map(|s| (*s).into()).collect();
        Redactor::new(secrets.iter()).clean(text, 500)
    }

    #[test]
    fn a_credential_is_taken_out_wherever_it_stands() {
        let shown = clean(
            &["EAAold1234567", "app+secret/9"],
            "EAAold1234567 is not of app+secret/9, EAAold1234567EAAold1234567",
        );

        assert_eq!(shown, "[redacted] is not of [redacted], [redacted]");
    }

    #[test]
    fn encoded_cut_split_and_recased_forms_are_taken_out_too() {
        let secret = "rft.ab+cd/ef=gh|ij!kl";

        for (text, expected) in [
            ("at rft.ab%2Bcd%2Fef%3Dgh%7Cij%21kl!", "at [redacted]!"),
            ("at rft.ab%2bcd%2fef%3dgh%7cij%21kl!", "at [redacted]!"),
            ("cut rft.ab+c...", "cut [redacted]..."),
            ("tail gh|ij!kl", "tail [redacted]"),
            ("RFT.AB+CD/EF=GH|IJ!KL", "[redacted]"),
            ("rft.ab+cd\n/ef=\u{200b}gh|ij!kl", "[redacted]"),
            ("rft.ab is too short a piece", "rft.ab is too short a piece"),
        ] {
            assert_eq!(clean(&[secret], text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_short_secret_is_found_whole_and_a_tiny_one_is_none() {
        assert_eq!(clean(&["pass1"], "with pass1."), "with [redacted].");
        assert_eq!(clean(&["e", ""], "never"), "never");
    }

    #[test]
    fn text_is_stripped_of_control_characters_and_cut_at_characters() {
        let redactor = Redactor::new(std::iter::empty());

        assert_eq!(redactor.clean("a\r\nb\u{1b}[31mñ\u{202e}c", 6), "ab[31m");
        assert_eq!(redactor.clean(&"ñ".repeat(600), 500), "ñ".repeat(500));
    }

    #[test]
    fn a_secret_beside_other_letters_leaves_whole_characters() {
        assert_eq!(clean(&["contraseña"], "ñcontraseñañ"), "ñ[redacted]ñ");
    }
}
