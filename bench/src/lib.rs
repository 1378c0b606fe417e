//! What the benchmarks share: databases, processes with their costs, figures and tables.

pub mod channels;
pub mod database;
pub mod figures;
pub mod process;
pub mod table;
