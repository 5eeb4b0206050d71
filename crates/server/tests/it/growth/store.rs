//! Rows by the hundred thousand, in every table, made inside the database.
//!
//! They hang together as badly as they may: one repository has all manifests, tags and links, one
//! user has all uploads. The table `test_number` holds numbers, with a name and a digest
//! each; `{rows}` are those that are not used yet, `{now}` is the time.

use std::fs;
use std::path::Path;

/// How many manifests can be pulled; the others are hidden.
const LIVE: &str = "510";

/// The tables, and what fills them.
pub(crate) const SEEDS: &[(&str, &[&str])] = &[
    (
        "installation",
        &[
            "INSERT INTO installation (id, uuid, secret_check, created_at) \
        SELECT i, name, digest, {now} {rows} AND i = 1",
        ],
    ),
    (
        "signing_key",
        &[
            "INSERT INTO signing_key (id, purpose, sealed, public_key, created_at, signs_from) \
        SELECT i, 'token', digest, digest, {now}, {now} {rows} AND i <= 3",
        ],
    ),
    (
        "event_cursor",
        &[
            "INSERT INTO event_cursor (consumer, position, fence, lease_until) \
        SELECT name, i, 1, {now} {rows} AND i <= 3",
        ],
    ),
    (
        "log_floor",
        &["INSERT INTO log_floor (name, floor) SELECT name, 1 {rows} AND i <= 3"],
    ),
    (
        "backfill",
        &["INSERT INTO backfill (name, position) SELECT name, digest {rows} AND i <= 3"],
    ),
    (
        "principal",
        &[
            "INSERT INTO principal (id, kind, name, superuser, state, generation, created_at) \
        SELECT i, 1, name, 0, 1, 1, {now} {rows}",
        ],
    ),
    (
        "namespace",
        &[
            "INSERT INTO namespace (id, name, kind, owner_id, state, generation, created_at) \
        SELECT i, name, 1, i, 1, 1, {now} {rows}",
        ],
    ),
    (
        "repository",
        &["INSERT INTO repository \
        (id, namespace_id, name, kind, visibility, state, generation, created_at) \
        SELECT i, 1, name, 1, 2, 1, 1, {now} {rows}"],
    ),
    (
        "namespace_grant",
        &[
            "INSERT INTO namespace_grant (namespace_id, principal_id, role, created_at) \
        SELECT i, i, 1, {now} {rows}",
        ],
    ),
    (
        "repository_grant",
        &[
            "INSERT INTO repository_grant (repository_id, principal_id, role, created_at) \
        SELECT i, i, 1, {now} {rows}",
        ],
    ),
    (
        "credential",
        &[
            "INSERT INTO credential \
        (id, principal_id, kind, secret, state, label, created_at, expires_at, last_used_at) \
        SELECT 2 * i, i, 1, digest, 1, name, {now}, NULL, {now} {rows}",
            "INSERT INTO credential \
        (id, principal_id, kind, secret, state, label, created_at, expires_at, last_used_at) \
        SELECT 2 * i + 1, i, 2, digest, 2, name, {now}, {now}, {now} {rows}",
        ],
    ),
    (
        "blob",
        &[
            "INSERT INTO \"blob\" (digest, size, created_at, location, place_key) \
        SELECT digest, 1, {now}, 'files', name {rows}",
        ],
    ),
    (
        "blob_ref",
        &[
            "INSERT INTO blob_ref (digest, repository_id, owner_kind, owner, namespace_id, until) \
        SELECT digest, 1, 1, digest, 1, {now} {rows}",
        ],
    ),
    (
        "event",
        &["INSERT INTO event (id, nonce, kind, at, payload) \
        SELECT i, i, 1, {now} - 1000000 + i, 'x' {rows}"],
    ),
    (
        "change",
        &["INSERT INTO \"change\" (id, nonce, kind, at, a, b, name) \
        SELECT i, i, 1, {now} - 1000000 + i, 1, 1, name {rows}"],
    ),
    // Put off, every one.
    (
        "job",
        &["INSERT INTO job \
        (id, kind, dedup, payload, state, run_at, attempts, fence, lease_until, last_error, created_at) \
        SELECT i, 'k', name, 'x', 1, {now} + 3600000 + i, 0, 0, 0, 'e', {now} {rows}"],
    ),
    (
        "repository_blob",
        &[
            "INSERT INTO repository_blob (repository_id, digest, size, created_at) SELECT 1, digest, 1, {now} {rows}",
            // One blob is in many repositories.
            "INSERT INTO repository_blob (repository_id, digest, size, created_at) \
        SELECT i, (SELECT o.digest FROM test_number o WHERE o.i = 500), 1, {now} {rows} AND i > 1 AND (i <= 300 OR i % 50 = 0)",
        ],
    ),
    (
        "upload",
        &["INSERT INTO upload \
        (uuid, repository_id, principal_id, generation, upload_offset, state, created_at, active_at) \
        SELECT name, 1, 1, 1, 0, digest, {now}, {now} - i {rows}"],
    ),
    // All are about one of them.
    (
        "manifest",
        &[
            "INSERT INTO manifest (repository_id, digest, media_type, size, artifact_type, subject, \
        referrer, referrer_size, body, state, hidden_at, created_at) \
        SELECT 1, digest, 'm', 1, 'a', (SELECT o.digest FROM test_number o WHERE o.i = 500), 'r', 1, digest, \
        CASE WHEN i <= {live} THEN 1 ELSE 2 END, CASE WHEN i <= {live} THEN NULL ELSE {now} - i END, {now} {rows}",
        ],
    ),
    (
        "manifest_edge",
        &[
            "INSERT INTO manifest_edge (repository_id, manifest, kind, digest) SELECT 1, digest, 2, digest {rows}",
        ],
    ),
    // Those whose tags are still being deleted; that of all the tags here is none of them.
    (
        "manifest_untagging",
        &[
            "INSERT INTO manifest_untagging (repository_id, digest, actor_id, actor) SELECT 1, digest, 1, 'a' {rows} AND i <> 500",
        ],
    ),
    (
        "tag_history",
        &[
            "INSERT INTO tag_history (id, repository_id, name, digest, from_at, until_at, cause, actor_id, actor) \
        SELECT i, 1, name, digest, {now} - i, {now}, 1, 1, 'a' {rows} AND i <> 500",
            // One tag has moved again and again.
            "INSERT INTO tag_history (id, repository_id, name, digest, from_at, until_at, cause, actor_id, actor) \
        SELECT 1000000 + i, 1, 'n000000500', digest, {now} - i, {now}, 1, 1, 'a' {rows}",
            "INSERT INTO tag_history (id, repository_id, name, digest, from_at, until_at, cause, actor_id, actor) \
        SELECT 9000000, 1, name, digest, {now} - i, NULL, 1, 1, 'a' {rows} AND i = 500",
        ],
    ),
    (
        "tag",
        &[
            "INSERT INTO tag (repository_id, name, digest, history_id, expires_at, updated_at) \
        SELECT 1, name, (SELECT o.digest FROM test_number o WHERE o.i = 500), i, {now} + 3600000, {now} {rows}",
        ],
    ),
];

/// The rows that features bring for their own tables, in the file `samples.sql` of their folders:
/// the table and a statement that fills it.
pub(crate) fn samples() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let crates = fs::read_dir(root.join("crates")).unwrap();
    let folders = crates.map(|entry| entry.unwrap().path());
    let folders = folders.chain([root.join("testkit")]);
    let texts = folders.filter_map(|folder| fs::read_to_string(folder.join("samples.sql")).ok());
    let statements = texts.flat_map(|text| {
        let lines = text.lines().filter(|line| !line.starts_with("--"));
        let text = lines.collect::<Vec<_>>().join("\n");
        let statements = text.split(';').map(str::trim).map(str::to_owned);
        statements
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
    });
    let with_table = statements.map(|text| {
        let table = text.split_whitespace().nth(2).unwrap().to_owned();
        (table, text)
    });
    with_table.collect()
}

/// The text of a seed for the numbers from `first` to `last`.
pub(crate) fn seed(text: &str, (first, last): (u32, u32), now: i64) -> String {
    let rows = format!("FROM test_number WHERE i >= {first} AND i <= {last}");
    text.replace("{rows}", &rows)
        .replace("{now}", &now.to_string())
        .replace("{live}", LIVE)
}
