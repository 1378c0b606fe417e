//! Pages of long lists: `{items, next_cursor}`.

use domain::Name;

/// Which part of a list is wanted. `K` is what the list is ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K = Name> {
    /// Continue after this item: [`Page::next`] of the page before; `None` begins.
    pub after: Option<K>,
    /// At most so many items, 1–200.
    pub limit: u32,
}

impl<K> Default for PageRequest<K> {
    fn default() -> Self {
        Self {
            after: None,
            limit: 50,
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, K = Name> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// Makes a page of rows that were read with `LIMIT limit + 1`.
    pub(crate) fn cut(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(key);
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let key = |n: &u8| *n;

        let full = Page::cut(vec![1, 2, 3], 2, key);
        let last = Page::cut(vec![1, 2], 2, key);

        assert_eq!((full.items, full.next), (vec![1, 2], Some(2)));
        assert_eq!((last.items, last.next), (vec![1, 2], None));
    }
}
