//! The `OpenAPI` 3.1 document, made from the table of addresses and the types of its handlers.
//!
//! What a handler takes and gives stands in its signature, and [`Takes`] and [`Gives`] read
//! it from there. Only a sentence, and what no type tells, stand beside the address.

mod document;
mod example;
mod gives;
mod operation;
mod sketch;
mod takes;

pub(crate) use document::document;
pub(crate) use gives::Gives;
pub(crate) use operation::{Described, Operation};
pub(crate) use sketch::Sketch;
pub(crate) use takes::Takes;
