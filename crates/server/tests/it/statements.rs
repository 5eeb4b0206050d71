//! Every statement of every crate is one that each database accepts, and requests keep to their
//! bounds of statements.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use seawall::compose;
use seawall_meta::{SqlDialect, Statement};
use seawall_testkit::notes;
use seawall_testkit::{Client, Request, TestApp, TestImage};
use seawall_types::permission::{Role, Visibility};
use seawall_types::{Algorithm, Digest};

/// The statements of every feature, and of the one that exists for tests.
fn statements() -> Vec<&'static Statement> {
    let plans = compose::plans().into_iter();
    let plans = plans.chain([notes::plan(&Arc::default())]);
    plans
        .flat_map(|plan| plan.all_statements().to_vec())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_prepared_by_this_database() {
    let app = TestApp::with_feature(notes::plan(&Arc::default()), |_| {}).await;
    let statements = statements();
    assert!(
        statements.len() > 80,
        "only {} statements are listed",
        statements.len()
    );
    let refused = app.server.kernel.meta().check(&statements).await.unwrap();
    assert!(refused.is_empty(), "{refused:#?}");
    app.finish().await;
}

/// So that a change of a statement shows as the change of its text on each database.
#[test]
fn the_text_of_every_statement_is_the_one_in_the_snapshots() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for dialect in [SqlDialect::Sqlite, SqlDialect::Postgres, SqlDialect::Mysql] {
        let mut crates: BTreeMap<&str, String> = BTreeMap::new();
        for statement in statements() {
            let module = statement.module();
            let (owner, place) = module.split_once("::").unwrap_or((module, ""));
            let sized = if statement.is_sized() { "[1]" } else { "" };
            let (name, text) = (statement.name(), statement.listing(dialect).unwrap());
            let file = crates
                .entry(owner.trim_start_matches("seawall_"))
                .or_default();
            writeln!(file, "-- {place}::{name}{sized}\n{text}").unwrap();
        }
        for (owner, text) in crates {
            let folder = match owner {
                "testkit" => root.join("testkit/sql"),
                owner => root.join("crates").join(owner).join("sql"),
            };
            insta::with_settings!(
                {
                    snapshot_path => folder,
                    prepend_module_to_snapshot => false,
                    omit_expression => true,
                },
                { insta::assert_snapshot!(dialect.name(), text) }
            );
        }
    }
}

/// The last request's statements: (reads, writes).
async fn spent(app: &TestApp, request: Request) -> (u64, u64) {
    app.requests.take();
    let answer = request.send().await;
    assert!(answer.status.is_success(), "{}", answer.status);
    let seen = app.requests.take();
    assert_eq!(seen.len(), 1, "one request, and the log has {seen:?}");
    (seen[0].reads, seen[0].writes)
}

/// Requests for all that a pull is made of, by tag and by digest, whole and in part.
fn pulls(client: &Client, name: &str, image: &TestImage) -> Vec<Request> {
    let manifests = ["v1".to_owned(), image.digest().to_string()]
        .map(|reference| format!("/v2/{name}/manifests/{reference}"));
    let blobs: Vec<_> = image
        .blobs()
        .iter()
        .map(|bytes| Digest::of(Algorithm::Sha256, bytes))
        .map(|digest| format!("/v2/{name}/blobs/{digest}"))
        .collect();
    let paths = manifests.iter().chain(&blobs);
    let both = paths.flat_map(|path| [client.get(path), client.head(path)]);
    let part = client.get(&blobs[0]).header("range", "bytes=1-2");
    both.chain([part]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_pull_and_a_warm_token_ask_the_database_nothing() {
    let app = TestApp::new().await;
    if app.config().cache.bytes == 0 {
        return app.finish().await;
    }
    let ann = app.user("ann").await;
    app.user("bob").await;
    let image = TestImage::new(1, 2);
    ann.push("ann/app", "v1", &image).await;
    ann.push("ann/open", "v1", &image).await;
    app.grant("ann/app", "bob", Role::Read).await;
    app.set_visibility("ann/open", Visibility::Public).await;
    let pulling = app
        .known("bob")
        .token_for(&["repository:ann/app:pull"])
        .await;
    let nobody = app
        .anonymous()
        .token_for(&["repository:ann/open:pull"])
        .await;
    let all = || {
        let scope = "/v2/auth?service=x&scope=repository:ann/app:pull";
        let own = [ann.get(scope), pulling.get("/v2/"), nobody.get("/v2/")];
        let pulls = [
            pulls(&pulling, "ann/app", &image),
            pulls(&app.known("bob"), "ann/app", &image),
            pulls(&app.anonymous(), "ann/open", &image),
            pulls(&nobody, "ann/open", &image),
        ];
        pulls.into_iter().flatten().chain(own).collect::<Vec<_>>()
    };
    for place in 0..all().len() {
        // Whether a look at the change log was late is the machine's doing, and only costs a read.
        let warm = || async { spent(&app, all().swap_remove(place)).await == (0, 0) };
        app.eventually(&format!("request {place} asks nothing"), warm)
            .await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_of_a_cold_pull_reads_more_than_three_times_or_writes() {
    let app = TestApp::with(|config| config.cache.bytes = 0).await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 2);
    ann.push("ann/app", "v1", &image).await;
    let pulling = ann.token_for(&["repository:ann/app:pull"]).await;
    for client in [&ann, &pulling] {
        let path = format!("/v2/ann/app/manifests/{}", image.digest());
        let first = spent(&app, client.get(&path)).await;
        assert!(first.0 > 0, "a cache that forgets everything asks");
        for request in pulls(&pulling, "ann/app", &image) {
            let (reads, writes) = spent(&app, request).await;
            assert!(reads <= 3 && writes == 0, "{reads} reads, {writes} writes");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_many_repositories_is_one_read_and_one_for_who_asks() {
    let app = TestApp::with(|config| config.cache.bytes = 0).await;
    let ann = app.user("ann").await;
    let asked = |count: usize| {
        let scopes: Vec<_> = (0..count)
            .map(|number| format!("repository:team{number}/app:pull"))
            .collect();
        format!("/v2/auth?service=x&scope={}", scopes.join("+"))
    };
    assert_eq!(spent(&app, ann.get(&asked(64))).await, (2, 0));
    assert_eq!(spent(&app, app.anonymous().get(&asked(8))).await, (1, 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_a_namespace_that_is_known_to_be_absent_ask_nothing() {
    let app = TestApp::new().await;
    if app.config().cache.bytes == 0 {
        return app.finish().await;
    }
    let number = AtomicUsize::new(0);
    let fresh = |path: &str| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        app.anonymous().get(&path.replace('#', &number.to_string()))
    };
    for path in [
        "/v2/auth?service=x&scope=repository:absent/a#:pull",
        "/v2/auth?service=x&scope=repository:absent/b#:pull+repository:absent/c#:pull",
    ] {
        // Whether a look at the change log was late is the machine's doing, and only costs a read.
        let spares = || async { spent(&app, fresh(path)).await == (0, 0) };
        app.eventually("a fresh name asks nothing", spares).await;
    }
    // Until somebody makes it.
    let absent = app.user("absent").await;
    let token = absent.token_for(&["repository:absent/a:pull,push"]).await;
    token.push("absent/a", "v1", &TestImage::new(1, 1)).await;
    app.finish().await;
}
