//! What handlers answer.

use axum::Json;
use axum::response::{NoContent, Response};
use http::StatusCode;
use schemars::JsonSchema;

use super::Sketch;
use crate::problem::Problem;
use crate::repeat::ShownOnce;

/// The return type of a handler.
#[diagnostic::on_unimplemented(
    message = "the document of the API cannot tell what `{Self}` answers",
    note = "derive `schemars::JsonSchema` for it, or implement `openapi::Gives`"
)]
pub(crate) trait Gives {
    /// Draws the answers that the type tells of.
    fn draw(sketch: &mut Sketch<'_>);
}

impl<T: JsonSchema> Gives for Json<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.answer::<T>(StatusCode::OK);
    }
}

impl<T: JsonSchema> Gives for ShownOnce<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.answer::<T>(StatusCode::OK);
    }
}

impl Gives for NoContent {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.other(StatusCode::NO_CONTENT, None);
    }
}

/// Tells nothing: what is in it stands beside the address.
impl Gives for Response {
    fn draw(_: &mut Sketch<'_>) {}
}

/// The same: its status is a value.
impl<T> Gives for (StatusCode, Json<T>) {
    fn draw(_: &mut Sketch<'_>) {}
}

impl<T: Gives> Gives for Result<T, Problem> {
    fn draw(sketch: &mut Sketch<'_>) {
        T::draw(sketch);
    }
}
