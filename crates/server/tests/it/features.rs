//! A feature brings everything that it owns: the story of one that exists only for tests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use seawall::compose::{self, CoreServices};
use seawall::health::Health;
use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::{namespaces, repositories};
use seawall_kernel::jobs;
use seawall_kernel::{Declarations, FeaturePlan, FeatureState, Switch};
use seawall_net::lifecycle::Lifecycle;
use seawall_registry::acts::Push;
use seawall_testkit::notes::{self, NoteCounters, NoteWritten};
use seawall_testkit::{TestApp, TestImage};
use seawall_types::{NamespaceName, RepositoryName};

async fn with_notes() -> (TestApp, Arc<NoteCounters>) {
    let seen = Arc::new(NoteCounters::default());
    let app = TestApp::with_feature(notes::plan(&seen), |config| {
        // What is told here of its cache needs one, also where all others forget.
        config.cache.bytes = 16 << 20;
        config
            .features
            .edit("notes", |notes: &mut notes::Config| notes.max_listed = 2);
    });
    (app.await, seen)
}

fn switch(app: &TestApp) -> &Switch {
    app.server.switch("notes").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_brings_all_of_its_own() {
    let (app, seen) = with_notes().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 3);
    ann.push("ann/app", "v1", &image).await;
    let blobs = image.blobs();
    let digests = blobs.iter().map(|blob| {
        let digest = seawall_types::Digest::of(seawall_types::Algorithm::Sha256, blob);
        digest.to_string()
    });
    for (number, digest) in digests.take(3).enumerate() {
        let path = format!("/notes/ann/app?digest={digest}");
        let written = ann.put(&path).body(format!("note {number}")).send().await;
        written.expect(201);
        // The cache was asked before, and the change is seen at once.
        let shown = ann.get("/notes/ann/app").send().await.expect(200).body;
        let lines = String::from_utf8_lossy(&shown).lines().count();
        assert_eq!(lines, (number + 1).min(2), "{shown:?}");
    }
    let reads = seen.reads.load(Ordering::Relaxed);
    ann.get("/notes/ann/app").send().await.expect(200);
    assert_eq!(seen.reads.load(Ordering::Relaxed), reads, "it is cached");
    app.anonymous()
        .get("/notes/ann/app")
        .send()
        .await
        .expect(401);

    app.eventually("the events are heard and the jobs run", || async {
        seen.heard.load(Ordering::Relaxed) == 3 && seen.ran.load(Ordering::Relaxed) == 3
    })
    .await;
    ann.pull("ann/app", "v1", &image).await;
    assert!(seen.pulls.load(Ordering::Relaxed) > 0);

    // The first foreign key of another crate does not stop the repository from going.
    let op = app.operator();
    let name = RepositoryName::parse("ann/app").unwrap();
    let repo = op.repo::<Administer>(&name).await.unwrap();
    repositories::delete(&op, &repo).await.unwrap();
    app.eventually("the repository is cleared", || async {
        repositories::clearing(&op, &op.installation().unwrap())
            .await
            .unwrap()
            == 0
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_is_switched_within_the_process() {
    let (app, seen) = with_notes().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 2);
    let layer = ann.push_blob("ann/app", &image.layers[0]).await;
    ann.push("ann/app", "v1", &image).await;
    let write = format!("/notes/ann/app?digest={layer}");
    ann.put(&write).body("one").send().await.expect(201);
    ann.get("/notes/ann/app").send().await.expect(200);

    switch(&app).set(FeatureState::Cached).unwrap();
    ann.get("/notes/ann/app").send().await.expect(200);
    let refused = ann.put(&write).body("two").send().await.expect(503);
    assert!(refused.has("retry-after"));

    switch(&app).set(FeatureState::Off).unwrap();
    for answer in [
        ann.get("/notes/ann/app").send().await,
        ann.put(&write).body("two").send().await,
    ] {
        let body = answer.expect(404).body;
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("notes is switched off"), "{text}");
    }
    let pulls = seen.pulls.load(Ordering::Relaxed);
    ann.pull("ann/app", "v1", &image).await;
    assert_eq!(seen.pulls.load(Ordering::Relaxed), pulls, "nothing is told");

    switch(&app).set(FeatureState::On).unwrap();
    ann.get("/notes/ann/app").send().await.expect(200);
    app.eventually("what waited is done", || async {
        seen.heard.load(Ordering::Relaxed) == 1 && seen.ran.load(Ordering::Relaxed) == 1
    })
    .await;
    let required = app.server.switch("registry").unwrap();
    assert!(required.set(FeatureState::Off).is_err(), "pulls stay on");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_feature_is_off_its_rows_go_and_what_waits_is_kept() {
    let (app, seen) = with_notes().await;
    let op = app.operator();
    let acme = NamespaceName::parse("acme").unwrap();
    let admin = app.admin();
    let layer = admin.push_blob("acme/app", b"layer").await;
    let write = format!("/notes/acme/app?digest={layer}");
    admin.put(&write).body("one").send().await.expect(201);
    app.eventually("the first is done", || async {
        seen.heard.load(Ordering::Relaxed) == 1 && seen.ran.load(Ordering::Relaxed) == 1
    })
    .await;

    switch(&app).set(FeatureState::Off).unwrap();
    let name = RepositoryName::parse("acme/app").unwrap();
    let repo = op.repo::<Push>(&name).await.unwrap();
    let note = NoteWritten {
        digest: layer,
        words: "two".to_owned(),
    };
    notes::announce(&op, &repo, note).await.unwrap();
    // The whole namespace goes: repository, notes and the board that both refer to.
    let namespace = op.namespace::<Administer>(&acme).await.unwrap();
    namespaces::delete_organization(&op, &namespace)
        .await
        .unwrap();
    app.eventually("the namespace is cleared", || async {
        let jobs = jobs::list(&op, &op.installation().unwrap()).await.unwrap();
        !jobs.iter().any(|job| job.kind.contains("clear"))
    })
    .await;
    assert_eq!(seen.heard.load(Ordering::Relaxed), 1, "nothing is told");
    assert_eq!(seen.ran.load(Ordering::Relaxed), 1, "nothing runs");

    switch(&app).set(FeatureState::On).unwrap();
    app.eventually("what waited goes on", || async {
        seen.heard.load(Ordering::Relaxed) == 2 && seen.ran.load(Ordering::Relaxed) == 2
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_names_each_blob_once_while_rows_come_and_go() {
    let (app, _) = with_notes().await;
    let ann = app.user("ann").await;
    let mut noted = BTreeSet::new();
    let mut write = async |repository: &str, number: usize| {
        let layer = format!("{repository} {number}");
        let digest = ann.push_blob(repository, layer.as_bytes()).await;
        let path = format!("/notes/{repository}?digest={digest}");
        ann.put(&path).body("a note").send().await.expect(201);
        noted.insert(digest);
    };
    for number in 0..5 {
        write("ann/app", number).await;
        write("ann/other", number).await;
    }
    let op = app.operator();
    let plan: FeaturePlan<CoreServices> = notes::plan(&Arc::default());
    let [keeper] = plan.keepers() else {
        panic!("one keeper")
    };
    let mut end = None;
    let mut named = Vec::new();
    loop {
        let page = keeper.page(&op, end, 3).await.unwrap();
        assert!(page.blobs.len() <= 3);
        named.extend(page.blobs.iter().map(|kept| kept.digest));
        // One that sorts behind all others joins while the pages are read.
        if named.len() == 3 {
            write("ann/third", 0).await;
        }
        end = page.end;
        if end.is_none() {
            break;
        }
    }
    let once: BTreeSet<_> = named.iter().copied().collect();
    assert_eq!(once.len(), named.len(), "a blob is named twice");
    assert_eq!(once, noted);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_takes_json_and_says_what_is_wrong_with_it() {
    let (app, _) = with_notes().await;
    let ann = app.user("ann").await;
    let mut digests = Vec::new();
    for number in 0..5 {
        digests.push(
            ann.push_blob("ann/app", format!("layer {number}").as_bytes())
                .await,
        );
    }
    let post = |body: String| {
        ann.post("/notes/ann/app")
            .header("content-type", "application/json")
            .body(body)
    };
    for digest in &digests {
        let note = serde_json::json!({"digest": digest, "words": format!("of {digest}")});
        post(note.to_string()).send().await.expect(201);
    }
    for (body, word) in [
        (String::new(), "empty"),
        ("{".to_owned(), "EOF"),
        (r#"{"digest": "x", "words": "w"}"#.to_owned(), "digest"),
        (r#"{"digest": 1, "words": "w"}"#.to_owned(), "digest: "),
        (r#"{"words": "w", "colour": 1}"#.to_owned(), "colour"),
        // A list is no digest, however deep it goes.
        (
            format!(r#"{{"digest": {}1{}}}"#, "[".repeat(900), "]".repeat(900)),
            "digest: invalid type: sequence",
        ),
    ] {
        let answer = post(body.clone()).send().await.expect(400);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains(word), "{body}: {text}");
    }
    let long = serde_json::json!({"digest": digests[0], "words": "x".repeat(3000)});
    post(long.to_string()).send().await.expect(413);
    let other = ann
        .post("/notes/ann/app")
        .header("content-type", "text/plain")
        .body("{}");
    other.send().await.expect(400);

    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_feature_lead_from_one_to_the_next() {
    let (app, _) = with_notes().await;
    let ann = app.user("ann").await;
    let mut wanted = Vec::new();
    for number in 0..5 {
        let layer = format!("layer {number}");
        let digest = ann.push_blob("ann/app", layer.as_bytes()).await;
        let path = format!("/notes/ann/app?digest={digest}");
        ann.put(&path).body(layer.clone()).send().await.expect(201);
        wanted.push(layer);
    }
    let mut path = "/notes/ann/app/pages".to_owned();
    let mut all = Vec::new();
    let mut pages = 0;
    loop {
        let answer = ann.get(&path).send().await.expect(200);
        let page: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let notes = page["notes"].as_array().unwrap();
        assert!(notes.len() <= 2, "{page}");
        all.extend(notes.iter().map(|note| note.as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = answer.next() else { break };
        path = next;
    }
    all.sort();
    assert_eq!((all, pages), (wanted, 3));
    // More than the most is the most; a cursor is good for its own list only, and as it is.
    let most = ann
        .get("/notes/ann/app/pages?limit=1000")
        .send()
        .await
        .expect(200);
    let page: serde_json::Value = serde_json::from_slice(&most.body).unwrap();
    assert_eq!(page["notes"].as_array().unwrap().len(), 3);
    let next = most.next().unwrap();
    let cursor = next.split("next_page=").nth(1).unwrap();
    let cursor = cursor.split('&').next().unwrap();
    ann.push_blob("ann/other", b"other").await;
    let with = |list: &str, cursor: &str| format!("/notes/{list}/pages?next_page={cursor}");
    ann.get(&with("ann/app", cursor)).send().await.expect(200);
    ann.get(&with("ann/other", cursor)).send().await.expect(400);
    let mut altered = cursor.to_owned().into_bytes();
    altered[9] = if altered[9] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    ann.get(&with("ann/app", &altered)).send().await.expect(400);
    for limit in ["0", "-1", "x", "1.5"] {
        let path = format!("/notes/ann/app/pages?limit={limit}");
        ann.get(&path).send().await.expect(400);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_feature_is_shown_while_it_is_on() {
    let (app, seen) = with_notes().await;
    let health = Health::new(&Lifecycle::new()).with_features(app.server.checks());
    let degraded = || async {
        health.check().await;
        let body = health.ready(true).into_body();
        let bytes = http_body_util::BodyExt::collect(body).await.unwrap();
        let text = String::from_utf8(bytes.to_bytes().to_vec()).unwrap();
        text.contains("the pencil is blunt")
    };
    assert!(!degraded().await);
    seen.unwell.store(true, Ordering::Relaxed);
    assert!(degraded().await);
    switch(&app).set(FeatureState::Off).unwrap();
    assert!(!degraded().await);
    app.finish().await;
}

#[test]
fn features_that_clash_are_refused_at_the_start() {
    let seen = Arc::new(NoteCounters::default());
    let mut plans = compose::plans();
    plans.push(notes::plan(&seen));
    assert!(compose::layout_of(&plans).is_ok());
    let clash = |plans: &[FeaturePlan<CoreServices>]| {
        let all = plans.iter().fold(Declarations::default(), |all, plan| {
            all.merge(plan.declarations().clone())
        });
        all.check().err().map(|clash| clash.to_string())
    };
    assert_eq!(clash(&plans), None);
    plans.push(notes::plan(&seen));
    let twice = compose::layout_of(&plans).err().unwrap().to_string();
    assert!(twice.contains("notes: two sections"), "{twice}");
    let clash = clash(&plans).unwrap();
    assert!(clash.contains("is declared twice"), "{clash}");
}

#[test]
fn the_section_of_a_feature_is_read_from_the_file() {
    let mut plans = compose::plans();
    plans.push(notes::plan(&Arc::new(NoteCounters::default())));
    let layout = compose::layout_of(&plans).unwrap();
    let config = layout.parse("FILE", "notes: {max_listed: 7}").unwrap();
    let notes: notes::Config = config.features.get("notes");
    assert_eq!(notes.max_listed, 7);
    let error = layout
        .parse("FILE", "notes:\n  max_listed: 0\n")
        .unwrap_err();
    let expected = "FILE:2:3: notes.max_listed: expected a number from 1 to 100";
    assert!(error.to_string().contains(expected), "{error}");
    assert!(layout.example("").unwrap().contains("#notes:\n"));
}
