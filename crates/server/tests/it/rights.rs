//! A right counts where the change is made: what ends while a body is on its way ends the push.
//!
//! Rights are taken away by a second process on the same data, so that nothing which this one
//! remembers is struck before the rest of the body comes.

use futures::future::join_all;
use seawall::compose::App;
use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::events::NamespaceCreated;
use seawall_kernel::catalog::{grants, namespaces, repositories};
use seawall_kernel::events::EventType;
use seawall_kernel::{Op, Repo};
use seawall_meta::fixture::damage;
use seawall_registry::events::ManifestPushed;
use seawall_testkit::{Client, Request, TestApp, TestImage, TestResponse, blob_of};
use seawall_types::Secret;
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::lane::Lane;
use seawall_types::media_type::OCI_INDEX;
use seawall_types::name::{NamespaceName, RepositoryName};
use seawall_types::permission::{NamespaceRole, Role};

use crate::pushing::SentBody;
use crate::store;

/// An index that needs nothing of the repository.
const NOTHING: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

fn operator(server: &App) -> Op {
    server.kernel.internal_op(Lane::Control, "test")
}

async fn opened(server: &App, name: &str) -> Repo<Administer> {
    let name = RepositoryName::parse(name).unwrap();
    operator(server).repo(&name).await.unwrap()
}

/// How a right ends.
#[derive(Debug, Clone, Copy)]
enum End {
    GrantRemoved,
    GrantLowered,
    Disabled,
    NewPassword,
    UserDeleted,
    RepositoryDeleted,
    ReadOnly,
}

impl End {
    const ALL: [Self; 7] = [
        Self::GrantRemoved,
        Self::GrantLowered,
        Self::Disabled,
        Self::NewPassword,
        Self::UserDeleted,
        Self::RepositoryDeleted,
        Self::ReadOnly,
    ];

    /// Ends the right of `user` in `name`, by another process.
    async fn come(self, app: &TestApp, server: &App, user: &str, name: &str) {
        let op = operator(server);
        let known = NamespaceName::parse(user).unwrap();
        match self {
            Self::GrantRemoved | Self::GrantLowered => {
                let role = matches!(self, Self::GrantLowered).then_some(Role::Read);
                let repo = opened(server, name).await;
                grants::on_repository(&op, &repo, user, role).await.unwrap();
            }
            Self::Disabled => {
                let done = server
                    .directory
                    .set_enabled(&op, &op.user(&known).await.unwrap(), false)
                    .await;
                done.unwrap();
            }
            Self::NewPassword => {
                let new = Some(Secret::new("another password".to_owned()));
                server
                    .directory
                    .set_password(&op, &op.user(&known).await.unwrap(), new)
                    .await
                    .unwrap();
            }
            Self::UserDeleted => server
                .directory
                .delete_user(&op, &op.user(&known).await.unwrap())
                .await
                .unwrap(),
            Self::RepositoryDeleted => {
                let repo = opened(server, name).await;
                repositories::delete(&op, &repo).await.unwrap();
            }
            Self::ReadOnly => {
                let url = app.config().database.url.as_ref().unwrap().expose();
                damage(url, &[store::CLOSED.to_owned()]).await.unwrap();
            }
        }
    }

    /// The answer to what was under way.
    fn answer(self) -> (u16, &'static str) {
        match self {
            Self::GrantRemoved | Self::GrantLowered => (403, "DENIED"),
            Self::Disabled | Self::NewPassword | Self::UserDeleted => (401, "UNAUTHORIZED"),
            Self::RepositoryDeleted => (404, "NAME_UNKNOWN"),
            Self::ReadOnly => (405, "UNSUPPORTED"),
        }
    }
}

/// Sends a request whose body ends after `meanwhile`.
async fn held_back(
    request: Request,
    body: &[u8],
    meanwhile: impl Future<Output = ()>,
) -> TestResponse {
    let (mut written, request) = SentBody::with(request);
    let half = body.len() / 2;
    let writing = async {
        (&mut written.begun).await.unwrap();
        written.write(body[..half].to_vec());
        meanwhile.await;
        written.write(body[half..].to_vec());
        drop(written);
    };
    futures::join!(request.send(), writing).0
}

/// The ways to push, each with what it brings.
async fn ways(bob: &Client, name: &str) -> Vec<(Request, Vec<u8>)> {
    let bytes = blob_of(77, 3000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let manifest = bob
        .put(&format!("/v2/{name}/manifests/v1"))
        .header("content-type", OCI_INDEX);
    let whole = bob.post(&format!("/v2/{name}/blobs/uploads/?digest={digest}"));
    let first = bob.patch(&bob.open_upload(name).await);
    let begun = bob.open_upload(name).await;
    bob.patch(&begun).body("begun").send().await.expect(202);
    let begun = bob.patch(&begun);
    let fresh = bob.open_upload(name).await;
    let last = bob.put(&format!("{fresh}?digest={digest}"));
    let half = bob.open_upload(name).await;
    let patch = bob.patch(&half).body(bytes[..1000].to_vec());
    patch.send().await.expect(202);
    let rest = bob.put(&format!("{half}?digest={digest}"));
    vec![
        (manifest, NOTHING.into()),
        (whole, bytes.clone()),
        (first, bytes.clone()),
        (begun, bytes.clone()),
        (last, bytes.clone()),
        (rest, bytes[1000..].to_vec()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_ends_while_a_body_comes_ends_the_push() {
    let app = TestApp::new().await;
    let (server, _) = app.beside().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    for (round, end) in End::ALL.into_iter().enumerate() {
        let (user, name) = (format!("bob{round}"), format!("ann/app{round}"));
        let bob = app.user(&user).await;
        ann.push(&name, "v1", &image).await;
        app.grant(&name, &user, Role::Write).await;
        let ways = ways(&bob, &name).await;
        let blob = Digest::of(Algorithm::Sha256, &blob_of(77, 3000));
        // All of them are under way when it ends.
        let (begun, mut all): (Vec<_>, Vec<_>) = ways
            .into_iter()
            .map(|(request, body)| {
                let (written, request) = SentBody::with(request);
                ((written, body), request)
            })
            .unzip();
        let sending = join_all(all.drain(..).map(Request::send));
        let writing = async {
            let mut waiting = begun;
            for (written, body) in &mut waiting {
                (&mut written.begun).await.unwrap();
                written.write(body[..body.len() / 2].to_vec());
            }
            end.come(&app, &server, &user, &name).await;
            for (written, body) in &waiting {
                written.write(body[body.len() / 2..].to_vec());
            }
        };
        let (answers, ()) = futures::join!(sending, writing);
        let (status, code) = end.answer();
        for answer in answers {
            // The job that clears the repository begins at once, and may have taken the upload
            // first.
            let cleared = matches!(end, End::RepositoryDeleted)
                && answer.status == 404
                && answer.code() == "BLOB_UPLOAD_UNKNOWN";
            let code = if cleared { "BLOB_UPLOAD_UNKNOWN" } else { code };
            answer.refused(status, code);
        }
        if !matches!(end, End::RepositoryDeleted) {
            ann.pull(&name, "v1", &image).await;
            let head = ann.head(&format!("/v2/{name}/blobs/{blob}"));
            head.send().await.expect(404);
        }
    }
    let report = app.verify().await;
    assert!(report.orphans.is_empty(), "{:?}", report.orphans);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_was_given_anew_meanwhile_lets_the_push_pass() {
    let app = TestApp::new().await;
    let (server, _) = app.beside().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    app.grant("ann/app", "bob", Role::Write).await;
    for (request, body) in ways(&bob, "ann/app").await {
        let more = async {
            let (op, repo) = (operator(&server), opened(&server, "ann/app").await);
            for role in [Role::Read, Role::Admin, Role::Write] {
                let given = grants::on_repository(&op, &repo, "bob", Some(role)).await;
                given.unwrap();
            }
            // Another credential of the same user ends; this one does not.
            let name = NamespaceName::parse("bob").unwrap();
            for enabled in [false, true] {
                server
                    .directory
                    .set_enabled(&op, &op.user(&name).await.unwrap(), enabled)
                    .await
                    .unwrap();
            }
        };
        let answer = held_back(request, &body, more).await;
        assert!(
            answer.status.is_success(),
            "{} {}",
            answer.asked,
            answer.status
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_namespace_grants_ends_what_is_under_way_as_well() {
    let app = TestApp::new().await;
    let (server, _) = app.beside().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let op = operator(&server);
    let team = NamespaceName::parse("team").unwrap();
    namespaces::create_organization(&op, &op.installation().unwrap(), &team)
        .await
        .unwrap();
    for user in ["ann", "bob"] {
        let role = Some(NamespaceRole::Admin);
        grants::on_namespace(
            &op,
            &op.namespace(&"team".parse().unwrap()).await.unwrap(),
            user,
            role,
        )
        .await
        .unwrap();
    }
    let image = TestImage::new(1, 1);
    ann.push("team/app", "v1", &image).await;
    let mut requests = ways(&bob, "team/app").await;
    // One more, in a repository that is not there and that an admin could make.
    requests.push((
        bob.put("/v2/team/new/manifests/v1")
            .header("content-type", OCI_INDEX),
        NOTHING.into(),
    ));
    for (request, body) in requests {
        let ending = async {
            let done = grants::on_namespace(
                &op,
                &op.namespace(&"team".parse().unwrap()).await.unwrap(),
                "bob",
                None,
            )
            .await;
            done.unwrap();
        };
        held_back(request, &body, ending)
            .await
            .refused(403, "DENIED");
        let role = Some(NamespaceRole::Admin);
        grants::on_namespace(
            &op,
            &op.namespace(&"team".parse().unwrap()).await.unwrap(),
            "bob",
            role,
        )
        .await
        .unwrap();
        // This process hears of it in its own time.
        let open = || async {
            let post = bob.post("/v2/team/app/blobs/uploads/").send().await;
            post.status == 202
        };
        app.eventually("bob may push again", open).await;
    }
    ann.pull("team/app", "v1", &image).await;
    let new = ann.get("/v2/team/new/manifests/v1").send().await;
    new.refused(404, "NAME_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_does_not_join_a_repository_that_another_has_made_meanwhile() {
    let app = TestApp::new().await;
    let (server, _) = app.beside().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let op = operator(&server);
    let team = NamespaceName::parse("team").unwrap();
    namespaces::create_organization(&op, &op.installation().unwrap(), &team)
        .await
        .unwrap();
    for user in ["ann", "bob"] {
        let role = Some(NamespaceRole::Creator);
        grants::on_namespace(
            &op,
            &op.namespace(&"team".parse().unwrap()).await.unwrap(),
            user,
            role,
        )
        .await
        .unwrap();
    }
    let bytes = blob_of(7, 2000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let image = TestImage::new(1, 1);
    for (round, way) in ["manifest", "blob", "chunk"].into_iter().enumerate() {
        let name = format!("team/app{round}");
        let (request, body) = match way {
            "manifest" => {
                let put = bob.put(&format!("/v2/{name}/manifests/v1"));
                (put.header("content-type", OCI_INDEX), NOTHING.into())
            }
            "blob" => {
                let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
                (bob.post(&path), bytes.clone())
            }
            _ => (bob.patch(&bob.open_upload(&name).await), bytes.clone()),
        };
        let made = async {
            ann.push(&name, "v1", &image).await;
        };
        held_back(request, &body, made).await.refused(403, "DENIED");
        ann.pull(&name, "v1", &image).await;
        let head = ann.head(&format!("/v2/{name}/blobs/{digest}"));
        head.send().await.expect(404);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_creator_pushes_at_once_into_a_new_repository_passes() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let op = app.operator();
    let team = NamespaceName::parse("team").unwrap();
    namespaces::create_organization(&op, &op.installation().unwrap(), &team)
        .await
        .unwrap();
    let role = Some(NamespaceRole::Creator);
    grants::on_namespace(
        &op,
        &op.namespace(&"team".parse().unwrap()).await.unwrap(),
        "ann",
        role,
    )
    .await
    .unwrap();
    let mut begun = Vec::new();
    let mut sending = Vec::new();
    for seed in 0..6 {
        let bytes = blob_of(seed, 1000);
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let path = format!("/v2/team/new/blobs/uploads/?digest={digest}");
        let (written, request) = SentBody::with(ann.post(&path));
        begun.push((written, bytes));
        sending.push(request.send());
    }
    let writing = async {
        for (written, _) in &mut begun {
            (&mut written.begun).await.unwrap();
        }
        for (written, bytes) in begun {
            written.write(bytes);
        }
    };
    let (answers, ()) = futures::join!(join_all(sending), writing);
    for answer in answers {
        answer.expect(201);
    }
    ann.push("team/new", "v1", &TestImage::new(1, 1)).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_another_has_just_made_is_not_given_to_who_pushes_there() {
    let app = TestApp::new().await;
    let (server, _) = app.beside().await;
    let root = app.admin();
    let op = operator(&server);
    let put = root
        .put("/v2/team/app/manifests/v1")
        .header("content-type", OCI_INDEX);
    let made = async {
        let team = NamespaceName::parse("team").unwrap();
        namespaces::create_organization(&op, &op.installation().unwrap(), &team)
            .await
            .unwrap();
    };
    let answer = held_back(put, NOTHING.as_bytes(), made).await;
    answer.expect(201);
    let granted =
        grants::list_on_namespace(&op, &op.namespace(&"team".parse().unwrap()).await.unwrap())
            .await
            .unwrap();
    assert_eq!(granted, []);
    let count = || async {
        let log = seawall_usage::recent_activity(
            &app.operator(),
            &app.operator().installation().unwrap(),
            100,
        )
        .await;
        let log = log.unwrap();
        let of = |kind| log.iter().filter(|entry| entry.kind == Some(kind)).count();
        (of(ManifestPushed::KIND), of(NamespaceCreated::KIND))
    };
    app.eventually("the push is logged", || async { count().await.0 == 1 })
        .await;
    assert_eq!(count().await.1, 1);
    app.finish().await;
}
