//! What Meta's providers share: the error matrix, the usage headers and the Graph API.

pub(crate) mod graph;
mod matrix;
mod usage;
