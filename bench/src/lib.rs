//! What the benchmarks share: processes with their costs, and figures.

pub mod figures;
pub mod process;
