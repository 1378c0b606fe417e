//! One file per command.

pub(crate) mod api;
pub(crate) mod breaker;
pub(crate) mod channel;
pub(crate) mod config_check;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod job;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod migrate;
pub(crate) mod queue;
pub(crate) mod schedule;
pub(crate) mod scheduler;
pub(crate) mod service_token;
pub(crate) mod simulate;
pub(crate) mod stats;
pub(crate) mod tenant;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod user;
pub(crate) mod webhook;
pub(crate) mod worker;
