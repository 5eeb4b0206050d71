//! What was remembered is never told after it has changed: pushes, deletions, grants and reads in
//! any order, by one caller and by several at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::grants;
use seawall_testkit::{Client, TestApp, TestImage};
use seawall_types::lane::Lane;
use seawall_types::name::RepositoryName;
use seawall_types::permission::{Role, Visibility};

const REPOSITORY: &str = "ann/app";
const TAGS: [&str; 3] = ["a", "b", "c"];
const IMAGES: usize = 3;

/// Something that changes what readers are to be told.
#[derive(Debug, Clone)]
enum ListedStep {
    Push(usize, u64),
    DeleteTag(usize),
    DeleteManifest(u64),
    Grant(bool),
    Open(bool),
    Disable(bool),
    DeleteBlob(u64),
}

fn step() -> impl Strategy<Value = ListedStep> {
    let tag = 0..TAGS.len();
    let image = 0..IMAGES as u64;
    prop_oneof![
        4 => (tag.clone(), image.clone()).prop_map(|(tag, image)| ListedStep::Push(tag, image)),
        2 => tag.prop_map(ListedStep::DeleteTag),
        2 => image.clone().prop_map(ListedStep::DeleteManifest),
        2 => any::<bool>().prop_map(ListedStep::Grant),
        1 => any::<bool>().prop_map(ListedStep::Open),
        1 => any::<bool>().prop_map(ListedStep::Disable),
        1 => image.prop_map(ListedStep::DeleteBlob),
    ]
}

/// What readers are to be told.
#[derive(Debug, Default)]
struct Model {
    tags: BTreeMap<usize, u64>,
    manifests: [bool; IMAGES],
    blobs: [bool; IMAGES],
    granted: bool,
    open: bool,
    disabled: bool,
}

fn image(seed: u64) -> TestImage {
    TestImage::new(100 + seed, 1)
}

/// The layer that only this image has.
fn layer(seed: u64) -> seawall_types::Digest {
    let blobs = image(seed).blobs();
    seawall_types::Digest::of(seawall_types::Algorithm::Sha256, &blobs[1])
}

impl Model {
    async fn take(&mut self, app: &TestApp, ann: &Client, step: &ListedStep) {
        match *step {
            ListedStep::Push(tag, seed) => {
                ann.push(REPOSITORY, TAGS[tag], &image(seed)).await;
                self.tags.insert(tag, seed);
                self.manifests[place(seed)] = true;
                self.blobs[place(seed)] = true;
            }
            ListedStep::DeleteTag(tag) => {
                let there = self.tags.remove(&tag).is_some();
                let path = format!("/v2/{REPOSITORY}/manifests/{}", TAGS[tag]);
                delete(ann, &path, if there { 202 } else { 404 }).await;
            }
            ListedStep::DeleteManifest(seed) => {
                let there = std::mem::take(&mut self.manifests[place(seed)]);
                self.tags.retain(|_, of| *of != seed);
                let path = format!("/v2/{REPOSITORY}/manifests/{}", image(seed).digest());
                delete(ann, &path, if there { 202 } else { 404 }).await;
            }
            ListedStep::DeleteBlob(seed) => {
                let path = format!("/v2/{REPOSITORY}/blobs/{}", layer(seed));
                let status = match (self.blobs[place(seed)], self.manifests[place(seed)]) {
                    (false, _) => 404,
                    (true, true) => 405,
                    (true, false) => 202,
                };
                delete(ann, &path, status).await;
                self.blobs[place(seed)] &= self.manifests[place(seed)];
            }
            ListedStep::Grant(given) => {
                if given != self.granted {
                    grant(app, given).await;
                }
                self.granted = given;
            }
            ListedStep::Open(open) => {
                let to = if open {
                    Visibility::Public
                } else {
                    Visibility::Private
                };
                app.set_visibility(REPOSITORY, to).await;
                self.open = open;
            }
            ListedStep::Disable(disabled) => {
                let bob = "bob".parse().unwrap();
                let op = app.operator();
                let directory = &app.server.directory;
                directory
                    .set_enabled(&op, &op.user(&bob).await.unwrap(), !disabled)
                    .await
                    .unwrap();
                self.disabled = disabled;
            }
        }
    }

    /// Asks for everything, as the owner, as bob with a token and with a password, and as nobody.
    async fn look(&self, app: &TestApp, ann: &Client, bob: &Client) {
        let reads = self.granted || self.open;
        let of_bob = |there: bool| match (self.disabled, reads && there) {
            (true, _) => 401,
            (false, true) => 200,
            (false, false) => 404,
        };
        let nobody = |there: bool| match (self.open, there) {
            (false, _) => 401,
            (true, true) => 200,
            (true, false) => 404,
        };
        for (path, there) in self.expected() {
            let own = if there { 200 } else { 404 };
            for (client, status) in [
                (ann, own),
                (bob, of_bob(there)),
                (&app.known("bob"), of_bob(there)),
                (&app.anonymous(), nobody(there)),
            ] {
                client.get(&path).send().await.expect(status);
            }
        }
        for (tag, seed) in &self.tags {
            let path = format!("/v2/{REPOSITORY}/manifests/{}", TAGS[*tag]);
            let answer = ann.head(&path).send().await.expect(200);
            assert_eq!(answer.digest(), image(*seed).digest());
        }
    }

    fn expected(&self) -> Vec<(String, bool)> {
        let tags = (0..TAGS.len()).map(|tag| {
            let path = format!("/v2/{REPOSITORY}/manifests/{}", TAGS[tag]);
            (path, self.tags.contains_key(&tag))
        });
        let manifests = (0..IMAGES as u64).map(|seed| {
            let path = format!("/v2/{REPOSITORY}/manifests/{}", image(seed).digest());
            (path, self.manifests[place(seed)])
        });
        let blobs = (0..IMAGES as u64).map(|seed| {
            let path = format!("/v2/{REPOSITORY}/blobs/{}", layer(seed));
            (path, self.blobs[place(seed)])
        });
        tags.chain(manifests).chain(blobs).collect()
    }
}

fn place(seed: u64) -> usize {
    usize::try_from(seed).unwrap()
}

async fn delete(ann: &Client, path: &str, status: u16) {
    ann.request(Method::DELETE, path)
        .send()
        .await
        .expect(status);
}

async fn grant(app: &TestApp, given: bool) {
    let op = app.operator();
    let name = RepositoryName::parse(REPOSITORY).unwrap();
    let repo = op.repo::<Administer>(&name).await.unwrap();
    let role = given.then_some(Role::Read);
    grants::on_repository(&op, &repo, "bob", role)
        .await
        .unwrap();
}

/// Stories of steps, the same in each run.
fn stories(count: usize, steps: usize) -> Vec<Vec<ListedStep>> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let story = prop::collection::vec(step(), steps);
    (0..count)
        .map(|_| story.new_tree(&mut runner).unwrap().current())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_change_every_reader_is_told_the_new_state() {
    for story in stories(3, 25) {
        let app = TestApp::new().await;
        let ann = app.user("ann").await;
        let bob = app.user("bob").await;
        ann.push(REPOSITORY, TAGS[0], &image(0)).await;
        grant(&app, true).await;
        let bob = bob.token_for(&["repository:ann/app:pull"]).await;
        let mut model = Model {
            tags: [(0, 0)].into(),
            granted: true,
            ..Model::default()
        };
        model.manifests[0] = true;
        model.blobs[0] = true;
        for step in &story {
            model.take(&app, &ann, step).await;
            model.look(&app, &ann, &bob).await;
        }
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reader_sees_a_tag_go_back_behind_what_was_acknowledged() {
    const PUSHES: u64 = 40;
    let app = Arc::new(TestApp::new().await);
    let ann = app.user("ann").await;
    let images: Vec<_> = (0..PUSHES).map(image).collect();
    let versions: BTreeMap<String, u64> = (0..)
        .zip(&images)
        .map(|(version, image)| (image.digest().to_string(), version))
        .collect();
    ann.push(REPOSITORY, "v", &images[0]).await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let readers = (0..3).map(|_| {
        let (ann, versions) = (ann.clone(), versions.clone());
        let (acknowledged, done) = (Arc::clone(&acknowledged), Arc::clone(&done));
        async move {
            let mut looks = 0;
            while !done.load(Ordering::Acquire) {
                let before = acknowledged.load(Ordering::Acquire);
                let path = format!("/v2/{REPOSITORY}/manifests/v");
                let answer = ann.get(&path).send().await.expect(200);
                let seen = versions[answer.header("docker-content-digest")];
                assert!(seen >= before, "{seen} was told after {before}");
                looks += 1;
                tokio::task::yield_now().await;
            }
            looks
        }
    });
    let writing = async {
        for (version, image) in (0..).zip(&images) {
            ann.push(REPOSITORY, "v", image).await;
            acknowledged.store(version, Ordering::Release);
        }
        done.store(true, Ordering::Release);
    };
    let (looks, ()) = tokio::join!(futures::future::join_all(readers), writing);
    assert!(looks.iter().sum::<u64>() > PUSHES, "hardly anybody looked");
    Arc::into_inner(app).unwrap().finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_revokes_is_refused_soon() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    app.user("bob").await;
    ann.push(REPOSITORY, "a", &image(0)).await;
    grant(&app, true).await;
    let bob = app.known("bob");
    let path = format!("/v2/{REPOSITORY}/manifests/a");
    bob.get(&path).send().await.expect(200);
    let (server, _) = app.beside().await;
    let op = server.kernel.internal_op(Lane::Control, "test");
    let name = RepositoryName::parse(REPOSITORY).unwrap();
    let repo = op.repo::<Administer>(&name).await.unwrap();
    grants::on_repository(&op, &repo, "bob", None)
        .await
        .unwrap();
    let refused = || async { bob.get(&path).send().await.status == 404 };
    app.eventually("the grant is gone here, too", refused).await;
    server.close(Duration::from_secs(5)).await;
    app.finish().await;
}
