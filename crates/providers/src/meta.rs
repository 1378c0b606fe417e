//! What Meta's providers share: the error matrix, the usage headers and the Graph API.

pub(crate) mod graph;
pub(crate) mod import;
pub(crate) mod keeper;
pub(crate) mod matrix;
pub(crate) mod usage;
