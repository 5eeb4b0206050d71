//! Several ranges of a blob in one answer: `multipart/byteranges` (RFC 9110 §14.6).
//!
//! Clients that pull parts of layers rely on it (protocol §5.7). The parts are read one after
//! the other, so memory does not grow with their number.

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use seawall_blob::{BlobPlace, Transfers};
use seawall_types::range::ByteRange;

/// What separates the parts: letters and digits only, for clients that know no others.
pub(super) struct Boundary(String);

impl Boundary {
    /// A boundary of 128 random bits, which no content holds.
    pub(super) fn of(random: [u8; 16]) -> Self {
        Self(hex::encode(random))
    }

    /// The answer's `Content-Type`.
    pub(super) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.0)
    }

    fn before(&self, first: bool, part: ByteRange, size: u64) -> String {
        let (start, end) = (part.start, part.end);
        let (gap, boundary) = (if first { "" } else { "\r\n" }, &self.0);
        format!(
            "{gap}--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: bytes {start}-{end}/{size}\r\n\r\n"
        )
    }

    fn last(&self) -> String {
        format!("\r\n--{}--\r\n", self.0)
    }

    /// The exact length of the whole body.
    pub(super) fn length(&self, parts: &[ByteRange], size: u64) -> u64 {
        let head = |(at, part): (usize, &ByteRange)| self.before(at == 0, *part, size).len() as u64;
        let heads: u64 = parts.iter().enumerate().map(head).sum();
        let bytes = parts
            .iter()
            .fold(0u64, |sum, part| sum.saturating_add(part.length()));
        bytes
            .saturating_add(heads)
            .saturating_add(self.last().len() as u64)
    }

    /// The body. A part that cannot be read breaks it.
    pub(super) fn stream(
        self,
        transfers: Transfers,
        (place, size): (BlobPlace, u64),
        parts: Vec<ByteRange>,
    ) -> impl Stream<Item = seawall_blob::Result<Bytes>> + Send + 'static {
        let last = Bytes::from(self.last());
        let pieces = stream::iter(parts.into_iter().enumerate()).then(move |(at, part)| {
            let head = Bytes::from(self.before(at == 0, part, size));
            let (transfers, place) = (transfers.clone(), place.clone());
            async move {
                let range = (part.start, part.length());
                let download = transfers.open(&place, size, Some(range)).await?;
                seawall_blob::Result::Ok(stream::iter([Ok(head)]).chain(download.stream))
            }
        });
        pieces.try_flatten().chain(stream::iter([Ok(last)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_what_is_written() {
        let boundary = Boundary::of([0xab; 16]);
        let parts = [
            ByteRange { start: 0, end: 1 },
            ByteRange { start: 5, end: 14 },
        ];
        let mut body = String::new();
        for (at, part) in parts.iter().enumerate() {
            body += &boundary.before(at == 0, *part, 100);
            body += &"x".repeat(usize::try_from(part.length()).unwrap());
        }
        body += &boundary.last();
        assert_eq!(boundary.length(&parts, 100), body.len() as u64);
        let expected = "--abababababababababababababababab\r\n\
             Content-Type: application/octet-stream\r\n\
             Content-Range: bytes 0-1/100\r\n\r\nxx\r\n--abab";
        assert!(body.starts_with(expected), "{body}");
        assert!(
            body.ends_with("xxxxxxxxxx\r\n--abababababababababababababababab--\r\n"),
            "{body}"
        );
    }
}
