//! What TikTok's values look like: tokens, account ids, log ids.

use super::{ACCESS, Desk, Known, Question, REFRESH};
use crate::grants::Grant;
use crate::token::TokenRef;
use crate::world::World;

/// Prefixes of a purpose: of minted values, and of declared ones.
const fn prefixes(purpose: u8) -> (&'static str, &'static str) {
    match purpose {
        ACCESS => ("act.", "act_"),
        _ => ("rft.", "rft_"),
    }
}

/// A token's value.
pub(super) fn write(grant: &Grant, purpose: u8, generation: u32, world: &World) -> String {
    let (minted, declared) = prefixes(purpose);
    match &grant.declared {
        Some(tail) if generation == 1 => format!("{declared}{tail}"),
        _ => world.tokens.write(
            minted,
            TokenRef {
                grant: grant.number,
                generation,
                purpose,
            },
        ),
    }
}

/// Which token a value is, by its form.
pub(super) fn read(value: &str, desk: Desk<'_>) -> Option<Known> {
    [REFRESH, ACCESS].into_iter().find_map(|purpose| {
        let (minted, declared) = prefixes(purpose);
        let token = desk.world.tokens.read(minted, value);
        let written = token.map(|token| (token.grant, token.generation, token.purpose));
        let (number, generation, purpose) =
            written.or_else(|| Some((desk.declared(declared, value)?, 1, purpose)))?;
        Some(Known {
            number,
            generation,
            purpose,
            lasting: false,
        })
    })
}

/// An account's id, in the form of a UUID.
pub(super) fn open_id(number: u32, world: &World) -> String {
    let high = world.tokens.number(number, "open_id");
    let low = world.tokens.number(number, "open_id, second half");
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// What TikTok's support asks for: a time and a tail.
pub(super) fn log_id(question: &Question<'_>) -> String {
    let world = question.desk.world;
    let number = u32::try_from(question.seq & 0xffff_ffff).expect("32 bits are a u32");
    let tail = world.tokens.number(number, "log_id");
    format!("{:014}{tail:018X}", question.now.as_millis())
}
