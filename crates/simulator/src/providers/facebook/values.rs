//! What Facebook's values look like: tokens and account ids.

use super::{Desk, Known, USER};
use crate::grants::Grant;
use crate::providers::graph::account_number;
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

/// The business behind a token for WhatsApp.
pub(super) fn business_id(number: u32, world: &World) -> String {
    account_number(world, number, "whatsapp business")
}

/// The page of a grant.
pub(super) fn page_id(number: u32, world: &World) -> String {
    account_number(world, number, "facebook page")
}
