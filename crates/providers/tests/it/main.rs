//! The providers against recorded answers and against the simulator.

extern crate tokenfleet_providers as providers;

mod connect;
mod facebook;
mod facturify;
mod instagram;
mod oauth2;
mod policy;
mod service_token;
mod simulated;
mod stub;
mod support;
mod tiktok;
mod tiktok_business;
mod tiktok_legacy;
mod transport;
mod whatsapp;
