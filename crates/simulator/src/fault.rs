//! Faults: what can go wrong with any request, by rate, parsed from text.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::providers;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The whole provider is away: 503 with a page of HTML, whatever is asked.
    Down,
    /// The provider's own form of a failure, mostly HTTP 500.
    Status500,
    /// 503 without a body.
    Status503,
    /// The provider's own form of throttling, mostly HTTP 429.
    Status429,
    /// 500 with a page of HTML.
    Html500,
    /// 200 with a body that is no JSON.
    Garbage,
    /// 200 with 8 MiB of valid JSON.
    HugeBody,
    /// 302 to another address.
    Redirect,
    /// The answer to a wrong app secret (at Facturify: a wrong key; for a service token: 403).
    InvalidClient,
    /// The answer to a revoked grant.
    InvalidGrant,
    /// A refusal whose message repeats the presented token.
    Echo,
    /// The answer comes late, by the setting `slow`.
    Slow,
    /// No answer, and nothing was done.
    Hang,
    /// The connection is cut, and nothing was done.
    CutBeforeCommit,
    /// It was done, and the connection is cut before the answer.
    CutAfterCommit,
    /// It was done, and no answer comes.
    HangAfterCommit,
    /// It was done, and the connection is cut in the middle of the answer.
    CutBody,
    /// It was done, and the answer trickles in over the setting `slow`.
    SlowBody,
}

impl FaultKind {
    /// All of them, in the order in which texts list them.
    pub const ALL: [Self; 18] = [
        Self::Status500,
        Self::Status503,
        Self::Status429,
        Self::Html500,
        Self::Garbage,
        Self::HugeBody,
        Self::Redirect,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::Echo,
        Self::Slow,
        Self::SlowBody,
        Self::Hang,
        Self::HangAfterCommit,
        Self::CutBeforeCommit,
        Self::CutAfterCommit,
        Self::CutBody,
        Self::Down,
    ];

    /// The name in texts and in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Status500 => "status_500",
            Self::Status503 => "status_503",
            Self::Status429 => "status_429",
            Self::Html500 => "html_500",
            Self::Garbage => "garbage",
            Self::HugeBody => "huge_body",
            Self::Redirect => "redirect",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::Echo => "echo",
            Self::Slow => "slow",
            Self::Hang => "hang",
            Self::CutBeforeCommit => "cut_before_commit",
            Self::CutAfterCommit => "cut_after_commit",
            Self::HangAfterCommit => "hang_after_commit",
            Self::CutBody => "cut_body",
            Self::SlowBody => "slow_body",
        }
    }

    /// The fault with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Serialize for FaultKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// One kind of fault, how often, and at which provider.
///
/// As text: `status_500=0.2`, `tiktok.cut_after_commit=0.05`, `facebook.down`.
/// A missing rate means always.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// One provider, or all.
    pub provider: Option<&'static str>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// With which share of the requests, 0–1.
    pub rate: f64,
}

/// A text that is no [`Fault`], or faults that cannot go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("'{name}' is no fault; one of {}", kinds())]
    Kind {
        /// What stood there.
        name: String,
    },
    /// No provider has this name.
    #[error(
        "'{name}' is no provider of the simulator; one of {}",
        providers::known()
    )]
    Provider {
        /// What stood there.
        name: String,
    },
    /// The rate is no share.
    #[error("the rate '{rate}' of {name} is not a number from 0 to 1, as in {name}=0.2")]
    Rate {
        /// Which fault.
        name: String,
        /// What stood there.
        rate: String,
    },
    /// The rates of one provider are more than everything.
    #[error("the faults of {provider} add up to more than 1")]
    Sum {
        /// Which provider.
        provider: &'static str,
    },
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, rate) = text.trim().split_once('=').unwrap_or((text.trim(), "1"));
        let (provider, kind) = match name.split_once('.') {
            Some((provider, kind)) => (Some(known_provider(provider)?), kind),
            None => (None, name),
        };
        let kind = FaultKind::parse(kind).ok_or_else(|| FaultError::Kind {
            name: kind.to_owned(),
        })?;
        let share = rate
            .parse()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| FaultError::Rate {
                name: name.to_owned(),
                rate: rate.to_owned(),
            })?;
        Ok(Self {
            provider,
            kind,
            rate: share,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = self.provider {
            write!(f, "{provider}.")?;
        }
        write!(f, "{}={}", self.kind.as_str(), self.rate)
    }
}

/// All faults that are on at a time; the default is none.
///
/// A fault of one provider replaces the same kind for all providers there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// These together; of two with the same provider and kind the later counts.
    ///
    /// # Errors
    ///
    /// [`FaultError::Sum`] if more than every request of a provider would fail.
    pub fn new(given: impl IntoIterator<Item = Fault>) -> Result<Self, FaultError> {
        let mut faults: Vec<Fault> = Vec::new();
        for fault in given {
            faults.retain(|f| (f.provider, f.kind) != (fault.provider, fault.kind));
            faults.push(fault);
        }
        let faults = Self(faults);
        let own = faults.0.iter().filter_map(|fault| fault.provider);
        for provider in providers::NAMES.into_iter().chain(own) {
            let sum: f64 = faults.rates(provider).iter().map(|(_, rate)| rate).sum();
            if sum > 1.0 + 1e-9 {
                return Err(FaultError::Sum { provider });
            }
        }
        Ok(faults)
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// The same with `provider` taken down or put up again.
    #[must_use]
    pub(crate) fn with_down(&self, provider: &'static str, down: bool) -> Self {
        let others = |f: &&Fault| (f.provider, f.kind) != (Some(provider), FaultKind::Down);
        let mut faults: Vec<Fault> = self.0.iter().filter(others).copied().collect();
        faults.push(Fault {
            provider: Some(provider),
            kind: FaultKind::Down,
            rate: if down { 1.0 } else { 0.0 },
        });
        Self(faults)
    }

    /// What a request to `provider` meets if `draw`, uniform in `[0, 1)`, is its luck.
    ///
    /// `down` stands for itself: the other faults are drawn from `second`.
    pub(crate) fn draw(&self, provider: &str, draw: f64, second: f64) -> Option<FaultKind> {
        if self.0.is_empty() {
            return None;
        }
        let rates = self.rates(provider);
        let down = |(kind, rate): &&(FaultKind, f64)| *kind == FaultKind::Down && draw < *rate;
        if rates.iter().find(down).is_some() {
            return Some(FaultKind::Down);
        }
        let mut left = second;
        rates
            .into_iter()
            .filter(|(kind, _)| *kind != FaultKind::Down)
            .find_map(|(kind, rate)| {
                left -= rate;
                (left < 0.0).then_some(kind)
            })
    }

    fn rates(&self, provider: &str) -> Vec<(FaultKind, f64)> {
        let special = |kind| {
            self.0
                .iter()
                .any(|f| f.kind == kind && f.provider == Some(provider))
        };
        self.0
            .iter()
            .filter(|f| match f.provider {
                Some(name) => name == provider,
                None => !special(f.kind),
            })
            .map(|f| (f.kind, f.rate))
            .collect()
    }
}

impl FromStr for Faults {
    type Err = FaultError;

    /// Faults with commas between them; an empty text is none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split([',', '\n']).map(str::trim);
        let faults: Vec<Fault> = parts
            .filter(|part| !part.is_empty())
            .map(Fault::from_str)
            .collect::<Result<_, _>>()?;
        Self::new(faults)
    }
}

fn known_provider(name: &str) -> Result<&'static str, FaultError> {
    let canonical = providers::canonical(name);
    let mut known = providers::NAMES.into_iter();
    known
        .find(|known| *known == canonical)
        .ok_or_else(|| FaultError::Provider {
            name: name.to_owned(),
        })
}

fn kinds() -> String {
    FaultKind::ALL.map(FaultKind::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_its_own_text() {
        for text in [
            "status_500=0.2",
            "tiktok.cut_after_commit=0.05",
            "oauth2:demo_body.hang=0.1",
            "hang=1",
        ] {
            assert_eq!(
                text.parse::<Fault>().map(|f| f.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(
            "meta.down".parse::<Fault>().map(|f| f.to_string()),
            Ok("facebook.down=1".to_owned())
        );
    }

    #[test]
    fn a_wrong_text_is_told_what_is_allowed() {
        let message = |text: &str| text.parse::<Faults>().expect_err(text).to_string();

        assert_eq!(
            message("status_418=0.1"),
            "'status_418' is no fault; one of status_500, status_503, status_429, html_500, garbage, \
             huge_body, redirect, invalid_client, invalid_grant, echo, slow, slow_body, hang, \
             hang_after_commit, cut_before_commit, cut_after_commit, cut_body, down"
        );
        assert_eq!(
            message("orkut.hang=0.1"),
            "'orkut' is no provider of the simulator; one of facebook, instagram, tiktok, \
             tiktok_business, tiktok_legacy, facturify, service_token, oauth2:demo, \
             oauth2:demo_body, oauth2:demo_json; meta and whatsapp stand for facebook"
        );
        assert_eq!(
            message("hang=2"),
            "the rate '2' of hang is not a number from 0 to 1, as in hang=0.2"
        );
        assert_eq!(
            message("hang=0.6,status_500=0.5"),
            "the faults of facebook add up to more than 1"
        );
        assert!(message("hang=NaN").contains("'NaN'"));
    }

    #[test]
    fn a_providers_own_rate_replaces_the_general_one() {
        let faults: Faults = "hang=1, tiktok.hang=0, tiktok.status_500=0.5"
            .parse()
            .unwrap();

        assert_eq!(faults.draw("facebook", 0.9, 0.9), Some(FaultKind::Hang));
        assert_eq!(faults.draw("tiktok", 0.9, 0.4), Some(FaultKind::Status500));
        assert_eq!(faults.draw("tiktok", 0.9, 0.6), None);
    }

    #[test]
    fn a_provider_that_is_down_does_nothing_else() {
        let faults: Faults = "status_500=0.5".parse().unwrap();

        let down = faults.with_down("tiktok", true);

        assert_eq!(down.draw("tiktok", 0.99, 0.0), Some(FaultKind::Down));
        assert_eq!(down.draw("facebook", 0.0, 0.0), Some(FaultKind::Status500));
        assert_eq!(
            down.with_down("tiktok", false).draw("tiktok", 0.0, 0.9),
            None
        );
    }
}
