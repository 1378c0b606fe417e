//! What extractors take from a request.

use axum::extract::{Path, State};
use http::HeaderMap;
use schemars::JsonSchema;

use super::Sketch;
use crate::App;
use crate::caller::Caller;
use crate::extract::{
    Form, InChannel, InTenant, Input, OnBatch, OnChannel, OnJob, OnServiceToken, OnWebhook,
    OptionalForm, OptionalInput, Params,
};
use crate::trail::Trail;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// An argument of a handler.
#[diagnostic::on_unimplemented(
    message = "the document of the API cannot tell what `{Self}` takes from a request",
    note = "derive `schemars::JsonSchema` for it, or implement `openapi::Takes`"
)]
pub(crate) trait Takes {
    /// Draws what it takes. Parameters of the path are told by the path itself.
    fn draw(sketch: &mut Sketch<'_>);
}

/// Arguments that show nowhere in a request but in its path and its token.
macro_rules! takes_nothing {
    ($($argument:ty),+ $(,)?) => {
        $(impl Takes for $argument {
            fn draw(_: &mut Sketch<'_>) {}
        })+
    };
}

takes_nothing!(
    State<App>,
    Caller,
    HeaderMap,
    InTenant,
    InChannel,
    OnChannel,
    OnJob,
    OnBatch,
    OnServiceToken,
    OnWebhook,
    Trail,
);

/// The path tells of its parameters itself.
impl<T> Takes for Path<T> {
    fn draw(_: &mut Sketch<'_>) {}
}

impl<T: JsonSchema> Takes for Params<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.query::<T>();
    }
}

impl<T: JsonSchema> Takes for Input<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.body::<T>(&[JSON], true);
    }
}

impl<T: JsonSchema> Takes for OptionalInput<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.body::<T>(&[JSON], false);
    }
}

impl<T: JsonSchema> Takes for Form<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.body::<T>(&[JSON, FORM], true);
    }
}

impl<T: JsonSchema> Takes for OptionalForm<T> {
    fn draw(sketch: &mut Sketch<'_>) {
        sketch.body::<T>(&[JSON, FORM], false);
    }
}
