//! Answers that need more than a body.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use crate::openapi::{Gives, Sketch};

/// 201: something was made, and where it is.
pub(crate) struct Created<T> {
    location: String,
    view: T,
}

impl<T> Created<T> {
    /// What was made, and its address.
    pub(crate) const fn at(location: String, view: T) -> Self {
        Self { location, view }
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let location = [(header::LOCATION, self.location)];
        (StatusCode::CREATED, location, Json(self.view)).into_response()
    }
}

impl<T: JsonSchema> Gives for Created<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.answer::<T>(StatusCode::CREATED);
        sketch.answer_header(StatusCode::CREATED, "Location", "Where it is.");
    }
}
