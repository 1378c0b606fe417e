//! The form of `.env` files, as Compose and python-dotenv read them.
//!
//! Unlike shells and some libraries, an unquoted value may hold blanks
//! (`APP_NAME=Token Service API`), and `$` means itself: a password is not a
//! template.

/// The assignments in their order.
///
/// # Errors
///
/// The name of the last variable before the first line that is no assignment;
/// the line itself may hold a secret.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, Option<String>> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some((line, after)) = next_line(rest) {
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with('#') {
            rest = after;
            continue;
        }
        let assignment = assignment(rest).ok_or(found.last().map(|(name, _)| name.clone()))?;
        rest = assignment.rest;
        found.push((assignment.name, assignment.value));
    }
    Ok(found)
}

struct Assignment<'t> {
    name: String,
    value: String,
    rest: &'t str,
}

fn next_line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    Some(text.split_once('\n').unwrap_or((text, "")))
}

fn assignment(text: &str) -> Option<Assignment<'_>> {
    let (name, after) = text.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    let after = after.trim_start_matches([' ', '\t']);
    let (value, rest) = match after.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(&after[1..], quote)?,
        _ => unquoted(after),
    };
    Some(Assignment {
        name: name.to_owned(),
        value,
        rest,
    })
}

/// Up to the end of the line, or to a `#` after a blank.
fn unquoted(text: &str) -> (String, &str) {
    let (line, rest) = next_line(text).unwrap_or(("", ""));
    let comment = line
        .char_indices()
        .find(|(at, c)| *c == '#' && (*at == 0 || line[..*at].ends_with([' ', '\t'])));
    let value = comment.map_or(line, |(at, _)| &line[..at]);
    (value.trim().to_owned(), rest)
}

/// Up to the closing quote, over lines. Single quotes take everything as it is.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => {
                let (line, rest) = next_line(&text[at + 1..]).unwrap_or(("", ""));
                let tail = line.trim();
                return (tail.is_empty() || tail.starts_with('#')).then_some((value, rest));
            }
            '\\' if quote == '"' => value.push(match chars.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).expect("good assignments")
    }

    #[test]
    fn values_are_read_with_and_without_quotes() {
        let text = "# a comment\n\nexport A=1\nB = Token Service API   # why\nC='p$ss #1'\n\
                    D=\"two\\nlines \\\"x\\\"\" # why\nE=\nF=a#b\r\nG='one\ntwo'\nH=last";

        let read = pairs(text);

        let expected = [
            ("A", "1"),
            ("B", "Token Service API"),
            ("C", "p$ss #1"),
            ("D", "two\nlines \"x\""),
            ("E", ""),
            ("F", "a#b"),
            ("G", "one\ntwo"),
            ("H", "last"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, expected);
    }

    #[test]
    fn a_line_that_is_no_assignment_is_refused_with_its_predecessor() {
        for text in [
            "A=1\nnonsense\n",
            "A=1\nB='open\n",
            "A=1\nB C=2\n",
            "A=1\nB=\"x\" y\n",
        ] {
            assert_eq!(parse(text), Err(Some("A".to_owned())), "{text}");
        }
    }
}
