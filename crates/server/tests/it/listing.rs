//! Tags and the catalog, in pages (protocol §11).

use seawall_testkit::{Client, TestApp, TestImage};
use seawall_types::permission::{Role, Visibility};
use serde_json::json;

/// Follows the links and says what every page held.
async fn pages(client: &Client, first: &str, key: &str) -> Vec<Vec<String>> {
    let mut next = Some(first.to_owned());
    let mut pages = Vec::new();
    while let Some(path) = next {
        let answer = client.get(&path).send().await.expect(200);
        let items = answer.json()[key].as_array().unwrap().clone();
        pages.push(
            items
                .iter()
                .map(|item| item.as_str().unwrap().to_owned())
                .collect(),
        );
        next = answer.next();
        assert!(pages.len() < 50, "the pages never end");
    }
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_listed_in_order_and_in_pages() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 0);
    for tag in ["b", "B", "a", "10", "9", "_x", "a.b", "a-b"] {
        ann.push("ann/app", tag, &image).await;
    }
    let sorted = ["10", "9", "B", "_x", "a", "a-b", "a.b", "b"];
    let whole = ann.get("/v2/ann/app/tags/list").send().await.expect(200);
    assert_eq!(whole.json(), json!({ "name": "ann/app", "tags": sorted }));
    assert!(!whole.has("link"));
    let paged = pages(&ann, "/v2/ann/app/tags/list?n=3", "tags").await;
    assert_eq!(paged.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    assert_eq!(paged.concat(), sorted);
    assert_eq!(
        pages(&ann, "/v2/ann/app/tags/list?n=4", "tags").await.len(),
        2
    );
    let none = ann
        .get("/v2/ann/app/tags/list?n=0")
        .send()
        .await
        .expect(200);
    assert_eq!(none.json()["tags"], json!([]));
    assert!(!none.has("link"));
    assert_eq!(
        pages(&ann, "/v2/ann/app/tags/list?last=a", "tags").await,
        [["a-b", "a.b", "b"]]
    );
    assert_eq!(
        pages(&ann, "/v2/ann/app/tags/list?last=aa&n=9", "tags").await,
        [["b"]]
    );
    let far = ann
        .get("/v2/ann/app/tags/list?n=99999999999999999999")
        .send()
        .await
        .expect(200);
    assert_eq!(far.json()["tags"].as_array().unwrap().len(), 8);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_tags_lists_none() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push_blob("ann/app", b"x").await;
    let listed = ann.get("/v2/ann/app/tags/list").send().await.expect(200);
    assert_eq!(listed.json(), json!({ "name": "ann/app", "tags": [] }));
    let image = TestImage::new(1, 0);
    ann.push("ann/app", &image.digest().to_string(), &image)
        .await;
    let listed = ann.get("/v2/ann/app/tags/list").send().await.expect(200);
    assert_eq!(listed.json()["tags"], json!([]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_shows_each_caller_what_they_may_read() {
    let app = TestApp::new().await;
    let (ann, bob, admin) = (app.user("ann").await, app.user("bob").await, app.admin());
    let image = TestImage::new(1, 0);
    for name in ["ann/private", "ann/public", "ann/shared", "ann/z/deep"] {
        ann.push(name, "v1", &image).await;
    }
    bob.push("bob/own", "v1", &image).await;
    app.set_visibility("ann/public", Visibility::Public).await;
    app.grant("ann/shared", "bob", Role::Read).await;
    let all = [
        "ann/private",
        "ann/public",
        "ann/shared",
        "ann/z/deep",
        "bob/own",
    ];
    assert_eq!(
        pages(&admin, "/v2/_catalog", "repositories").await.concat(),
        all
    );
    assert_eq!(
        pages(&ann, "/v2/_catalog", "repositories").await.concat(),
        all[..4]
    );
    let for_bob = ["ann/public", "ann/shared", "bob/own"];
    assert_eq!(
        pages(&bob, "/v2/_catalog", "repositories").await.concat(),
        for_bob
    );
    let nobody = app.anonymous().token_for(&["registry:catalog:*"]).await;
    assert_eq!(
        pages(&nobody, "/v2/_catalog", "repositories")
            .await
            .concat(),
        ["ann/public"]
    );
    for n in 1..=4 {
        let path = format!("/v2/_catalog?n={n}");
        assert_eq!(
            pages(&admin, &path, "repositories").await.concat(),
            all,
            "{n}"
        );
    }
    let last = pages(&admin, "/v2/_catalog?last=ann/public", "repositories")
        .await
        .concat();
    assert_eq!(last, all[2..]);
    let token = bob.token_for(&["repository:bob/own:pull"]).await;
    token
        .get("/v2/_catalog")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_larger_than_the_servers_own() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 0);
    ann.push("ann/app", "t0000", &image).await;
    let tags: Vec<_> = (0..1010).map(|i| format!("t{i:04}")).collect();
    for some in tags.chunks(46) {
        let path = format!(
            "/v2/ann/app/manifests/{}?tag={}",
            image.digest(),
            some.join("&tag=")
        );
        let put = ann.put(&path).header("content-type", image.media_type());
        put.body(image.manifest()).send().await.expect(201);
    }
    for query in ["", "?n=1001", "?n=5000", "?n=4294967296", "?n="] {
        let path = format!("/v2/ann/app/tags/list{query}");
        let first = ann.get(&path).send().await.expect(200);
        let next = first.next().unwrap();
        assert!(next.starts_with("/v2/ann/app/tags/list?"), "{next}");
        assert_eq!(first.json()["tags"].as_array().unwrap().len(), 1000);
        assert_eq!(pages(&ann, &path, "tags").await.concat(), tags, "{query}");
    }
    let last = pages(&ann, "/v2/ann/app/tags/list?n=7&last=t1003", "tags").await;
    assert_eq!(last, [&tags[1004..]]);
    let beyond = pages(&ann, "/v2/ann/app/tags/list?last=zzz", "tags").await;
    assert_eq!(beyond, [[""; 0]]);
    let long = "x".repeat(513);
    for query in [
        format!("last={long}"),
        "last=%00".to_owned(),
        "n=+1".to_owned(),
        "n=0x1".to_owned(),
    ] {
        let get = ann.get(&format!("/v2/ann/app/tags/list?{query}"));
        get.send().await.refused(400, "UNSUPPORTED");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_goes_on_after_what_is_not_there() {
    let app = TestApp::new().await;
    let admin = app.admin();
    for name in ["a/x", "a/x/y", "a-b/x", "b/x", "hello"] {
        admin.push_blob(name, b"x").await;
    }
    let after = async |query: &str| {
        let path = format!("/v2/_catalog{query}");
        pages(&admin, &path, "repositories").await.concat()
    };
    let all = ["a/x", "a/x/y", "a-b/x", "b/x", "library/hello"];
    for query in ["", "?n=1", "?n=2", "?n=99999", "?n=&last="] {
        assert_eq!(after(query).await, all, "{query}");
    }
    assert_eq!(after("?last=a/xx").await, all[2..]);
    assert_eq!(after("?last=a%2Fx").await, all[1..]);
    assert_eq!(after("?last=zz/zz").await, [""; 0]);
    assert_eq!(after("?last=gone").await, ["library/hello"]);
    let none = admin.get("/v2/_catalog?n=0").send().await.expect(200);
    assert_eq!(none.json(), json!({ "repositories": [] }));
    assert!(!none.has("link"));
    admin
        .get("/v2/_catalog?n=-1")
        .send()
        .await
        .refused(400, "UNSUPPORTED");
    app.anonymous()
        .get("/v2/_catalog")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    app.finish().await;
}
