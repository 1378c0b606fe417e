//! What Graph's values look like: tokens, account ids, trace ids.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Desk, Known, USER};
use crate::grants::Grant;
use crate::token::TokenRef;
use crate::world::World;

const PREFIX: &str = "EAAB";
const DECLARED: &str = "EAA_";

/// A token's value.
pub(super) fn write(grant: &Grant, purpose: u8, generation: u32, world: &World) -> String {
    match &grant.declared {
        Some(tail) if purpose == USER && generation == 1 => format!("{DECLARED}{tail}"),
        _ => world.tokens.write(
            PREFIX,
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
    if let Some(token) = desk.world.tokens.read(PREFIX, value) {
        return Some(Known {
            number: token.grant,
            generation: token.generation,
            purpose: token.purpose,
            lasting: false,
        });
    }
    desk.declared(DECLARED, value).map(|number| Known {
        number,
        generation: 1,
        purpose: USER,
        lasting: false,
    })
}

/// The person of a grant.
pub(super) fn user_id(number: u32, world: &World) -> String {
    account_number(world, number, "facebook user")
}

/// The page of a grant.
pub(super) fn page_id(number: u32, world: &World) -> String {
    account_number(world, number, "facebook page")
}

/// `fbtrace_id` of a request: eleven characters, as the contract's examples have them.
pub(super) fn trace_id(seq: u64, world: &World) -> String {
    let number = u32::try_from(seq & 0xffff_ffff).expect("32 bits are a u32");
    let bits = world.tokens.number(number, "fbtrace").to_be_bytes();
    URL_SAFE_NO_PAD.encode(bits)
}

/// Sixteen digits, as Meta's ids have them.
fn account_number(world: &World, number: u32, label: &str) -> String {
    format!(
        "10{:014}",
        world.tokens.number(number, label) % 100_000_000_000_000
    )
}
