//! Who may do what: namespaces, visibility, grants, states.

use seawall_kernel::catalog::{grants, namespaces};
use seawall_testkit::{TestApp, TestImage};
use seawall_types::name::NamespaceName;
use seawall_types::permission::{NamespaceRole, Role, Visibility};

#[tokio::test(flavor = "multi_thread")]
async fn users_push_to_their_own_namespace_and_nowhere_else() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    ann.push("ann/deep/er/app", "v1", &image).await;
    for name in ["ann/app", "ann/new", "nobody/x", "hello", "library/hello"] {
        let post = bob.post(&format!("/v2/{name}/blobs/uploads/")).send().await;
        post.refused(403, "DENIED");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_pushes_anywhere_and_makes_organizations() {
    let app = TestApp::new().await;
    let admin = app.admin();
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    admin.push("ann/gift", "v1", &image).await;
    ann.pull("ann/gift", "v1", &image).await;
    admin.push("neworg/app", "v1", &image).await;
    let listed = namespaces::list(&app.operator(), &app.operator().installation().unwrap())
        .await
        .unwrap();
    assert!(
        listed
            .iter()
            .any(|n| n.name == "neworg" && n.owner.is_none())
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn making_namespaces_and_repositories_on_push_can_be_switched_off() {
    let app = TestApp::with(|config| config.access.create_namespace_on_push = false).await;
    let post = app
        .admin()
        .post("/v2/neworg/app/blobs/uploads/")
        .send()
        .await;
    post.refused(403, "DENIED");
    app.finish().await;
    let app = TestApp::with(|config| config.access.create_repository_on_push = false).await;
    let ann = app.user("ann").await;
    ann.post("/v2/ann/app/blobs/uploads/")
        .send()
        .await
        .refused(403, "DENIED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_part_name_is_in_the_library() {
    let app = TestApp::new().await;
    let admin = app.admin();
    let image = TestImage::new(1, 1);
    let opened = admin
        .post("/v2/hello/blobs/uploads/")
        .send()
        .await
        .expect(202);
    assert!(
        opened
            .header("location")
            .starts_with("/v2/hello/blobs/uploads/")
    );
    admin.push("hello", "v1", &image).await;
    admin.pull("library/hello", "v1", &image).await;
    let short = admin
        .get("/v2/hello/tags/list")
        .send()
        .await
        .expect(200)
        .json();
    let long = admin
        .get("/v2/library/hello/tags/list")
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&short["name"], &long["name"]),
        (&"hello".into(), &"library/hello".into())
    );
    let token = admin.token_for(&["repository:hello:pull"]).await;
    token.pull("library/hello", "v1", &image).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_count_from_the_next_request_on() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    bob.get("/v2/ann/app/manifests/v1")
        .send()
        .await
        .refused(404, "NAME_UNKNOWN");
    app.grant("ann/app", "bob", Role::Read).await;
    bob.pull("ann/app", "v1", &image).await;
    bob.post("/v2/ann/app/blobs/uploads/")
        .send()
        .await
        .refused(403, "DENIED");
    bob.delete("/v2/ann/app/manifests/v1")
        .send()
        .await
        .refused(403, "DENIED");
    let token = bob.token_for(&["repository:ann/app:pull"]).await;
    app.grant("ann/app", "bob", Role::Write).await;
    bob.push("ann/app", "v2", &TestImage::new(2, 1)).await;
    bob.delete("/v2/ann/app/manifests/v2")
        .send()
        .await
        .expect(202);

    // What is taken counts at once, for tokens given out before, too.
    let op = app.operator();
    let name = seawall_types::name::RepositoryName::parse("ann/app").unwrap();
    let repo = op
        .repo::<seawall_kernel::auth::Administer>(&name)
        .await
        .unwrap();
    grants::on_repository(&op, &repo, "bob", None)
        .await
        .unwrap();
    bob.get("/v2/ann/app/manifests/v1")
        .send()
        .await
        .refused(404, "NAME_UNKNOWN");
    token
        .get("/v2/ann/app/manifests/v1")
        .send()
        .await
        .refused(404, "NAME_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_has_creators_and_admins() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let op = app.operator();
    namespaces::create_organization(
        &op,
        &op.installation().unwrap(),
        &NamespaceName::parse("team").unwrap(),
    )
    .await
    .unwrap();
    ann.post("/v2/team/app/blobs/uploads/")
        .send()
        .await
        .refused(403, "DENIED");
    grants::on_namespace(
        &op,
        &op.namespace(&"team".parse().unwrap()).await.unwrap(),
        "ann",
        Some(NamespaceRole::Creator),
    )
    .await
    .unwrap();
    grants::on_namespace(
        &op,
        &op.namespace(&"team".parse().unwrap()).await.unwrap(),
        "bob",
        Some(NamespaceRole::Admin),
    )
    .await
    .unwrap();
    let image = TestImage::new(1, 1);
    ann.push("team/app", "v1", &image).await;
    bob.pull("team/app", "v1", &image).await;
    bob.delete("/v2/team/app/manifests/v1")
        .send()
        .await
        .expect(202);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_push_makes_is_private_until_it_is_opened() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let nobody = app.anonymous();
    nobody
        .get("/v2/ann/app/manifests/v1")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    app.set_visibility("ann/app", Visibility::Public).await;
    nobody.pull("ann/app", "v1", &image).await;
    app.set_visibility("ann/app", Visibility::Private).await;
    nobody
        .get("/v2/ann/app/manifests/v1")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_owns_what_they_make() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let op = app.operator();
    namespaces::create_organization(
        &op,
        &op.installation().unwrap(),
        &NamespaceName::parse("team").unwrap(),
    )
    .await
    .unwrap();
    grants::on_namespace(
        &op,
        &op.namespace(&"team".parse().unwrap()).await.unwrap(),
        "ann",
        Some(NamespaceRole::Creator),
    )
    .await
    .unwrap();
    let image = TestImage::new(1, 1);
    ann.push("team/mine", "v1", &image).await;
    ann.push("team/mine", "v2", &TestImage::new(2, 1)).await;
    app.finish().await;
}
