//! However bytes are cut into frames and appends, and whoever carries the state on: the whole is
//! the whole.

use proptest::prelude::*;
use seawall_blob::fixture::{StoreUnderTest, body, broken, noise, read};
use seawall_blob::{AppendLimit, BodyError, FinishOutcome, UploadState};
use seawall_types::digest::{Algorithm, Digest};
use uuid::Uuid;

#[derive(Clone, Debug)]
struct Step {
    size: usize,
    frame: usize,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Whole,
    Exact,
    Broken,
    /// The row of this one is never written; the same bytes come again.
    Forgotten,
    /// One that lied about its length comes first.
    AfterLie,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![3 => 0usize..5000, 1 => 0usize..1_500_000];
    let frame = prop_oneof![1usize..300, 1000usize..700_000];
    let how = prop_oneof![
        Just(How::Whole),
        Just(How::Exact),
        Just(How::Broken),
        Just(How::Forgotten),
        Just(How::AfterLie)
    ];
    let step = (size, frame, how).prop_map(|(size, frame, how)| Step { size, frame, how });
    proptest::collection::vec(step, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_whole_is_the_whole(
        steps in steps(),
        announced in prop_oneof![Just(None), Just(Some(Algorithm::Sha256)), Just(Some(Algorithm::Sha512))],
        wanted in prop_oneof![Just(Algorithm::Sha256), Just(Algorithm::Sha512)],
        at_once: bool,
        seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(go(steps, announced, wanted, at_once, seed));
    }
}

async fn go(
    steps: Vec<Step>,
    announced: Option<Algorithm>,
    wanted: Algorithm,
    at_once: bool,
    seed: u64,
) {
    let data = tempfile::tempdir().unwrap();
    let subject = StoreUnderTest::on_disk(data.path());
    let bytes = noise(steps.iter().map(|step| step.size).sum(), seed);
    let id = Uuid::from_u128(1);
    let mut row = subject.transfers().await.begin(id, announced).to_bytes();
    let mut rest = &bytes[..];
    let (last, all_but_last) = match steps.split_last() {
        Some((last, others)) if at_once => (Some(last), others),
        _ => (None, &steps[..]),
    };
    for step in all_but_last {
        let (chunk, after) = rest.split_at(step.size);
        rest = after;
        row = append(&subject, &row, chunk, step).await;
    }
    let transfers = subject.transfers().await;
    let hold = transfers.hold(id).await.unwrap();
    let state = UploadState::from_bytes(&row).unwrap();
    let digest = Digest::of(wanted, &bytes);
    let stored = match last {
        None => transfers.finish(&hold, state, &digest).await.unwrap(),
        Some(last) => {
            let (frames, limit) = (body(rest, last.frame), AppendLimit::default());
            match transfers
                .append_and_finish(&hold, state, frames, limit, &digest)
                .await
                .unwrap()
            {
                FinishOutcome::Stored(stored) => stored,
                FinishOutcome::Unfinished(appended) => unreachable!("{appended:?}"),
            }
        }
    };
    assert_eq!((stored.digest, stored.size), (digest, bytes.len() as u64));
    let others: Vec<_> = stored
        .also
        .iter()
        .map(|d| Digest::of(d.algorithm(), &bytes))
        .collect();
    assert_eq!(stored.also, others);
    let download = transfers
        .open(&stored.place, stored.size, None)
        .await
        .unwrap();
    assert!(read(download.stream).await.unwrap() == bytes);
}

/// One append by a replica of its own; returns the row as it is afterwards.
async fn append(subject: &StoreUnderTest, row: &[u8], chunk: &[u8], step: &Step) -> Vec<u8> {
    let transfers = subject.transfers().await;
    let state = UploadState::from_bytes(row).unwrap();
    let hold = transfers.hold(state.id()).await.unwrap();
    let (length, frame) = (chunk.len() as u64, step.frame);
    let exact = AppendLimit::exactly(length);
    let any = AppendLimit::default();
    match step.how {
        How::Forgotten => {
            let ghost = noise(chunk.len() + 77, 5);
            let lost = transfers
                .append(&hold, state.clone(), body(&ghost, frame), any)
                .await;
            assert_eq!(lost.unwrap().received, length + 77);
        }
        How::AfterLie => {
            let lie = AppendLimit::exactly(length + 1);
            let done = transfers
                .append(&hold, state.clone(), body(chunk, frame), lie)
                .await;
            assert_eq!(done.unwrap().state, state);
        }
        How::Whole | How::Exact | How::Broken => {}
    }
    let before = state.offset();
    let done = match step.how {
        How::Exact => {
            transfers
                .append(&hold, state, body(chunk, frame), exact)
                .await
        }
        How::Broken => {
            let gone = broken(chunk, frame, BodyError::ClientGone);
            transfers.append(&hold, state, gone, any).await
        }
        _ => {
            transfers
                .append(&hold, state, body(chunk, frame), any)
                .await
        }
    };
    let done = done.unwrap();
    assert_eq!(
        (done.received, done.state.offset()),
        (length, before + length)
    );
    done.state.to_bytes()
}
