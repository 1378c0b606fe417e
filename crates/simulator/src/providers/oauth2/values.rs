//! What a generic provider's account ids look like.

use crate::world::World;

/// An account's id.
pub(super) fn account_id(number: u32, world: &World) -> String {
    format!("u-{:016x}", world.tokens.number(number, "oauth2 account"))
}
