//! What is remembered stays fresh, whatever the connections are busy with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use seawall_meta::fixture::{DatabaseBackend, occupy};
use seawall_testkit::{Client, TestApp, TestImage};
use seawall_types::permission::Visibility;

const REPOSITORY: &str = "ann/open";
const PATH: &str = "/v2/ann/open/manifests/v1";

/// A server of two connections on a database that can be kept busy.
async fn small() -> Option<TestApp> {
    if DatabaseBackend::chosen().unwrap() == DatabaseBackend::Sqlite {
        return None;
    }
    let app = TestApp::with(|config| config.database.max_connections = 2).await;
    if app.config().cache.bytes == 0 {
        app.finish().await;
        return None;
    }
    let ann = app.user("ann").await;
    ann.push(REPOSITORY, "v1", &TestImage::new(1, 1)).await;
    app.set_visibility(REPOSITORY, Visibility::Public).await;
    Some(app)
}

/// Statements of the requests since the last look.
fn spent(app: &TestApp) -> u64 {
    let requests = app.requests.take();
    requests.iter().map(|seen| seen.reads + seen.writes).sum()
}

async fn pull(client: Client) {
    client.get(PATH).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_pulls_ask_nothing_and_many_who_ask_at_once_ask_once_while_all_connections_are_busy() {
    let Some(app) = small().await else {
        return;
    };
    let backend = DatabaseBackend::chosen().unwrap();
    let (done, sleeps) = (AtomicBool::new(false), Arc::new(AtomicU64::new(0)));
    let sleeping = || async {
        while !done.load(Ordering::Acquire) {
            let session = app.operator().sql();
            assert!(occupy(backend, &session).await.unwrap());
            sleeps.fetch_add(1, Ordering::AcqRel);
        }
    };
    let pulling = async {
        let busy = || async { sleeps.load(Ordering::Acquire) >= 2 };
        app.eventually("all connections are busy", busy).await;
        pull(app.anonymous()).await;
        spent(&app);
        for _ in 0..100 {
            pull(app.anonymous()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A look may be late on a busy machine, which costs a few statements; before, each pull had
        // some.
        let asked = spent(&app);
        assert!(asked <= 30, "100 warm pulls had {asked} statements");
        // Everybody comes at once for what has just changed.
        app.set_visibility(REPOSITORY, Visibility::Public).await;
        spent(&app);
        let all = (0..500).map(|_| pull(app.anonymous()));
        futures::future::join_all(all).await;
        let asked = spent(&app);
        assert!(
            asked <= 30,
            "500 pulls of one manifest had {asked} statements"
        );
        done.store(true, Ordering::Release);
    };
    tokio::join!(sleeping(), sleeping(), pulling);
    app.finish().await;
}
