//! The program as its users meet it: started, talked to, stopped and killed.

mod demo;
mod documents;
mod fleet;
mod harness;
mod people;
mod refusals;
mod roles;
mod tools;
mod up;
