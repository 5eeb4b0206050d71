//! A feature brings everything that it owns: the story of one that exists only for tests.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use seawall::compose::{self, CoreServices};
use seawall::health::Health;
use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::repositories;
use seawall_kernel::{Declarations, FeaturePlan, FeatureState, Switch};
use seawall_net::lifecycle::Lifecycle;
use seawall_testkit::notes::{self, NoteCounters};
use seawall_testkit::{TestApp, TestImage};
use seawall_types::RepositoryName;

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
    app.house.switch("notes").unwrap()
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
    let required = app.house.switch("registry").unwrap();
    assert!(required.set(FeatureState::Off).is_err(), "pulls stay on");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_feature_is_shown_while_it_is_on() {
    let (app, seen) = with_notes().await;
    let health = Health::new(&Lifecycle::new()).with_features(app.house.checks());
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
