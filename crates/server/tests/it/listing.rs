//! Tags and the catalog, in pages (distribution §11).

use seawall_testkit::{Client, Image, TestApp};
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
    let image = Image::new(1, 0);
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
    let image = Image::new(1, 0);
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
    let image = Image::new(1, 0);
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
