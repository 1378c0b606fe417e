//! What TikTok's values look like: account ids and log ids.

use super::Question;
use crate::world::World;

/// An account's id, in the form of a UUID.
pub(in crate::providers) fn open_id(number: u32, world: &World) -> String {
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
pub(in crate::providers) fn log_id(question: &Question<'_>) -> String {
    let world = question.desk.world;
    let number = u32::try_from(question.seq & 0xffff_ffff).expect("32 bits are a u32");
    let tail = world.tokens.number(number, "log_id");
    format!("{:014}{tail:018X}", question.now.as_millis())
}
