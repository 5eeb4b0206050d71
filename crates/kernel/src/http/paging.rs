//! Pages of lists whose cursors mean nothing to clients.
//!
//! A cursor carries where the next page begins, authenticated by a key of the installation: it is
//! good on every replica, for the route and the filter that it was given out for, and nothing that
//! a client writes is ever taken for a position. The protocol's own lists, whose cursors are names
//! that clients may make up, do without it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use seawall_types::page::parse_number;
use seawall_types::{Error, Reason, Result, link};

use super::call::Call;
use crate::secrets::Secrets;

/// What the key of cursors is for.
const PURPOSE: &str = "http.cursor";
/// The form of a cursor; another one is refused, and a list begins anew.
const VERSION: u8 = 1;
/// The length of a tag in bytes.
const TAG: usize = 32;
/// The longest position in bytes.
const LONGEST: usize = 1024;

/// How the parameters of a list are called, and how long its pages are.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    /// The parameter that says how many entries a page has.
    pub limit: &'static str,
    /// The parameter that carries the cursor.
    pub cursor: &'static str,
    /// How many entries a page has where nothing is said.
    pub default: u32,
    /// How many it has at most; who asks for more gets so many.
    pub most: u32,
}

/// The page that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many entries, from 1.
    pub limit: u32,
    /// Where it begins, as [`Call::next_page`] was given it; `None` for the first page.
    pub after: Option<String>,
}

impl Call {
    /// The page that this request asks for. `filter` is whatever else the list depends on: a cursor
    /// is good for the same filter only.
    ///
    /// Errors: `PageInvalid` for a limit that is no number from 1, and for a cursor that this
    /// installation has not given out for this list.
    pub fn page(&self, paging: &Paging, filter: &str) -> Result<PageRequest> {
        let limit = match self
            .query()
            .get(paging.limit)
            .filter(|text| !text.is_empty())
        {
            None => paging.default,
            Some(text) => parse_number(text)
                .filter(|number| *number > 0)
                .ok_or_else(|| {
                    let words = format!("{} is a whole number, 1 or more", paging.limit);
                    Error::new(Reason::PageInvalid, words)
                })?,
        };
        let cursor = self
            .query()
            .get(paging.cursor)
            .filter(|text| !text.is_empty());
        let context = (self.route_name(), filter);
        let open = |text| open(self.op.kernel().secrets(), context, text);
        let invalid = || {
            let words = format!("{} is not a cursor of this list", paging.cursor);
            Error::new(Reason::PageInvalid, words)
        };
        Ok(PageRequest {
            limit: limit.min(paging.most),
            after: cursor
                .map(|text| open(text).ok_or_else(invalid))
                .transpose()?,
        })
    }

    /// The cursor of the page after `position`.
    ///
    /// Errors: `Internal` for a position of more than 1024 bytes, whose cursor would be refused
    /// when it comes back.
    pub fn cursor(&self, filter: &str, position: &str) -> Result<String> {
        let context = (self.route_name(), filter);
        seal(self.op.kernel().secrets(), context, position)
    }

    /// The `Link` to the page after `position`: this request's path and query with another cursor.
    /// Errors: as [`Self::cursor`].
    pub fn next_page(&self, paging: &Paging, filter: &str, position: &str) -> Result<String> {
        let cursor = self.cursor(filter, position)?;
        let mut query: Vec<_> = self.query().iter().collect();
        query.retain(|(name, _)| *name != paging.cursor);
        query.push((paging.cursor, &cursor));
        Ok(link::next_from(self.uri().path(), &query))
    }
}

/// What a tag is over. Lengths stand ahead, so that no two contexts read alike.
fn message((route, filter): (&str, &str), position: &str) -> Vec<u8> {
    let mut message = vec![VERSION];
    for part in [route, filter, position] {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(part.as_bytes());
    }
    message
}

fn seal(secrets: &Secrets, context: (&str, &str), position: &str) -> Result<String> {
    if position.len() > LONGEST {
        return Err(Error::internal("the position of a cursor is too long"));
    }
    let mut cursor = vec![VERSION];
    cursor.extend(secrets.tag(PURPOSE, &message(context, position)));
    cursor.extend(position.as_bytes());
    Ok(URL_SAFE_NO_PAD.encode(cursor))
}

fn open(secrets: &Secrets, context: (&str, &str), text: &str) -> Option<String> {
    if text.len() > (1 + TAG + LONGEST) * 4 / 3 + 4 {
        return None;
    }
    let cursor = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (version, rest) = cursor.split_first()?;
    let (tag, position) = rest.split_at_checked(TAG)?;
    let position = std::str::from_utf8(position).ok()?;
    let is_ours = secrets.is_tagged(PURPOSE, &message(context, position), tag);
    (*version == VERSION && is_ours).then(|| position.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets() -> Secrets {
        Secrets::from_bytes(&[7; 32])
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_in_its_own_list_only(
            position in "\\PC{0,60}",
            other in "\\PC{0,9}",
            at: prop::sample::Index,
            bit in 0..8_u8,
        ) {
            let cursor = seal(&secrets(), ("tags", "a"), &position).unwrap();
            let opened = |secrets: &Secrets, context| open(secrets, context, &cursor);
            prop_assert_eq!(opened(&secrets(), ("tags", "a")), Some(position.clone()));
            prop_assert_eq!(opened(&secrets(), ("tagsa", "")), None);
            let longer = format!("a{other}x");
            prop_assert_eq!(opened(&secrets(), ("tags", longer.as_str())), None);
            prop_assert_eq!(opened(&Secrets::from_bytes(&[8; 32]), ("tags", "a")), None);
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let altered = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(open(&secrets(), ("tags", "a"), &altered), None);
        }

        #[test]
        fn what_is_sealed_is_opened_up_to_the_longest(length in LONGEST - 3..=LONGEST + 3) {
            let position = "x".repeat(length);
            let cursor = seal(&secrets(), ("tags", ""), &position);
            prop_assert_eq!(cursor.is_ok(), length <= LONGEST);
            if let Ok(cursor) = cursor {
                prop_assert_eq!(open(&secrets(), ("tags", ""), &cursor), Some(position));
            }
        }

        #[test]
        fn nothing_that_a_client_writes_is_a_cursor(text in "\\PC{0,90}|[A-Za-z0-9_-]{0,200}") {
            prop_assert_eq!(open(&secrets(), ("tags", ""), &text), None);
        }
    }
}
