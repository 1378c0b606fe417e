//! What handlers take from a request; each says itself what is wrong with it.

mod email;
mod explain;
mod form;
mod input;
mod job;
mod number;
mod params;
mod scope;
mod text;

pub(crate) use email::{EmailAddress, Password, email};
pub(crate) use form::{Form, OptionalForm};
pub(crate) use input::{Input, OptionalInput, present};
pub(crate) use job::{Found, Job, load as load_job};
pub(crate) use number::Whole;
pub(crate) use params::{Params, page_limit, page_request, within};
pub(crate) use scope::{
    InChannel, InTenant, OnBatch, OnChannel, OnJob, OnServiceToken, OnWebhook, Place, path_param,
};
pub(crate) use text::{Label, ProviderWord, Text};
