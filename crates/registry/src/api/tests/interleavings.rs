//! Requests on one upload that know less than has happened: nothing that was acknowledged is lost,
//! and no bytes are taken for others (protocol §7.12 to §7.16).

use bytes::Bytes;
use futures::Stream;
use futures::stream;
use http::StatusCode as S;
use seawall_blob::{AppendLimit, BodyError};
use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::repositories;
use seawall_kernel::{Op, Repo};
use seawall_meta::args;
use seawall_types::{Algorithm, Digest, Reason, RepositoryName};
use uuid::Uuid;

use super::Harness;
use crate::acts::Push;
use crate::upload::{self, Chunk, UploadRequest, UploadToken, store};

/// An upload, and what its requests believe of its repository.
struct Upload {
    op: Op,
    uuid: Uuid,
    ticket: Option<UploadToken>,
    /// As it was when there was no repository.
    early: Repo<Push>,
    late: Repo<Push>,
}

impl Upload {
    async fn begin(rig: &Harness) -> (Self, String) {
        let op = rig.op("ann");
        let at = rig.open("ann", "ann/app").await;
        let last = at.rsplit('/').next().unwrap();
        let (uuid, state) = last.split_once('.').unwrap();
        let uuid = Uuid::try_parse(uuid).unwrap();
        let name = RepositoryName::parse("ann/app").unwrap();
        let (early, late) = (op.repo(&name).await.unwrap(), op.repo(&name).await.unwrap());
        let ticket = UploadToken::read(&op, (&early, uuid), state);
        assert!(ticket.is_some());
        let upload = Self {
            op,
            uuid,
            ticket,
            early,
            late,
        };
        (upload, at)
    }

    fn request<'a>(&'a self, repo: &'a Repo<Push>) -> UploadRequest<'a> {
        UploadRequest {
            repo,
            uuid: self.uuid,
            ticket: self.ticket.as_ref(),
        }
    }

    async fn append(&self, rig: &Harness, repo: &Repo<Push>, bytes: &[u8]) -> Result<u64, Reason> {
        let request = self.request(repo);
        let chunk = Chunk::default();
        let appended = upload::append(&rig.content, &self.op, request, chunk, body(bytes)).await;
        appended
            .map(|progress| progress.offset)
            .map_err(|refusal| refusal.error.reason)
    }

    async fn finish(
        &self,
        rig: &Harness,
        repo: &Repo<Push>,
        digest: &Digest,
    ) -> Result<(), Reason> {
        let request = self.request(repo);
        let last = (Chunk::default(), digest);
        let finished = upload::finish(&rig.content, &self.op, request, last, body(b"")).await;
        finished.map_err(|refusal| refusal.error.reason)
    }

    /// (generation, offset), if it has a row.
    async fn row(&self) -> Option<(u64, u64)> {
        let sql = self.op.sql();
        let row = sql.optional(&store::FIND, args![self.uuid.to_string()]);
        let row = row.await.unwrap()?;
        Some((row.size(1).unwrap(), row.size(2).unwrap()))
    }
}

fn body(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    let piece = Bytes::copy_from_slice(bytes);
    stream::iter((!piece.is_empty()).then_some(Ok(piece)))
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

#[tokio::test]
async fn an_end_that_knows_of_no_repository_ends_what_a_chunk_has_begun() {
    let rig = Harness::new().await;
    let (upload, _) = Upload::begin(&rig).await;
    assert_eq!(upload.append(&rig, &upload.early, b"bytes").await, Ok(5));
    let digest = sha256(b"bytes");
    assert_eq!(upload.finish(&rig, &upload.late, &digest).await, Ok(()));
    let path = format!("/v2/ann/app/blobs/{digest}");
    let got = rig.ask("ann", "GET", &path).expect(S::OK).await;
    assert_eq!(got.body, "bytes");
}

#[tokio::test]
async fn a_chunk_that_knows_of_no_repository_goes_behind_the_one_before() {
    let rig = Harness::new().await;
    let (upload, at) = Upload::begin(&rig).await;
    assert_eq!(upload.append(&rig, &upload.early, b"bytes").await, Ok(5));
    // As many bytes, and others: were they taken for the first ones, they would have their digest.
    assert_eq!(upload.append(&rig, &upload.late, b"other").await, Ok(10));
    let status = rig.ask("ann", "GET", &at).expect(S::NO_CONTENT).await;
    assert_eq!(status.text("range"), "0-9");
    let wrong = upload.finish(&rig, &upload.late, &sha256(b"bytes")).await;
    assert_eq!(wrong, Err(Reason::DigestMismatch));
    assert_eq!((rig.stored().await, upload.row().await), (0, None));
}

#[tokio::test]
async fn bytes_whose_first_booking_failed_are_gone() {
    let rig = Harness::new().await;
    rig.push("ann", "ann/app", b"to make it").await;
    let (upload, at) = Upload::begin(&rig).await;
    let name = RepositoryName::parse("ann/app").unwrap();
    let repo = upload.op.repo::<Administer>(&name).await.unwrap();
    repositories::delete(&upload.op, &repo).await.unwrap();
    let refused = upload.append(&rig, &upload.early, b"bytes").await;
    assert_eq!(refused, Err(Reason::NameUnknown));
    assert_eq!(std::fs::read_dir(rig.uploads()).unwrap().count(), 0);
    rig.ask("ann", "GET", &at).expect(S::NOT_FOUND).await;
}

#[tokio::test]
async fn a_row_moves_on_before_bytes_that_it_does_not_count_are_written_over() {
    let rig = Harness::new().await;
    let (upload, at) = Upload::begin(&rig).await;
    assert_eq!(upload.append(&rig, &upload.early, b"bytes").await, Ok(5));
    assert_eq!(upload.append(&rig, &upload.early, b" more").await, Ok(10));
    assert_eq!(upload.row().await, Some((2, 10)));
    let path = rig.uploads().join(upload.uuid.to_string());
    let whole = [std::fs::read(&path).unwrap(), b" tail".to_vec()].concat();
    std::fs::write(&path, whole).unwrap();
    // Had those five bytes been booked just now, this one would have found the row moved.
    assert_eq!(upload.append(&rig, &upload.late, b" end").await, Ok(14));
    assert_eq!(upload.row().await, Some((4, 14)));
    let end = format!("{at}?digest={}", sha256(b"bytes more end"));
    let put = rig.ask("ann", "PUT", &end).bytes(b"");
    put.expect(S::CREATED).await;
}

#[tokio::test]
async fn a_file_that_a_crash_left_without_a_row_is_begun_anew() {
    let rig = Harness::new().await;
    for whole in [false, true] {
        let (upload, at) = Upload::begin(&rig).await;
        let transfers = upload.op.transfers();
        let hold = transfers.hold(upload.uuid).await.unwrap();
        let (state, limit) = (transfers.begin(upload.uuid, None), AppendLimit::default());
        let left = transfers.append(&hold, state, body(b"left behind"), limit);
        assert_eq!(left.await.unwrap().received, 11);
        drop(hold);
        let bytes: &[u8] = if whole { b"whole" } else { b"in chunks" };
        let end = format!("{at}?digest={}", sha256(bytes));
        let mut last = bytes;
        if !whole {
            assert_eq!(upload.append(&rig, &upload.early, bytes).await, Ok(9));
            last = b"";
        }
        let put = rig.ask("ann", "PUT", &end).bytes(last);
        put.expect(S::CREATED).await;
    }
}

#[tokio::test]
async fn where_the_bytes_are_not_a_row_is_not_ended_for_those_who_have_them() {
    let rig = Harness::new().await;
    for method in ["PATCH", "PUT"] {
        let (upload, at) = Upload::begin(&rig).await;
        assert_eq!(upload.append(&rig, &upload.early, b"bytes").await, Ok(5));
        // As if this were a replica with a disk of its own.
        std::fs::remove_file(rig.uploads().join(upload.uuid.to_string())).unwrap();
        let end = format!("{at}?digest={}", sha256(b"bytes"));
        let ask = rig.ask("ann", method, &end);
        let told = ask.bytes(b" more").expect(S::NOT_FOUND).await;
        assert_eq!(told.code(), "BLOB_UPLOAD_UNKNOWN");
        rig.ask("ann", "GET", &at).expect(S::NOT_FOUND).await;
        assert_eq!(upload.row().await, Some((1, 5)), "{method}");
    }
}

#[tokio::test]
async fn a_first_chunk_that_comes_too_late_for_the_limit_is_refused() {
    let mut config = crate::Config::default();
    config.uploads.max_per_user = 1;
    let rig = Harness::with(config).await;
    let at = [
        rig.open("ann", "ann/app").await,
        rig.open("ann", "ann/app").await,
    ];
    // Both are below the limit when they begin, and the second ends last.
    let (pen, pieces) = futures::channel::mpsc::unbounded::<Result<Bytes, std::io::Error>>();
    let late = rig.ask("ann", "PATCH", &at[0]);
    let late = late.stream(axum::body::Body::from_stream(pieces)).send();
    let first = async {
        let first = rig.ask("ann", "PATCH", &at[1]).bytes(b"first");
        first.expect(S::ACCEPTED).await;
        pen.unbounded_send(Ok(Bytes::from_static(b"late"))).unwrap();
        drop(pen);
    };
    let (late, ()) = tokio::join!(late, first);
    assert_eq!(late.status, S::TOO_MANY_REQUESTS, "{late:?}");
    let files = std::fs::read_dir(rig.uploads()).unwrap().count();
    assert_eq!(files, 1, "that of the first");
}
