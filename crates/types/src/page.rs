//! Page parameters of listings, `n` and `last` (protocol §11.2, §11.3, §14.13).

use crate::error::{Error, Reason};

/// The longest `last` in bytes: longer than any tag or repository name.
pub const MAX_LAST_BYTES: usize = 512;

/// Why page parameters were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// `n` is not a whole number from 0.
    #[error("n is a whole number, 0 or more")]
    Number,
    /// `last` is too long or holds control characters.
    #[error("last is at most {MAX_LAST_BYTES} bytes without control characters")]
    Last,
}

impl From<PageError> for Error {
    fn from(error: PageError) -> Self {
        Self::new(Reason::PageInvalid, error.to_string())
    }
}

/// Which part of a listing is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most so many entries; `Some(0)` asks for an empty list, `None` leaves it to the server.
    pub n: Option<u32>,
    /// Only entries that sort after this one, which need not exist.
    pub last: Option<String>,
}

impl Page {
    /// Checks the parameters, already percent-decoded. Empty ones are as if absent, since scripts
    /// write `last=` on the first page. A number beyond 32 bits is clamped, never an error: the
    /// server's own cap is far below.
    pub fn parse(n: Option<&str>, last: Option<&str>) -> Result<Self, PageError> {
        let n = n.filter(|n| !n.is_empty());
        let n = n.map(|n| parse_number(n).ok_or(PageError::Number));
        let n = n.transpose()?;
        let last = last.filter(|last| !last.is_empty());
        if last
            .is_some_and(|last| last.len() > MAX_LAST_BYTES || last.chars().any(char::is_control))
        {
            return Err(PageError::Last);
        }
        Ok(Self {
            n,
            last: last.map(str::to_owned),
        })
    }

    /// How many entries to give: what was asked for, else `default`, and never more than `cap`.
    pub fn limit(&self, default: u32, cap: u32) -> u32 {
        self.n.unwrap_or(default).min(cap)
    }
}

/// A number of entries in decimal digits, without a sign; one beyond 32 bits is clamped.
pub fn parse_number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Digits only, so nothing but a number too large fails to parse.
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_lead_back(n: Option<u32>, last in proptest::option::of("\\PC{1,128}")) {
            let number = n.map(|n| n.to_string());
            let page = Page::parse(number.as_deref(), last.as_deref());
            prop_assert_eq!(page, Ok(Page { n, last }));
        }

        #[test]
        fn nothing_panics(n in "[0-9+-]{0,30}|\\PC{0,9}", last in "[\\x00-\\x7f]{0,600}") {
            if let Ok(page) = Page::parse(Some(&n), Some(&last)) {
                prop_assert!(page.limit(100, 1000) <= 1000);
                prop_assert!(page.last.is_none_or(|last| last.len() <= MAX_LAST_BYTES));
            }
        }
    }

    #[test]
    fn numbers_are_clamped_and_checked() {
        let n = |text| Page::parse(Some(text), None).map(|page| page.n);
        assert_eq!(n("0"), Ok(Some(0)));
        assert_eq!(n("0050"), Ok(Some(50)));
        assert_eq!(n("4294967296"), Ok(Some(u32::MAX)));
        assert_eq!(n("99999999999999999999999999"), Ok(Some(u32::MAX)));
        assert_eq!(n(""), Ok(None));
        for text in ["-1", "+1", "1.0", "1e3", " 1", "x", "0x1", "١"] {
            assert_eq!(n(text), Err(PageError::Number), "{text}");
        }
    }

    #[test]
    fn last_is_any_text_of_bounded_length() {
        let last = |text: &str| Page::parse(None, Some(text)).map(|page| page.last);
        assert_eq!(last("v1"), Ok(Some("v1".to_owned())));
        assert_eq!(last(""), Ok(None));
        assert!(last(&"x".repeat(MAX_LAST_BYTES)).is_ok());
        assert_eq!(last(&"x".repeat(MAX_LAST_BYTES + 1)), Err(PageError::Last));
        assert_eq!(last("a\0"), Err(PageError::Last));
    }

    #[test]
    fn the_cap_wins() {
        let page = Page {
            n: Some(5000),
            last: None,
        };
        assert_eq!(page.limit(100, 1000), 1000);
        assert_eq!(Page::default().limit(100, 1000), 100);
        assert_eq!(
            Page {
                n: Some(0),
                last: None
            }
            .limit(100, 1000),
            0
        );
    }
}
