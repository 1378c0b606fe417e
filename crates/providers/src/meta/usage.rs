//! Meta's usage headers: contracts §1.8.

use std::time::Duration;

use domain::{DelaySource, Timestamp};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::Permit;
use crate::delay::text;
use crate::json::number;

/// `X-App-Usage` names no time: the first step of "back off 5 → 60 min".
const APP_USAGE_PAUSE: Duration = Duration::from_mins(5);

const APP_USAGE: &str = "x-app-usage";
/// Its members, in percent of the hour's budget.
const SHARES: [&str; 3] = ["call_count", "total_cputime", "total_time"];
/// What the header takes is a tenth of this; a longer one is not Meta's.
const APP_USAGE_MAX: usize = 1024;

/// Tells whoever permitted the request what its good answer says of the app.
///
/// The headers of a business and of an ad account say nothing of the app: one account that is
/// busy must not slow all the others.
pub(crate) fn tell_usage(headers: &HeaderMap, permit: &dyn Permit) {
    if let Some(percent) = text(headers, APP_USAGE).and_then(app_percent) {
        permit.heard_usage(percent);
    }
}

/// Percent of the app's budget that are spent, at most 100; `None` if it is another form.
fn app_percent(header: &str) -> Option<u8> {
    if header.len() > APP_USAGE_MAX {
        return None;
    }
    let usage = serde_json::from_str::<Value>(header).ok()?;
    let most = shares(&usage)?.reduce(f64::max)?.clamp(0.0, 100.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was clamped to 0 to 100"
    )]
    let percent = most as u8;
    Some(percent)
}

/// What `X-App-Usage` counts; `None` if it is no object.
fn shares(usage: &Value) -> Option<impl Iterator<Item = f64>> {
    let usage = usage.as_object()?;
    Some(SHARES.into_iter().filter_map(|it| usage.get(it)?.as_f64()))
}

/// The longest delay that any of the headers asks for.
pub(super) fn header_delay(headers: &HeaderMap, _: Timestamp) -> Option<(Duration, DelaySource)> {
    let parsed = |name| serde_json::from_str::<Value>(text(headers, name)?).ok();
    let business = parsed("x-business-use-case-usage").and_then(|it| business_use_case(&it));
    let app = parsed(APP_USAGE).and_then(|it| app_usage(&it));
    let account = parsed("x-ad-account-usage").and_then(|it| ad_account(&it));
    let named = business.max(account);
    if app > named {
        return app.map(|delay| (delay, DelaySource::ProviderUsage));
    }
    named.map(|delay| (delay, DelaySource::ProviderHeader))
}

/// `{"<id>":[{"estimated_time_to_regain_access":4}]}`, in minutes.
fn business_use_case(usage: &Value) -> Option<Duration> {
    let entries = usage.as_object()?.values().filter_map(Value::as_array);
    entries
        .flatten()
        .filter_map(|entry| positive(entry, "estimated_time_to_regain_access"))
        .map(|minutes| Duration::from_secs(minutes.saturating_mul(60)))
        .max()
}

/// `{"call_count":101,"total_cputime":5,"total_time":20}`, in percent of the hour's budget.
fn app_usage(usage: &Value) -> Option<Duration> {
    let spent = shares(usage)?.any(|percent| percent >= 100.0);
    spent.then_some(APP_USAGE_PAUSE)
}

/// `{"acc_id_util_pct":9.6,"reset_time_duration":100}`, in seconds.
fn ad_account(usage: &Value) -> Option<Duration> {
    positive(usage, "reset_time_duration").map(Duration::from_secs)
}

fn positive(object: &Value, key: &str) -> Option<u64> {
    u64::try_from(number(object, key)?)
        .ok()
        .filter(|it| *it > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(name: &'static str, value: &'static str) -> Option<u64> {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        header_delay(&headers, Timestamp::from_secs(0)).map(|it| it.0.as_secs())
    }

    #[test]
    fn business_usage_counts_minutes_and_its_largest_entry_counts() {
        let usage = concat!(
            r#"{"1":[{"type":"pages","call_count":95,"estimated_time_to_regain_access":4},"#,
            r#"{"type":"pages","estimated_time_to_regain_access":0}],"#,
            r#""2":[{"estimated_time_to_regain_access":"7"}]}"#,
        );

        assert_eq!(delay("X-Business-Use-Case-Usage", usage), Some(420));
    }

    #[test]
    fn app_usage_pauses_for_five_minutes_once_anything_is_spent() {
        let spent = r#"{"call_count":20,"total_cputime":100,"total_time":20}"#;
        let left = r#"{"call_count":99,"total_cputime":5,"total_time":20}"#;

        assert_eq!(delay("x-app-usage", spent), Some(300));
        assert_eq!(delay("x-app-usage", left), None);
    }

    #[test]
    fn a_good_answer_tells_the_largest_share_of_the_app() {
        let told = |value: &str| app_percent(value);

        assert_eq!(
            told(r#"{"call_count":28,"total_cputime":85.9,"total_time":20}"#),
            Some(85)
        );
        assert_eq!(told(r#"{"call_count":7}"#), Some(7));
        assert_eq!(told(r#"{"call_count":137,"total_time":1e300}"#), Some(100));
        assert_eq!(told(r#"{"call_count":-40,"total_time":3}"#), Some(3));
    }

    #[test]
    fn what_is_no_usage_of_an_app_tells_nothing() {
        let huge = format!(r#"{{"call_count":99,"pad":"{}"}}"#, "x".repeat(2000));
        let deep = "[".repeat(1000);
        for value in [
            "",
            "99",
            "null",
            "NaN",
            "[99]",
            "{",
            r#"{"call_count":NaN}"#,
            r#"{"call_count":"99"}"#,
            r#"{"call_count":null}"#,
            r#"{"reset_time_duration":3600}"#,
            r#"{"111":[{"type":"pages","call_count":95}]}"#,
            &huge,
            &deep,
        ] {
            assert_eq!(app_percent(value), None, "{value}");
        }
        assert_eq!(app_percent(r#"{"call_count":-40}"#), Some(0));
    }

    #[test]
    fn ad_account_usage_counts_seconds() {
        let usage = r#"{"acc_id_util_pct":9.6,"reset_time_duration":100}"#;

        assert_eq!(delay("x-ad-account-usage", usage), Some(100));
    }

    #[test]
    fn headers_in_another_form_say_nothing() {
        for value in ["", "true", "[]", "{", r#"{"1":{"a":1}}"#, "null"] {
            assert_eq!(delay("x-business-use-case-usage", value), None, "{value}");
            assert_eq!(delay("x-app-usage", value), None, "{value}");
            assert_eq!(delay("x-ad-account-usage", value), None, "{value}");
        }
    }
}
