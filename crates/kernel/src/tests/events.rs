//! Events: what a consumer does not know waits, for a day, and holds up nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall_meta::args;
use seawall_types::lane::Lane;
use seawall_types::{Error, Reason};

use super::{Process, eventually, store};
use crate::catalog::events::UserCreated;
use crate::events::store::EVENT_INSERT;
use crate::events::{self, Consumer, DeliveryEnd, EventType};
use crate::{Feature, maintenance};

/// Of a release to come.
const UNKNOWN: i64 = 9999;

const KNOWN: i64 = UserCreated::KIND.number();

const DAY: Duration = Duration::from_hours(24);

/// The ids of events that a consumer has heard.
type Heard = Arc<Mutex<Vec<i64>>>;

fn consumer(name: &'static str) -> (Consumer, Heard) {
    let heard = Heard::default();
    let hearing = Arc::clone(&heard);
    let consumer = Consumer::new(name, Lane::Background, move |_op, events| {
        let ids = events.iter().map(|event| event.id.get());
        hearing.lock().unwrap().extend(ids);
        async { Ok(()) }
    });
    (consumer, heard)
}

/// Writes an event; its id.
async fn write(process: &Process, kind: i64, payload: String) -> i64 {
    let op = process.op();
    let writing = op.transaction((kind, payload), |tx, _op, (kind, payload)| {
        Box::pin(async move { Ok(tx.insert(&EVENT_INSERT, args![7, *kind, payload]).await?) })
    });
    writing.await.unwrap()
}

async fn happens(process: &Process, kind: i64) -> i64 {
    let payload = r#"{"kind":"user_created","namespace":null,"repository":null,"detail":null}"#;
    write(process, kind, payload.into()).await
}

async fn hold(process: &Process, consumer: &Consumer) -> DeliveryEnd {
    let held = events::hold(&process.kernel, consumer);
    let held = tokio::time::timeout(Duration::from_secs(20), held);
    held.await.expect("it stops before something").unwrap()
}

async fn everybody_has_heard(process: &Process) -> i64 {
    events::delivered_to_all(&process.op()).await.unwrap()
}

fn all(heard: &Heard) -> Vec<i64> {
    heard.lock().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_stops_before_a_kind_that_it_does_not_know_until_a_release_does() {
    let process = Process::new().await;
    let first = happens(&process, KNOWN).await;
    let unknown = happens(&process, UNKNOWN).await;
    let last = happens(&process, KNOWN).await;
    let (consumer, heard) = consumer("test");
    for _ in 0..3 {
        assert_eq!(
            hold(&process, &consumer).await,
            DeliveryEnd::Before(unknown)
        );
        assert_eq!(all(&heard), [first], "once, and nothing that is behind it");
        assert_eq!(everybody_has_heard(&process).await, unknown - 1);
    }
    // A release that knows it takes the cursor from there.
    let op = process.op();
    let teaching = op.transaction(unknown, |tx, _op, unknown| {
        let arguments = args![*unknown, KNOWN];
        Box::pin(async move { Ok(tx.execute(&store::EVENT_SET, arguments).await?) })
    });
    teaching.await.unwrap();
    let end = happens(&process, UNKNOWN).await;
    assert_eq!(hold(&process, &consumer).await, DeliveryEnd::Before(end));
    assert_eq!(all(&heard), [first, unknown, last]);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_kind_of_an_unknown_shape_is_waited_for_as_well() {
    let process = Process::new().await;
    let first = happens(&process, KNOWN).await;
    let unknown = write(&process, KNOWN, r#"{"kind": {"of": "another"}}"#.into()).await;
    happens(&process, KNOWN).await;
    let (consumer, heard) = consumer("test");
    assert_eq!(
        hold(&process, &consumer).await,
        DeliveryEnd::Before(unknown)
    );
    assert_eq!(all(&heard), [first]);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_consumer_waits_for_is_no_matter_to_another() {
    let process = Process::new().await;
    let unknown = happens(&process, UNKNOWN).await;
    let (early, _) = consumer("early");
    assert_eq!(hold(&process, &early).await, DeliveryEnd::Before(unknown));
    let failing = Consumer::new("failing", Lane::Background, |_op, _events| async {
        Err(Error::new(Reason::Internal, "ill"))
    });
    // One of a release that knows it has its own cursor, wherever the others stand.
    let op = process.op();
    let teaching = op.transaction(unknown, |tx, _op, unknown| {
        let arguments = args![*unknown, KNOWN];
        Box::pin(async move { Ok(tx.execute(&store::EVENT_SET, arguments).await?) })
    });
    teaching.await.unwrap();
    let end = happens(&process, UNKNOWN).await;
    assert!(events::hold(&process.kernel, &failing).await.is_err());
    let (late, heard) = consumer("late");
    assert_eq!(hold(&process, &late).await, DeliveryEnd::Before(end));
    assert_eq!(all(&heard), [unknown]);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_release_knows_is_passed_over_after_a_day() {
    let process = Process::new().await;
    let first = happens(&process, KNOWN).await;
    let unknown = happens(&process, UNKNOWN).await;
    let last = happens(&process, KNOWN).await;
    let (consumer, heard) = consumer("test");
    process.pass(DAY.saturating_sub(Duration::from_mins(1)));
    assert_eq!(
        hold(&process, &consumer).await,
        DeliveryEnd::Before(unknown)
    );
    process.pass(Duration::from_mins(2));
    let end = happens(&process, UNKNOWN).await;
    assert_eq!(hold(&process, &consumer).await, DeliveryEnd::Before(end));
    assert_eq!(all(&heard), [first, last]);
    assert!(
        everybody_has_heard(&process).await >= last,
        "pruning goes on"
    );
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_down_for_days_hears_what_it_missed() {
    let process = Process::new().await;
    let (consumer, _) = consumer("test");
    let first = happens(&process, UNKNOWN).await;
    assert_eq!(hold(&process, &consumer).await, DeliveryEnd::Before(first));
    let op = process.op();
    let teaching = op.transaction(first, |tx, _op, first| {
        let arguments = args![*first, KNOWN];
        Box::pin(async move { Ok(tx.execute(&store::EVENT_SET, arguments).await?) })
    });
    teaching.await.unwrap();
    let mut missed = vec![first];
    for _ in 0..5 {
        missed.push(happens(&process, KNOWN).await);
    }
    // The job that prunes was in the queue all the time, and is due at once.
    let none = Duration::ZERO;
    let mut pruning = maintenance::feature();
    pruning
        .recurring
        .iter_mut()
        .for_each(|job| job.first = none);
    let (consumer, heard) = self::consumer("test");
    let mut feature = Feature::new("test");
    feature.consumers.push(consumer);
    process.pass(3 * DAY);
    assert_eq!(
        everybody_has_heard(&process).await,
        i64::MAX,
        "it seems to be switched off"
    );
    process.start(&[pruning, feature]).await;
    let hearing = || async { all(&heard) == missed };
    eventually("it hears all", hearing).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_known_as_followed_before_it_is_first_held() {
    let process = Process::new().await;
    happens(&process, KNOWN).await;
    assert_eq!(everybody_has_heard(&process).await, i64::MAX);
    events::register(&process.op(), vec!["test"]).await.unwrap();
    assert_eq!(everybody_has_heard(&process).await, 0);
    let (consumer, _) = consumer("test");
    let unknown = happens(&process, UNKNOWN).await;
    assert_eq!(
        hold(&process, &consumer).await,
        DeliveryEnd::Before(unknown)
    );
    process.pass(3 * DAY);
    events::register(&process.op(), vec!["test"]).await.unwrap();
    assert_eq!(everybody_has_heard(&process).await, unknown - 1);
    process.stop().await;
}
