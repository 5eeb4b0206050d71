//! What crates declare, over an open kernel: clashes, undeclared things, and typed events.

use std::error::Error as _;
use std::sync::{Arc, Mutex};

use seawall_cache::Lookup;
use seawall_types::lane::Lane;
use seawall_types::{Reason, Result};
use serde::{Deserialize, Serialize};

use super::{Process, eventually};
use crate::catalog::events::UserEnabled;
use crate::changes::{ByIdAndName, ChangeKind};
use crate::declare::DeclarationClash;
use crate::events::{Event, EventDeclaration, EventKind, EventType};
use crate::{CacheShare, Declarations, Feature, LoadedValue, Op, ReadCache};

/// A channel was released, as a feature would say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ChannelReleased {
    channel: String,
}

impl EventType for ChannelReleased {
    const KIND: EventKind = EventKind::new(900, "channel_released");
}

const CHANNEL: ChangeKind<ByIdAndName> = ChangeKind::new(900, "channel");
const CHANNELS: CacheShare = CacheShare::new("channels", 10);

fn declarations() -> Declarations {
    Declarations::new("app_registry")
        .changes(&[CHANNEL.declared()])
        .events(&[EventDeclaration::of::<ChannelReleased>()])
        .caches(&[CHANNELS])
}

fn released() -> ChannelReleased {
    let channel = "stable".to_owned();
    ChannelReleased { channel }
}

async fn emit(op: &Op) -> Result<()> {
    op.transaction((), |tx, op, ()| {
        Box::pin(async move { op.emit(tx, Event::new(&released())?).await })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_does_not_open_over_two_declarations_of_one_number() {
    let taken: ChangeKind<ByIdAndName> = ChangeKind::new(4, "channel");
    let clashing = Declarations::new("app_registry").changes(&[taken.declared()]);
    let refused = Process::declaring(clashing).await.err().unwrap();
    let clash = refused
        .source()
        .unwrap()
        .downcast_ref::<DeclarationClash>()
        .unwrap();
    assert_eq!(
        clash.to_string(),
        "the change kind 4 is declared twice: as repository by kernel and as channel by \
         app_registry"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_crate_declares_is_neither_emitted_nor_cached() {
    let process = Process::new().await;
    let error = emit(&process.op()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Internal);
    let why = error.source().unwrap().to_string();
    assert_eq!(why, "no crate declares the event channel_released");
    let cache: Result<ReadCache<i64, i64>> = process.kernel.cache(CHANNELS);
    let why = cache.unwrap_err().source().unwrap().to_string();
    assert_eq!(why, "no crate declares the cache channels");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_reads_the_payloads_of_the_type_that_it_asks_for() {
    let process = Process::declaring(declarations()).await.unwrap();
    let read = Arc::new(Mutex::new(Vec::new()));
    let reading = Arc::clone(&read);
    let feature = Feature::new("test").on_events(Lane::Background, move |_op, events| {
        let reading = Arc::clone(&reading);
        async move {
            for recorded in events.iter() {
                assert_eq!(recorded.event.read::<UserEnabled>()?, None);
                let payload = recorded.event.read::<ChannelReleased>()?;
                reading.lock().unwrap().extend(payload);
            }
            Ok(())
        }
    });
    process.start(&[feature]).await;
    emit(&process.op()).await.unwrap();
    let all = || async { *read.lock().unwrap() == [released()] };
    eventually("the payload is read", all).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_declared_kind_ends_what_was_cached_of_its_subject_only() {
    let process = Process::declaring(declarations()).await.unwrap();
    let cache: ReadCache<i64, i64> = process.kernel.cache(CHANNELS).unwrap();
    let op = process.op();
    for repository in [1, 2] {
        let mark = op.mark(&CHANNEL.subject(repository, "stable"));
        cache.put(&repository, op.position(), LoadedValue::new(7, [mark]));
    }
    op.transaction((), |tx, _op, ()| {
        Box::pin(async move { Ok(tx.change(CHANNEL.change_of(1, 9, "stable")).await?) })
    })
    .await
    .unwrap();
    // Whether the log has been polled lately is no matter here.
    let now = process.kernel.clock().elapsed();
    assert_eq!(cache.get(&1, now), Lookup::Miss);
    assert_ne!(cache.get(&2, now), Lookup::Miss);
    process.stop().await;
}
