//! What Instagram's values look like: tokens and account ids.

use super::{Desk, Known, TOKEN};
use crate::grants::Grant;
use crate::providers::graph::account_number;
use crate::token::TokenRef;
use crate::world::World;

const PREFIX: &str = "IGAAB";
const DECLARED: &str = "IGAA_";

/// A token's value.
pub(super) fn write(grant: &Grant, generation: u32, world: &World) -> String {
    match &grant.declared {
        Some(tail) if generation == 1 => format!("{DECLARED}{tail}"),
        _ => world.tokens.write(
            PREFIX,
            TokenRef {
                grant: grant.number,
                generation,
                purpose: TOKEN,
            },
        ),
    }
}

/// Which token a value is, by its form.
pub(super) fn read(value: &str, desk: Desk<'_>) -> Option<Known> {
    let written = desk.world.tokens.read(PREFIX, value);
    let written = written.map(|token| (token.grant, token.generation));
    let (number, generation) = written.or_else(|| Some((desk.declared(DECLARED, value)?, 1)))?;
    Some(Known {
        number,
        generation,
        purpose: TOKEN,
        lasting: false,
    })
}

/// The account of a grant.
pub(super) fn account_id(number: u32, world: &World) -> String {
    account_number(world, number, "instagram account")
}
