//! The providers against recorded answers and against the simulator.

extern crate tokenfleet_providers as providers;

mod facebook;
mod facturify;
mod simulated;
mod stub;
mod support;
mod tiktok;
mod transport;
