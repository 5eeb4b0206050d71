//! Full and failing disks: pushes are refused clearly, pulls go on, and all is well again without a
//! restart once the disk is.

use std::sync::Arc;

use seawall::health::Health;
use seawall::serve;
use seawall_net::lifecycle::Lifecycle;
use seawall_testkit::{
    Client, Fault, FaultyFiles, FileOperation, TestApp, TestImage, TestResponse, blob_of,
};
use seawall_types::digest::{Algorithm, Digest};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

const NAME: &str = "ann/app";

/// A server with one image on a disk that can be made to fail.
struct Stage {
    app: TestApp,
    files: Arc<FaultyFiles>,
    ann: Client,
    image: TestImage,
    health: Health,
}

impl Stage {
    async fn new() -> Self {
        let files = Arc::new(FaultyFiles::new());
        let app = TestApp::on(files.clone()).await;
        let ann = app.user("ann").await;
        let image = TestImage::new(1, 2);
        ann.push(NAME, "v1", &image).await;
        let health = serve::checks(Health::new(&Lifecycle::new()), &app.server.kernel);
        health.started();
        Self {
            app,
            files,
            ann,
            image,
            health,
        }
    }

    /// From now on, all operations of this kind fail.
    fn fail(&self, operation: FileOperation, errno: i32) {
        self.files.fail(Fault {
            operation,
            nth: 1,
            errno,
            lasting: true,
        });
    }

    /// Fails the test unless the server is ready for pulls and says this of its disk within a few
    /// looks, of which only some go as far as an fsync.
    async fn says(&self, word: &str) {
        let mut said = String::new();
        for _ in 0..5 {
            self.health.check().await;
            let answer = self.health.ready(true);
            assert_eq!(answer.status(), 200);
            let body = axum::body::to_bytes(answer.into_body(), 10_000).await;
            let body: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
            if body["checks"]["storage"]["status"] == word {
                return;
            }
            said = body.to_string();
        }
        assert_eq!(said, word, "what health never says");
    }

    async fn pull(&self) {
        self.ann.pull(NAME, "v1", &self.image).await;
    }

    async fn single(&self, bytes: &[u8]) -> TestResponse {
        let digest = digest(bytes);
        let path = format!("/v2/{NAME}/blobs/uploads/?digest={digest}");
        self.ann.post(&path).body(bytes.to_vec()).send().await
    }

    async fn append(&self, upload: &str, bytes: &[u8]) -> TestResponse {
        self.ann.patch(upload).body(bytes.to_vec()).send().await
    }

    /// Sends the last bytes of an upload that has `whole` then.
    async fn finish(&self, upload: &str, bytes: &[u8], whole: &[u8]) -> TestResponse {
        let path = format!("{upload}?digest={}", digest(whole));
        self.ann.put(&path).body(bytes.to_vec()).send().await
    }

    async fn shows(&self, bytes: &[u8]) -> bool {
        let path = format!("/v2/{NAME}/blobs/{}", digest(bytes));
        let answer = self.ann.get(&path).send().await;
        let status = answer.status.as_u16();
        assert!(status == 404 || status == 200 && answer.body == bytes);
        status == 200
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// Fails the test unless this says clearly that it is the server's trouble, and when to come back.
#[track_caller]
fn put_off(answer: TestResponse, status: u16) {
    let answer = answer.refused(status, "UNAVAILABLE");
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!(seconds > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_puts_pushes_off_and_serves_pulls() {
    let stage = Stage::new().await;
    stage.says("ok").await;
    let (small, large) = (blob_of(1, 900), blob_of(2, 1_500_000));
    let upload = stage.ann.open_upload(NAME).await;
    stage.append(&upload, &large[..1000]).await.expect(202);
    stage.fail(FileOperation::Write, ENOSPC);

    for bytes in [&small, &large] {
        put_off(stage.single(bytes).await, 507);
        assert!(!stage.shows(bytes).await);
    }
    let fresh = stage.ann.open_upload(NAME).await;
    put_off(stage.finish(&fresh, &small, &small).await, 507);
    put_off(stage.append(&fresh, &small).await, 507);
    put_off(stage.append(&upload, &large[1000..]).await, 507);
    stage.pull().await;
    stage.says("degraded").await;
    // What takes no room on this disk goes on.
    stage.ann.get(&upload).send().await.expect(204);

    stage.files.heal();
    stage.finish(&fresh, &small, &small).await.expect(201);
    stage
        .finish(&upload, &large[1000..], &large)
        .await
        .expect(201);
    assert!(stage.shows(&small).await && stage.shows(&large).await);
    stage.says("ok").await;
    stage.pull().await;
    stage.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_when_names_are_made_is_full_as_well() {
    let stage = Stage::new().await;
    for (number, operation) in [
        FileOperation::Create,
        FileOperation::MakeDirectory,
        FileOperation::Rename,
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = blob_of(number as u64 + 10, 700);
        stage.fail(operation, ENOSPC);
        // A directory is made for a first blob under its key only.
        let refused = stage.single(&bytes).await;
        if operation != FileOperation::MakeDirectory || refused.status != 201 {
            put_off(refused, 507);
            assert!(!stage.shows(&bytes).await);
        }
        stage.pull().await;
        stage.files.heal();
        stage.single(&bytes).await.expect(201);
        assert!(stage.shows(&bytes).await);
    }
    stage.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_disk_puts_pushes_off_and_serves_pulls() {
    let stage = Stage::new().await;
    let operations = [
        FileOperation::Create,
        FileOperation::Write,
        FileOperation::Fsync,
        FileOperation::Rename,
        FileOperation::FsyncDirectory,
    ];
    for (number, operation) in operations.into_iter().enumerate() {
        let bytes = blob_of(number as u64 + 20, 600_000);
        stage.fail(operation, EIO);
        put_off(stage.single(&bytes).await, 503);
        let upload = stage.ann.open_upload(NAME).await;
        put_off(stage.finish(&upload, &bytes, &bytes).await, 503);
        assert!(!stage.shows(&bytes).await, "{operation:?}");
        stage.pull().await;
        stage.says("degraded").await;
        stage.files.heal();
        // By itself, and at once: while something is wrong, every look goes all the way.
        stage.health.check().await;
        stage.says("ok").await;
        stage.single(&bytes).await.expect(201);
        assert!(stage.shows(&bytes).await);
    }
    stage.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_puts_pushes_off_and_serves_pulls() {
    let stage = Stage::new().await;
    let (bytes, other) = (blob_of(40, 2000), blob_of(41, 2000));
    let upload = stage.ann.open_upload(NAME).await;
    stage.append(&upload, &bytes[..1000]).await.expect(202);
    for operation in [
        FileOperation::Create,
        FileOperation::Write,
        FileOperation::SetSize,
        FileOperation::Rename,
        FileOperation::Remove,
        FileOperation::MakeDirectory,
    ] {
        stage.fail(operation, EROFS);
    }
    put_off(stage.append(&upload, &bytes[1000..]).await, 503);
    put_off(stage.finish(&upload, &bytes[1000..], &bytes).await, 503);
    put_off(stage.single(&other).await, 503);
    assert!(!stage.shows(&bytes).await && !stage.shows(&other).await);
    stage.pull().await;
    stage.says("degraded").await;

    stage.files.heal();
    stage.says("ok").await;
    stage
        .finish(&upload, &bytes[1000..], &bytes)
        .await
        .expect(201);
    stage.single(&other).await.expect(201);
    assert!(stage.shows(&bytes).await && stage.shows(&other).await);
    stage.app.finish().await;
}

/// The kernel may drop what it could not write and forget that it failed: the next fsync then says
/// that all is well.
#[tokio::test(flavor = "multi_thread")]
async fn an_fsync_that_failed_is_not_tried_again() {
    let stage = Stage::new().await;
    let bytes = blob_of(30, 3000);
    let upload = stage.ann.open_upload(NAME).await;
    stage.append(&upload, &bytes[..1000]).await.expect(202);
    stage.files.fail_nth(FileOperation::Fsync, 1, EIO);
    put_off(stage.append(&upload, &bytes[1000..2000]).await, 503);
    // Whatever is asked for now: the bytes that were acknowledged are not to be trusted any more.
    let finish = stage.finish(&upload, &bytes[1000..], &bytes).await;
    finish.refused(404, "BLOB_UPLOAD_UNKNOWN");
    let status = stage.ann.get(&upload).send().await;
    status.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert!(!stage.shows(&bytes).await);

    // The same at the end of an upload.
    let upload = stage.ann.open_upload(NAME).await;
    stage.append(&upload, &bytes[..1000]).await.expect(202);
    stage.files.fail_nth(FileOperation::Fsync, 1, EIO);
    put_off(stage.finish(&upload, &bytes[1000..], &bytes).await, 503);
    let finish = stage.finish(&upload, &bytes[1000..], &bytes).await;
    finish.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert!(!stage.shows(&bytes).await);

    stage.single(&bytes).await.expect(201);
    assert!(stage.shows(&bytes).await);
    stage.app.finish().await;
}
