//! What is said about one address: what its handler's types tell, and what stands beside it.

use std::any::type_name;

use http::StatusCode;
use schemars::JsonSchema;

use super::{Gives, Sketch, Takes};

/// A handler whose signature tells what it takes and gives.
///
/// `T` is the type by which axum tells handlers of one, two and more arguments apart.
#[diagnostic::on_unimplemented(
    message = "the document of the API cannot tell what `{Self}` takes and gives",
    note = "derive `schemars::JsonSchema` for the bodies, queries and answers of the handler",
    note = "an extractor or answer of a new kind implements `openapi::Takes` or `openapi::Gives`"
)]
pub(crate) trait Described<T> {
    /// Draws the handler.
    fn draw(sketch: &mut Sketch<'_>);
}

impl<F, Fut, R> Described<((),)> for F
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = R>,
    R: Gives,
{
    fn draw(sketch: &mut Sketch<'_>) {
        R::draw(sketch);
    }
}

macro_rules! described {
    ($($taken:ident)+) => {
        impl<F, Fut, R, M, $($taken),+> Described<(M, $($taken,)+)> for F
        where
            F: FnOnce($($taken),+) -> Fut,
            Fut: Future<Output = R>,
            R: Gives,
            $($taken: Takes),+
        {
            fn draw(sketch: &mut Sketch<'_>) {
                $($taken::draw(sketch);)+
                R::draw(sketch);
            }
        }
    };
}

described!(T1);
described!(T1 T2);
described!(T1 T2 T3);
described!(T1 T2 T3 T4);
described!(T1 T2 T3 T4 T5);
described!(T1 T2 T3 T4 T5 T6);
described!(T1 T2 T3 T4 T5 T6 T7);

/// Draws a part of an operation.
type Stroke = Box<dyn Fn(&mut Sketch<'_>) + Send + Sync>;

/// One address as the document tells it.
pub(crate) struct Operation {
    /// The path of the handler in this crate, such as `channels::list`.
    pub(super) handler: &'static str,
    /// What it does, as one sentence.
    pub(super) summary: Option<&'static str>,
    /// Whether its handler reads the bearer token itself.
    pub(super) reads_bearer: bool,
    /// What draws it; in this order.
    pub(super) draw: Vec<Stroke>,
}

impl Operation {
    /// What the signature of a handler tells.
    pub(crate) fn of<H: Described<T> + 'static, T: 'static>(_: &H) -> Self {
        let path = type_name::<H>();
        let handler = path.split_once("::routes::").map_or(path, |(_, rest)| rest);
        Self {
            handler,
            summary: None,
            reads_bearer: false,
            draw: vec![Box::new(H::draw)],
        }
    }

    /// Says what it does.
    pub(crate) fn says(&mut self, summary: &'static str) {
        self.summary = Some(summary);
    }

    /// Says that it has no gate, and its handler reads the bearer token itself.
    pub(crate) fn reads_bearer(&mut self) {
        self.reads_bearer = true;
    }

    /// An answer that the signature hides behind `Response`: JSON with this status.
    pub(crate) fn answers<T: JsonSchema>(&mut self, status: StatusCode) {
        self.draw
            .push(Box::new(move |sketch| sketch.answer::<T>(status)));
    }

    /// A problem that the signature does not tell of, and when it comes.
    pub(crate) fn refuses(&mut self, status: StatusCode, when: &'static str) {
        self.draw
            .push(Box::new(move |sketch| sketch.problem(status, Some(when))));
    }

    /// An answer that is a stream of events, such as this one.
    pub(crate) fn streams(&mut self, example: &'static str) {
        self.draw
            .push(Box::new(move |sketch| sketch.stream(example)));
    }

    /// An answer of another kind than JSON.
    pub(crate) fn shows(&mut self, status: StatusCode, media_type: Option<&'static str>) {
        self.draw
            .push(Box::new(move |sketch| sketch.other(status, media_type)));
    }
}
