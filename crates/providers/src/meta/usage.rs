//! Meta's usage headers: contracts §1.8.

use std::time::Duration;

use domain::{DelaySource, Timestamp};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::delay::text;
use crate::json::number;

/// `X-App-Usage` names no time: the first step of "back off 5 → 60 min".
const APP_USAGE_PAUSE: Duration = Duration::from_mins(5);

/// The longest delay that any of the headers asks for.
pub(super) fn header_delay(headers: &HeaderMap, _: Timestamp) -> Option<(Duration, DelaySource)> {
    let parsed = |name| serde_json::from_str::<Value>(text(headers, name)?).ok();
    let business = parsed("x-business-use-case-usage").and_then(|it| business_use_case(&it));
    let app = parsed("x-app-usage").and_then(|it| app_usage(&it));
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
    let shares = usage.as_object()?.values();
    let spent = shares
        .filter_map(Value::as_f64)
        .any(|percent| percent >= 100.0);
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
