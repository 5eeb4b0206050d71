//! Callers that hang up at random moments leave no transaction behind and stop no work half-way.

use std::time::Duration;

use seawall_testkit::{TestApp, TestImage, blob_of};

/// After so many hang-ups every connection must still be good for a whole push.
const CALLERS: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn hung_up_callers_leave_no_transaction_open() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "base", &TestImage::new(1, 2)).await;
    let pause = |seed: u64| {
        Duration::from_micros(blob_of(seed, 8).iter().map(|b| u64::from(*b)).sum::<u64>() * 12)
    };
    let callers = (0..CALLERS).map(|i| {
        let ann = ann.clone();
        async move {
            let image = TestImage::new(100 + i, 1);
            let work = async {
                let name = format!("ann/app{}", i % 7);
                for blob in image.blobs() {
                    ann.push_blob(&name, &blob).await;
                }
                ann.push_manifest(&name, "v1", image.media_type(), &image.manifest())
                    .await;
                ann.delete(&format!("/v2/{name}/manifests/v1")).send().await;
            };
            // Dropping the future is what a server does whose client has gone.
            tokio::time::timeout(pause(i + 1), work).await.is_ok()
        }
    });
    let finished = futures::future::join_all(callers).await;
    assert!(finished.iter().any(|done| !done), "nobody hung up");

    app.eventually(
        "requests that lost their caller come to their end",
        || async { !app.server.kernel.tracker().live().contains_key("request") },
    )
    .await;
    app.eventually("no connection is inside a transaction", || async {
        app.open_transactions().await == 0
    })
    .await;
    // As many writers at once as there are connections, and more.
    let image = TestImage::new(9999, 3);
    let names: Vec<_> = (0..12).map(|i| format!("ann/after{i}")).collect();
    futures::future::join_all(names.iter().map(|name| ann.push(name, "v1", &image))).await;
    app.finish().await;
}
