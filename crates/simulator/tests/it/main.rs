//! The simulator over HTTP, as a client of the providers meets it.

// The short name that every other crate of the house imports it under.
extern crate tokenfleet_simulator as simulator;

mod consent;
mod control;
mod facebook;
mod facturify;
mod faults;
mod instagram;
mod oauth2;
mod oauth2_answers;
mod service_token;
mod support;
mod tiktok;
mod tiktok_business;
mod tiktok_legacy;
mod whatsapp;
