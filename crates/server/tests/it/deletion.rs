//! Deleting tags, manifests, blobs, repositories and namespaces (protocol §15).

use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::{namespaces, repositories};
use seawall_testkit::{TestApp, TestImage};
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::name::RepositoryName;

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_tag_leaves_the_manifest() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "one", &image).await;
    ann.push("ann/app", "two", &image).await;
    ann.delete("/v2/ann/app/manifests/one")
        .send()
        .await
        .expect(202);
    ann.get("/v2/ann/app/manifests/one")
        .send()
        .await
        .refused(404, "MANIFEST_UNKNOWN");
    ann.delete("/v2/ann/app/manifests/one")
        .send()
        .await
        .refused(404, "MANIFEST_UNKNOWN");
    ann.pull("ann/app", "two", &image).await;
    ann.pull("ann/app", &image.digest().to_string(), &image)
        .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_manifest_takes_its_tags_and_it_can_be_pushed_again() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let (image, other) = (TestImage::new(1, 1), TestImage::new(2, 1));
    ann.push("ann/app", "one", &image).await;
    ann.push("ann/app", "two", &image).await;
    ann.push("ann/app", "three", &other).await;
    let path = format!("/v2/ann/app/manifests/{}", image.digest());
    ann.delete(&path).send().await.expect(202);
    for reference in ["one", "two", &image.digest().to_string()] {
        let get = ann
            .get(&format!("/v2/ann/app/manifests/{reference}"))
            .send()
            .await;
        get.refused(404, "MANIFEST_UNKNOWN");
    }
    ann.delete(&path)
        .send()
        .await
        .refused(404, "MANIFEST_UNKNOWN");
    ann.pull("ann/app", "three", &other).await;
    let listed = ann
        .get("/v2/ann/app/tags/list")
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(listed["tags"], serde_json::json!(["three"]));
    ann.push("ann/app", "one", &image).await;
    ann.pull("ann/app", "one", &image).await;
    ann.get("/v2/ann/app/manifests/two")
        .send()
        .await
        .expect(404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_referred_to_stays() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let layer = Digest::of(Algorithm::Sha256, &image.layers[0]);
    let path = format!("/v2/ann/app/blobs/{layer}");
    ann.delete(&path).send().await.refused(405, "UNSUPPORTED");
    ann.delete(&format!("/v2/ann/app/manifests/{}", image.digest()))
        .send()
        .await
        .expect(202);
    ann.delete(&path).send().await.expect(202);
    ann.head(&path).send().await.expect(404);
    ann.delete(&path).send().await.refused(404, "BLOB_UNKNOWN");
    // Delete and push again of the same digest works at once.
    ann.push("ann/app", "v1", &image).await;
    ann.pull("ann/app", "v1", &image).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_pushed_cannot_be_deleted() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push_blob("ann/app", b"x").await;
    let digest = TestImage::new(7, 1).digest();
    for path in ["manifests/none".to_owned(), format!("manifests/{digest}")] {
        let delete = ann.delete(&format!("/v2/ann/app/{path}")).send().await;
        delete.refused(404, "MANIFEST_UNKNOWN");
    }
    let delete = ann
        .delete(&format!("/v2/ann/app/blobs/{digest}"))
        .send()
        .await;
    delete.refused(404, "BLOB_UNKNOWN");
    let delete = ann
        .delete(&format!("/v2/ann/none/manifests/{digest}"))
        .send()
        .await;
    delete.refused(404, "NAME_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_does_not_pass_to_the_next_repository_of_its_name() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push_blob("ann/app", b"old").await;
    let location = ann.open_upload("ann/app").await;
    ann.get(&location).send().await.expect(204);
    let op = app.operator();
    let name = RepositoryName::parse("ann/app").unwrap();
    let repo = op.repo::<Administer>(&name).await.unwrap();
    repositories::delete(&op, &repo).await.unwrap();
    ann.push_blob("ann/app", b"new").await;
    let patch = ann.patch(&location).body("x").send().await;
    patch.refused(404, "BLOB_UPLOAD_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_index_leaves_its_children() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let child = TestImage::new(1, 1);
    ann.push("ann/app", "child", &child).await;
    let kind = "application/vnd.oci.image.index.v1+json";
    let body = serde_json::json!({
        "schemaVersion": 2, "mediaType": kind,
        "manifests": [TestImage::descriptor(child.media_type(), &child.manifest())],
    });
    let digest = ann
        .push_manifest("ann/app", "multi", kind, body.to_string().as_bytes())
        .await;
    ann.delete(&format!("/v2/ann/app/manifests/{digest}"))
        .send()
        .await
        .expect(202);
    ann.pull("ann/app", "child", &child).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_repository_is_gone_at_once_and_its_name_is_free() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 2);
    ann.push("ann/app", "v1", &image).await;
    let op = app.operator();
    let name = RepositoryName::parse("ann/app").unwrap();
    let repo = op.repo::<Administer>(&name).await.unwrap();
    repositories::delete(&op, &repo).await.unwrap();
    ann.get("/v2/ann/app/manifests/v1")
        .send()
        .await
        .refused(404, "NAME_UNKNOWN");
    let again = TestImage::new(2, 1);
    ann.push("ann/app", "v1", &again).await;
    app.eventually("the old rows are cleared", || async {
        repositories::clearing(&app.operator(), &app.operator().installation().unwrap())
            .await
            .unwrap()
            == 0
    })
    .await;
    ann.pull("ann/app", "v1", &again).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organization_takes_everything_with_it() {
    let app = TestApp::new().await;
    let admin = app.admin();
    let image = TestImage::new(1, 1);
    for name in ["team/one", "team/two"] {
        admin.push(name, "v1", &image).await;
    }
    namespaces::delete_organization(
        &app.operator(),
        &app.operator()
            .namespace(&"team".parse().unwrap())
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    admin
        .get("/v2/team/one/manifests/v1")
        .send()
        .await
        .refused(404, "NAME_UNKNOWN");
    app.eventually("everything is cleared", || async {
        repositories::clearing(&app.operator(), &app.operator().installation().unwrap())
            .await
            .unwrap()
            == 0
    })
    .await;
    admin.push("team/one", "v1", &image).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_goes_on_naming_a_child_that_was_deleted() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let child = TestImage::new(1, 1);
    let digest = ann.push("ann/app", "child", &child).await;
    let kind = "application/vnd.oci.image.index.v1+json";
    let body = serde_json::json!({
        "schemaVersion": 2, "mediaType": kind,
        "manifests": [TestImage::descriptor(child.media_type(), &child.manifest())],
    });
    let body = body.to_string();
    ann.push_manifest("ann/app", "multi", kind, body.as_bytes())
        .await;
    let path = format!("/v2/ann/app/manifests/{digest}");
    ann.delete(&path).send().await.expect(202);
    ann.get(&path).send().await.refused(404, "MANIFEST_UNKNOWN");
    let index = ann.get("/v2/ann/app/manifests/multi").send().await;
    assert_eq!(index.expect(200).body, body);
    // It comes back without its tags.
    ann.push("ann/app", &digest.to_string(), &child).await;
    ann.pull("ann/app", &digest.to_string(), &child).await;
    let child = ann.get("/v2/ann/app/manifests/child").send().await;
    child.refused(404, "MANIFEST_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_deletion_says_what_is_left_to_do() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let layer = Digest::of(Algorithm::Sha256, &image.layers[0]);
    let path = format!("/v2/ann/app/blobs/{layer}");
    let refused = ann.delete(&path).send().await.refused(405, "UNSUPPORTED");
    assert_eq!(refused.header("allow"), "GET, HEAD");
    ann.pull("ann/app", "v1", &image).await;
    for path in ["/v2/ann/app/manifests/.x", "/v2/ann/app/manifests/none"] {
        let delete = ann.delete(path).send().await;
        delete.refused(404, "MANIFEST_UNKNOWN");
    }
    for path in ["manifests/sha256:x", "blobs/sha256:x", "blobs/v1"] {
        let delete = ann.delete(&format!("/v2/ann/app/{path}")).send().await;
        delete.refused(400, "DIGEST_INVALID");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_began_before_the_deletion_ends_with_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = seawall_testkit::blob_of(7, 100_000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let name = RepositoryName::parse("ann/app").unwrap();
    for round in 0..3 {
        // The first bytes make the repository.
        let other = ann.open_upload("ann/app").await;
        ann.patch(&other).body("x").send().await.expect(202);
        let location = ann.open_upload("ann/app").await;
        let (ring, begun) = futures::channel::oneshot::channel::<()>();
        let (more, rest) = futures::channel::oneshot::channel::<()>();
        let halves = bytes.clone();
        let body = futures::stream::once(async move {
            ring.send(()).unwrap();
            rest.await.unwrap();
            Ok(bytes::Bytes::from(halves))
        });
        let request = match round {
            0 => ann.put(&format!("{location}?digest={digest}")),
            1 => ann.post(&format!("/v2/ann/app/blobs/uploads/?digest={digest}")),
            _ => {
                let put = ann.put("/v2/ann/app/manifests/v1");
                put.header("content-type", TestImage::new(1, 0).media_type())
            }
        };
        let body: futures::stream::BoxStream<'static, _> = if round == 2 {
            let manifest = TestImage::new(1, 0).manifest();
            Box::pin(futures::StreamExt::map(
                body,
                move |piece: Result<bytes::Bytes, _>| {
                    piece.map(|_| bytes::Bytes::from(manifest.clone()))
                },
            ))
        } else {
            Box::pin(body)
        };
        let deleting = async {
            begun.await.unwrap();
            let op = app.operator();
            let repo = op.repo::<Administer>(&name).await.unwrap();
            repositories::delete(&op, &repo).await.unwrap();
            more.send(()).unwrap();
        };
        let (answer, ()) = futures::join!(request.stream(body).send(), deleting);
        answer.refused(404, "NAME_UNKNOWN");
        app.eventually("the old rows are cleared", || async {
            repositories::clearing(&app.operator(), &app.operator().installation().unwrap())
                .await
                .unwrap()
                == 0
        })
        .await;
        let report = app.verify().await;
        assert!(report.orphans.is_empty() && report.blobs == 0, "{report:?}");
    }
    app.finish().await;
}
