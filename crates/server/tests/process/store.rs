//! What a broken disk or a careless hand does to rows, as SQL.

use seawall_types::digest::Digest;

/// A repository loses its link to a blob.
pub(crate) fn unlink(url: &str, digest: &Digest) -> String {
    let key = literal(url, &digest.to_bytes());
    format!("DELETE FROM repository_blob WHERE digest = {key}")
}

/// A blob's row is lost, while links still name it.
pub(crate) fn forget_blob(url: &str, digest: &Digest) -> String {
    let quote = if url.starts_with("mysql") { '`' } else { '"' };
    let key = literal(url, &digest.to_bytes());
    format!("DELETE FROM {quote}blob{quote} WHERE digest = {key}")
}

/// A blob's row says another size.
pub(crate) fn resize_blob(url: &str, digest: &Digest, size: usize) -> String {
    let quote = if url.starts_with("mysql") { '`' } else { '"' };
    let key = literal(url, &digest.to_bytes());
    format!("UPDATE {quote}blob{quote} SET size = {size} WHERE digest = {key}")
}

/// A manifest's bytes are others.
pub(crate) fn bite_manifest(url: &str, digest: &Digest) -> String {
    let key = literal(url, &digest.to_bytes());
    let body = literal(url, b"{}");
    format!("UPDATE manifest SET body = {body} WHERE digest = {key}")
}

/// Bytes as a literal of the database at this address.
fn literal(url: &str, bytes: &[u8]) -> String {
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    if url.starts_with("postgres") {
        format!("'\\x{hex}'")
    } else {
        format!("X'{hex}'")
    }
}
