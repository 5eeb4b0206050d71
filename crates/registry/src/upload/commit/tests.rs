//! What a transaction does that is run again because nobody knows how it ended, and whose copy
//! stays.

use futures::stream;
use seawall_blob::AppendLimit;

use super::*;
use crate::tests::Fixture;

fn fresh(op: &Op) -> Uuid {
    seawall_types::time::uuid(op.kernel().random())
}

/// Bytes in the store that no row names.
async fn stored(op: &Op, bytes: &'static [u8]) -> StoredBlob {
    let (transfers, uuid) = (op.transfers(), fresh(op));
    let hold = transfers.hold(uuid).await.unwrap();
    let body = stream::iter([Ok(Bytes::from_static(bytes))]);
    let (state, limit) = (transfers.begin(uuid, None), AppendLimit::default());
    let digest = Digest::of(seawall_types::Algorithm::Sha256, bytes);
    let finished = transfers.append_and_finish(&hold, state, body, limit, &digest);
    match finished.await.unwrap() {
        FinishOutcome::Stored(stored) => stored,
        FinishOutcome::Unfinished(appended) => unreachable!("{appended:?}"),
    }
}

/// The row of an upload in its first generation.
async fn row(op: &Op, repo: &Repo<Push>) -> (Uuid, u64) {
    let uuid = fresh(op);
    let repository = repo.existing().unwrap();
    let arguments = args![
        uuid.to_string(),
        repository,
        None::<i64>,
        1i64,
        1i64,
        Vec::<u8>::new()
    ];
    op.transaction(arguments, |tx, _op, arguments| {
        Box::pin(async move { Ok(tx.execute(&store::INSERT, arguments.clone()).await?) })
    })
    .await
    .unwrap();
    (uuid, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_end_is_run_again_without_harm() {
    let fixture = Fixture::open().await;
    fixture.blob("to make the repository").await;
    let op = fixture.op();
    let repo = op.repo::<Push>(&fixture.name).await.unwrap();
    let reason = async |stored: StoredBlob, ended, doubtful| {
        let recorded = record(&op, &repo, (&stored, doubtful), ended).await;
        recorded
            .map(|(_, place)| place)
            .map_err(|error| error.reason)
    };
    // It was committed, as new bytes and as bytes that were here.
    let first = stored(&op, b"bytes").await;
    for ours in [first.clone(), stored(&op, b"bytes").await] {
        let ended = Some(row(&op, &repo).await);
        let place = reason(ours.clone(), ended, false).await;
        assert_eq!(place, Ok(first.place.clone()));
        assert_eq!(reason(ours.clone(), ended, true).await, place);
        let unknown = Err(Reason::UploadUnknown);
        assert_eq!(reason(ours.clone(), ended, false).await, unknown);
    }
    // It was not, and was cancelled before it could be.
    let other = stored(&op, b"other").await;
    let cancelled = Some((fresh(&op), 1));
    let unknown = Err(Reason::UploadUnknown);
    assert_eq!(reason(other.clone(), cancelled, true).await, unknown);
    // It was not, and is now.
    let ended = Some(row(&op, &repo).await);
    assert_eq!(reason(other.clone(), ended, true).await, Ok(other.place));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_right_size_and_the_wrong_bytes_is_replaced() {
    let fixture = Fixture::open().await;
    let op = fixture.op();
    let (ours, other) = (stored(&op, b"bytes").await, stored(&op, b"other").await);
    assert!(is_whole(&op, &ours, &ours.place).await);
    assert!(!is_whole(&op, &ours, &other.place).await);
}
