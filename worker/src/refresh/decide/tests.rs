use async_trait::async_trait;
use domain::{ChannelUid, DelaySource, Margin, Name, ProviderName, TenantUid, Window};
use providers::{Accepted, Call, FieldError, ImportRequest, NotPermitted, Refusal, Upstream};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const HOUR: Duration = Duration::from_hours(1);

#[derive(Debug)]
struct Fake(ProviderName, Rotation, Duration);

#[async_trait]
impl Provider for Fake {
    fn name(&self) -> &ProviderName {
        &self.0
    }
    fn rotation(&self) -> Rotation {
        self.1
    }
    fn app_identity(&self, _: &Grant) -> String {
        String::new()
    }
    fn upstream(&self) -> Option<Upstream> {
        None
    }
    fn window(&self, _: &Grant, _: Option<Duration>) -> Window {
        Window {
            target: Margin::Fixed(self.2),
            ..Window::GENERIC
        }
    }
    fn accept(&self, _: &ImportRequest) -> Result<Accepted, Vec<FieldError>> {
        Err(Vec::new())
    }
    async fn refresh(&self, _: &Call<'_>) -> Result<FreshTokens, RefreshError> {
        Err(NotPermitted::Stopping.into())
    }
}

struct Case {
    channel: Channel,
    grant: Grant,
    provider: Fake,
    attempt: u32,
    lost: LostAnswer,
    refused: Option<Refused>,
}

impl Case {
    fn new(rotation: Rotation) -> Self {
        let name = ProviderName::from_static("fake");
        Self {
            channel: Channel {
                uid: ChannelUid::generate(),
                tenant: TenantUid::generate(),
                id: Name::generate("channel"),
                provider: name.clone(),
                app_identity: String::new(),
                external_id: None,
                display_name: String::new(),
                local_name: None,
                state: ChannelState::Active,
                reason: None,
                generation: Generation(3),
                has_refresh_material: true,
                access_expires_at: Some(NOW.plus(HOUR)),
                refresh_expires_at: None,
                refresh_due_at: Some(NOW),
                next_handout_at: Some(NOW),
                last_refreshed_at: None,
                failures: 0,
                last_error: None,
                created_at: NOW,
                updated_at: NOW,
            },
            grant: Grant {
                issued_at: Some(NOW.minus(HOUR)),
                ..Grant::default()
            },
            provider: Fake(name, rotation, HOUR),
            attempt: 1,
            lost: LostAnswer::No,
            refused: None,
        }
    }

    fn decide(&self, answer: Result<FreshTokens, RefreshError>) -> Decision {
        self.situation().decide(answer, |_| Sealed {
            envelope: Vec::new(),
            key_id: "k".to_owned(),
            fingerprint: [0; 16],
        })
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            channel: &self.channel,
            grant: &self.grant,
            provider: Some(&self.provider),
            now: NOW,
            sent_at: NOW,
            attempt: self.attempt,
            max_attempts: 3,
            backoff: Backoff::REFRESH,
            lost: self.lost,
            refused: self.refused,
            held: None,
        }
    }

    fn refuse(&self, verdict: Verdict, reason: &str) -> Decision {
        self.decide(Err(RefreshError::Refused(Box::new(Refusal {
            provider: self.provider.0.clone(),
            verdict,
            details: Details::because(reason),
        }))))
    }
}

fn no_answer() -> RefreshError {
    RefreshError::NoAnswer {
        provider: ProviderName::from_static("fake"),
        source: "cut".into(),
    }
}

fn fresh(lifetime: Duration) -> FreshTokens {
    FreshTokens::access("new".into(), Lifetime::For(lifetime))
}

fn facts(decision: &Decision) -> &Facts {
    match &decision.change {
        Some(Change::Stored { facts, .. } | Change::Confirmed { facts }) => facts,
        other => panic!("no facts: {other:?}"),
    }
}

fn failed(decision: &Decision) -> (Option<ChannelState>, Option<Timestamp>, bool, bool) {
    match &decision.change {
        Some(Change::Failed(failure)) => (
            failure.state.as_ref().map(|(state, _)| *state),
            failure.next_handout_at,
            failure.counts_as_failure,
            failure.no_answer,
        ),
        other => panic!("no failure: {other:?}"),
    }
}

fn told(decision: &Decision) -> (AttemptOutcome, bool, Option<&str>) {
    let told = decision.told.as_ref().expect("something for the history");
    (told.outcome, told.ends_job, told.details.reason.as_deref())
}

#[test]
fn fresh_tokens_are_the_next_generation_and_due_before_their_end() {
    let decision = Case::new(Rotation::Rotating).decide(Ok(fresh(HOUR * 10)));

    let facts = facts(&decision);
    let due_at = facts.refresh_due_at.expect("a due time");
    assert_eq!(facts.access_expires_at, Some(NOW.plus(HOUR * 10)));
    assert!(
        due_at <= NOW.plus(HOUR * 9) && due_at >= NOW.plus(HOUR * 8),
        "{due_at}"
    );
    assert_eq!(told(&decision), (AttemptOutcome::Refreshed, true, None));
    assert_eq!(decision.told.expect("told").generation, Generation(4));
    assert_eq!(decision.outcome, Outcome::Done);
}

#[test]
fn a_token_that_was_not_extended_is_noticed_and_not_asked_for_again_at_once() {
    let mut case = Case::new(Rotation::Reusable);
    let end = NOW.plus(HOUR * 8);
    case.channel.access_expires_at = Some(end);
    case.provider.2 = HOUR * 1000;
    case.grant.issued_at = Some(NOW.minus(HOUR * 3000));
    let same_end = FreshTokens {
        access_token: None,
        ..FreshTokens::access("same".into(), Lifetime::Until(end))
    };

    let looked_at = case.decide(Ok(same_end));
    let exchanged = case.decide(Ok(FreshTokens::access("new".into(), Lifetime::Until(NOW))));

    assert_eq!(facts(&looked_at).refresh_due_at, Some(NOW.plus(HOUR * 4)));
    assert_eq!(told(&exchanged).2, Some(reason::NOT_EXTENDED));
}

#[test]
fn a_token_without_end_is_only_looked_at_once_a_day() {
    let never = FreshTokens::unchanged(Lifetime::Never);

    let decision = Case::new(Rotation::Reusable).decide(Ok(never));

    let facts = facts(&decision);
    let due_at = facts.refresh_due_at.expect("a due time");
    assert_eq!(facts.state, ChannelState::NeverExpires);
    assert_eq!(facts.access_expires_at, None);
    assert!(due_at > NOW.plus(HOUR * 21) && due_at <= NOW.plus(HOUR * 24));
}

#[test]
fn tokens_of_another_account_are_never_stored() {
    let mut case = Case::new(Rotation::Rotating);
    case.channel.external_id = Some("us".to_owned());
    let mut foreign = fresh(HOUR);
    foreign.external_id = Some("them".to_owned());

    let decision = case.decide(Ok(foreign));

    assert_eq!(failed(&decision).0, Some(ChannelState::Error));
    assert_eq!(
        told(&decision),
        (
            AttemptOutcome::Failed(ErrorClass::Fatal),
            true,
            Some(reason::IDENTITY_MISMATCH)
        )
    );
}

#[test]
fn a_transient_error_is_retried_until_the_attempts_are_spent_and_then_the_due_time_moves_on() {
    let mut case = Case::new(Rotation::Reusable);

    let first = case.refuse(Verdict::Retry, "x");
    case.attempt = 3;
    let last = case.refuse(Verdict::Retry, "x");

    assert!(matches!(
        first.outcome,
        Outcome::Retry {
            after: Some(_),
            not_before: false,
            ..
        }
    ));
    assert_eq!(failed(&first), (None, None, false, false));
    assert!(!told(&first).1);
    assert!(matches!(last.outcome, Outcome::Failed { .. }));
    let (state, next, counts, _) = failed(&last);
    assert_eq!((state, counts), (None, true));
    assert!(next.expect("a next look") > NOW);
    assert_eq!(
        told(&last),
        (
            AttemptOutcome::Failed(ErrorClass::Retryable),
            true,
            Some("x")
        )
    );
}

#[test]
fn a_throttled_channel_comes_back_when_the_provider_said_and_keeps_its_attempts() {
    let verdict = Verdict::RateLimited {
        delay: Some(Duration::from_secs(90)),
        source: DelaySource::RetryAfter,
    };
    let mut case = Case::new(Rotation::Reusable);
    case.attempt = 3;

    let decision = case.refuse(verdict, "x");

    assert_eq!(
        decision.outcome,
        snooze(NOW.plus(Duration::from_secs(90)), true)
    );
    assert!(!told(&decision).1, "the job goes on");
    assert!(!failed(&decision).2, "it is no failure of the channel");
}

#[test]
fn a_delay_of_the_provider_is_held_between_a_second_and_a_day() {
    let limited = |secs| Verdict::RateLimited {
        delay: Some(Duration::from_secs(secs)),
        source: DelaySource::RetryAfter,
    };
    let case = Case::new(Rotation::Reusable);

    assert_eq!(
        case.refuse(limited(0), "x").outcome,
        snooze(NOW.plus(Duration::from_secs(1)), true)
    );
    assert_eq!(
        case.refuse(limited(u64::from(u32::MAX)), "x").outcome,
        snooze(NOW.plus(HOUR * 24), true)
    );
}

#[test]
fn a_revoked_grant_needs_a_person() {
    let decision = Case::new(Rotation::Rotating).refuse(Verdict::Reauthorize, reason::REVOKED);

    assert_eq!(failed(&decision).0, Some(ChannelState::NeedsReauth));
    assert_eq!(told(&decision).2, Some(reason::REVOKED));
    assert!(matches!(decision.outcome, Outcome::Failed { .. }));
}

#[test]
fn a_refusal_after_a_lost_answer_is_a_possibly_lost_rotation_where_tokens_rotate() {
    for lost in [LostAnswer::Before, LostAnswer::Now] {
        let mut rotating = Case::new(Rotation::Rotating);
        rotating.lost = lost;
        let mut reusable = Case::new(Rotation::Reusable);
        reusable.lost = lost;

        let of = |case: &Case| {
            let decision = case.refuse(Verdict::Reauthorize, reason::REVOKED);
            told(&decision).2.map(str::to_owned)
        };

        assert_eq!(
            of(&rotating).as_deref(),
            Some(reason::POSSIBLY_LOST_ROTATION)
        );
        assert_eq!(of(&reusable).as_deref(), Some(reason::REVOKED));
    }
}

#[test]
fn a_silent_provider_that_rotates_leaves_the_intent_open() {
    let rotating = Case::new(Rotation::Rotating).decide(Err(no_answer()));
    let reusable = Case::new(Rotation::Reusable).decide(Err(no_answer()));

    assert!(failed(&rotating).3);
    assert!(!failed(&reusable).3);
    assert!(matches!(rotating.outcome, Outcome::Retry { .. }));
}

#[test]
fn an_answer_after_a_lost_one_does_not_close_the_intent() {
    let mut case = Case::new(Rotation::Rotating);
    case.lost = LostAnswer::Now;
    let throttled = Verdict::RateLimited {
        delay: None,
        source: DelaySource::ProviderDefault,
    };

    assert!(failed(&case.refuse(Verdict::Retry, "x")).3);
    assert!(failed(&case.refuse(throttled, "x")).3);
    case.attempt = 3;
    assert!(failed(&case.refuse(Verdict::Retry, "x")).3);
}

#[test]
fn a_gateways_error_or_an_unreadable_success_may_hide_a_rotation() {
    let answer = |rotation, status, reason: &str| {
        let case = Case::new(rotation);
        let refusal = Refusal {
            provider: case.provider.0.clone(),
            verdict: Verdict::Retry,
            details: Details {
                http_status: Some(status),
                ..Details::because(reason)
            },
        };
        failed(&case.decide(Err(RefreshError::Refused(Box::new(refusal))))).3
    };

    assert!(answer(Rotation::Rotating, 502, "x"));
    assert!(answer(Rotation::Rotating, 200, reason::UNKNOWN_ANSWER));
    assert!(!answer(Rotation::Rotating, 503, "x"));
    assert!(!answer(Rotation::Rotating, 200, "x"));
    assert!(!answer(Rotation::Reusable, 502, "x"));
}

#[test]
fn throttling_without_a_named_delay_backs_off_further_each_time() {
    let mut case = Case::new(Rotation::Reusable);
    let verdict = || Verdict::RateLimited {
        delay: None,
        source: DelaySource::ProviderDefault,
    };
    let mut longest = Duration::ZERO;
    for times in 1..=6 {
        let decision = case.refuse(verdict(), "x");
        let Outcome::Snooze { until_ms, .. } = decision.outcome else {
            panic!("not snoozed: {decision:?}");
        };
        let pause = Timestamp::from_millis(until_ms).since(NOW);
        assert!(pause >= longest, "{times}: {pause:?} after {longest:?}");
        longest = THROTTLED.ceiling(times);
        let Some(Change::Failed(failure)) = decision.change else {
            panic!("no failure");
        };
        assert_eq!(failure.error.in_a_row, times);
        case.channel.last_error = Some(failure.error);
    }
}

#[test]
fn wrong_app_settings_leave_the_channel_as_it_is() {
    let decision = Case::new(Rotation::Rotating).refuse(Verdict::Misconfigured, "x");

    assert_eq!(failed(&decision).0, None);
    assert_eq!(
        told(&decision).0,
        AttemptOutcome::Failed(ErrorClass::Misconfigured)
    );
}

#[test]
fn a_bounded_retry_ends_as_its_last_verdict() {
    let mut case = Case::new(Rotation::Rotating);
    let verdict = || Verdict::retry_then(2, Verdict::Fatal);

    let first = case.refuse(verdict(), "x");
    case.attempt = 2;
    let second = case.refuse(verdict(), "x");

    assert!(matches!(first.outcome, Outcome::Retry { .. }));
    assert_eq!(failed(&second).0, Some(ChannelState::Error));
}

#[test]
fn a_channel_in_error_stays_there_until_a_refresh_works() {
    let mut case = Case::new(Rotation::Reusable);
    case.channel.state = ChannelState::Error;
    case.attempt = 3;

    let still = case.refuse(Verdict::Retry, "x");
    let works = case.decide(Ok(fresh(HOUR * 10)));

    assert_eq!(failed(&still).0, Some(ChannelState::Error));
    assert_eq!(facts(&works).state, ChannelState::Active);
}

#[test]
fn what_the_permit_stopped_spends_nothing() {
    let mut case = Case::new(Rotation::Rotating);
    let stop = |case: &Case| case.decide(Err(NotPermitted::Stopping.into()));

    case.refused = Some(Refused::Stopping);
    let stopping = stop(&case);
    case.refused = Some(Refused::Lease);
    let ending = stop(&case);
    case.refused = Some(Refused::Cancelled);
    let cancelled = stop(&case);

    assert!(stopping.change.is_none() && stopping.told.is_none());
    assert_eq!(stopping.outcome, Outcome::Released);
    assert!(ending.change.is_none() && ending.told.is_none());
    assert!(matches!(ending.outcome, Outcome::Snooze { .. }));
    assert!(cancelled.change.is_none());
    assert_eq!(
        told(&cancelled),
        (AttemptOutcome::Failed(ErrorClass::Cancelled), true, None)
    );
}

#[test]
fn a_shutdown_between_two_requests_tells_the_successor_that_an_answer_is_missing() {
    let mut case = Case::new(Rotation::Rotating);
    case.lost = LostAnswer::Now;
    case.refused = Some(Refused::Stopping);

    let decision = case.decide(Err(NotPermitted::Stopping.into()));

    assert!(failed(&decision).3);
    assert!(!told(&decision).1);
    assert_eq!(decision.outcome, Outcome::Released);
}
