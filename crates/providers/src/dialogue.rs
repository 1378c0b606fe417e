//! The requests of one call: each is permitted first, and what is reported of
//! their answers is free of credentials.

use domain::{Details, FreshTokens, ProviderName, Verdict, reason};
use reqwest::Request;
use reqwest::header::HeaderMap;
use secrecy::SecretString;

use crate::http::{Answer, Http, HttpError};
use crate::matrix::{Facts, Matrix};
use crate::redact::Redactor;
use crate::{Call, RefreshError, Refusal};

/// Longest text of a provider that is kept (contracts: 500 characters).
const MESSAGE_MAX: usize = 500;
const CODE_MAX: usize = 64;
const TRACE_MAX: usize = 128;
const SHAPE_MAX: usize = 500;

/// One call, and who is asked in it.
pub(crate) struct Dialogue<'a> {
    /// The shared client.
    pub(crate) http: &'a Http,
    /// Who is asked.
    pub(crate) provider: &'a ProviderName,
    /// The call.
    pub(crate) call: &'a Call<'a>,
    /// The app's secrets in all forms that are sent: answers may repeat them.
    pub(crate) app_secrets: &'a [SecretString],
}

impl Dialogue<'_> {
    /// Sends a request, if it is permitted.
    ///
    /// # Errors
    ///
    /// `NotPermitted`, `NotSent` and `NoAnswer`, and `Refused` for a tenant's address
    /// that must not be called; every answer is `Ok`.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, RefreshError> {
        self.call.permit.before_request().await?;
        let provider = self.provider.clone();
        self.http.send(request).await.map_err(|error| match error {
            HttpError::NotSent(source) => RefreshError::NotSent { provider, source },
            HttpError::Refused(refusal) => Refusal::not_callable(&provider, refusal),
            HttpError::NoAnswer(source) => RefreshError::NoAnswer { provider, source },
        })
    }

    /// `fresh`, unless it belongs to another account than the channel's.
    ///
    /// # Errors
    ///
    /// `identity_mismatch`, with the `facts` of the answer.
    pub(crate) fn of_same_account(
        &self,
        fresh: FreshTokens,
        facts: impl FnOnce() -> Facts,
    ) -> Result<FreshTokens, RefreshError> {
        match (self.call.external_id, &fresh.external_id) {
            (Some(expected), Some(owner)) if expected != owner => {
                let mismatch = Some(reason::IDENTITY_MISMATCH);
                Err(self.refused_as(Verdict::Fatal, mismatch, &facts()))
            }
            _ => Ok(fresh),
        }
    }

    /// The refusal that an answer is, by the provider's matrix.
    pub(crate) fn refused(
        &self,
        matrix: &Matrix,
        facts: &Facts,
        headers: &HeaderMap,
    ) -> RefreshError {
        let (verdict, reason) = matrix.judge(facts, headers, self.call.now);
        self.refused_as(verdict, reason, facts)
    }

    /// The refusal that an answer is, by this verdict.
    pub(crate) fn refused_as(
        &self,
        verdict: Verdict,
        reason: Option<&str>,
        facts: &Facts,
    ) -> RefreshError {
        let redactor = Redactor::new(self.call.grant.secrets().chain(self.app_secrets));
        let clean = |text: &Option<String>, max| {
            let text = text.as_deref().filter(|text| !text.is_empty())?;
            Some(redactor.clean(text, max))
        };
        let details = Details {
            reason: reason.map(str::to_owned),
            cause: None,
            provider_code: clean(&facts.code, CODE_MAX),
            provider_subcode: clean(&facts.subcode, CODE_MAX),
            provider_message: clean(&facts.message, MESSAGE_MAX),
            trace_id: clean(&facts.trace_id, TRACE_MAX),
            http_status: Some(facts.status),
            retry_at: None,
            shape: clean(&facts.shape, SHAPE_MAX)
                .filter(|_| reason == Some(domain::reason::UNKNOWN_ANSWER)),
        };
        let provider = self.provider.clone();
        Refusal {
            provider,
            verdict,
            details,
        }
        .into()
    }
}
