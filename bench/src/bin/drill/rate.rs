//! How many requests there were in a time.

use std::time::Duration;

/// The most of these moments (milliseconds, in any order) within one such time.
pub(crate) fn most_within(moments: impl IntoIterator<Item = i64>, time: Duration) -> usize {
    let mut moments: Vec<i64> = moments.into_iter().collect();
    moments.sort_unstable();
    let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let mut from = 0;
    let mut most = 0;
    for (at, moment) in moments.iter().enumerate() {
        while moment - moments[from] >= time {
            from += 1;
        }
        most = most.max(at + 1 - from);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_anywhere_and_does_not_hold_its_end() {
        let second = Duration::from_secs(1);

        assert_eq!(most_within([], second), 0);
        assert_eq!(most_within([0, 1000, 2000], second), 1);
        assert_eq!(most_within([2100, 0, 900, 1100, 1899], second), 3);
    }
}
