//! `verify` finds what is damaged, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use seawall_meta::fixture::damage;
use seawall_testkit::{Site, TestImage, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use serde_json::Value;

use crate::{PASSWORD, add_user, site, store};

/// Every stored file.
fn stored(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(stored(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The file that has these bytes.
fn file_of(site: &Site, bytes: &[u8]) -> PathBuf {
    let files = stored(&site.data().join("blobs"));
    let holds = |path: &PathBuf| fs::read(path).unwrap() == bytes;
    files.into_iter().find(holds).unwrap()
}

async fn report(site: &Site, code: i32) -> Value {
    site.run(&["verify", "-o", "json"])
        .await
        .expect(code)
        .json()
}

/// How much is damaged, and how many orphans there are.
fn counts(report: &Value) -> (usize, usize) {
    let count = |key: &str| report[key].as_array().unwrap().len();
    (count("damage"), count("orphans"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damaged_blob_is_listed_and_an_orphan_apart() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let image = TestImage::new(1, 3);
    ann.push("ann/app", "v1", &image).await;
    ann.push("ann/other", "v1", &TestImage::new(2, 1)).await;
    let whole = report(&site, 0).await;
    assert_eq!(counts(&whole), (0, 0), "{whole}");
    assert_eq!(
        (whole["blobs"].as_u64(), whole["manifests"].as_u64()),
        (Some(6), Some(2))
    );

    let orphan = blob_of(99, 77);
    let beside = file_of(&site, &image.layers[0]);
    fs::write(
        beside.with_file_name("00000000-0000-4000-8000-000000000000"),
        orphan,
    )
    .unwrap();
    let found = report(&site, 0).await;
    assert_eq!(counts(&found), (0, 1), "{found}");

    let mut bytes = image.layers[0].clone();
    bytes[100] ^= 1;
    fs::write(&beside, bytes).unwrap();
    let short = file_of(&site, &image.layers[1]);
    fs::write(&short, &image.layers[1][..100]).unwrap();
    fs::remove_file(file_of(&site, &image.layers[2])).unwrap();
    let found = report(&site, 1).await;
    let why = |bytes: &[u8]| {
        let digest = Digest::of(Algorithm::Sha256, bytes).to_string();
        let damage = found["damage"].as_array().unwrap().iter();
        let own: Vec<_> = damage
            .filter(|one| one["what"] == digest.as_str())
            .collect();
        assert_eq!(own.len(), 1, "{digest}: {found}");
        own[0]["why"].as_str().unwrap().to_owned()
    };
    assert!(
        why(&image.layers[0]).starts_with("its bytes hash to sha256:"),
        "{found}"
    );
    assert_eq!(
        why(&image.layers[1]),
        "100 bytes are stored where 513 should be"
    );
    assert!(
        why(&image.layers[2]).starts_with("its bytes are missing: local/"),
        "{found}"
    );
    assert_eq!(counts(&found), (3, 1), "{found}");

    // A quick look sees what needs no reading; people get lines.
    let quick = site.run(&["verify", "--quick"]).await.expect(1).out;
    assert_eq!(quick.matches("damaged: ").count(), 2, "{quick}");
    assert!(quick.contains("orphan (no damage): local/"), "{quick}");
    assert!(quick.contains("\n6 blobs ("), "{quick}");

    // What is broken breaks nothing else, and is never served as if it were whole.
    let pull = ann.get(&format!(
        "/v2/ann/app/blobs/{}",
        Digest::of(Algorithm::Sha256, &image.layers[2])
    ));
    assert!(pull.send().await.status.is_server_error());
    ann.pull("ann/other", "v1", &TestImage::new(2, 1)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rows_contradict_is_listed() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    for (seed, name) in [
        (1, "ann/unlinked"),
        (2, "ann/bitten"),
        (3, "ann/whole"),
        (4, "ann/dangling"),
    ] {
        ann.push(name, "v1", &TestImage::new(seed, 1)).await;
    }
    server.stop().await;
    let unlinked = Digest::of(Algorithm::Sha256, &TestImage::new(1, 1).layers[0]);
    let bitten = TestImage::new(2, 1).digest();
    let dangling = Digest::of(Algorithm::Sha256, &TestImage::new(4, 1).layers[0]);
    let url = site.database_url();
    let statements = [
        store::unlink(&url, &unlinked),
        store::forget_blob(&url, &dangling),
        store::bite_manifest(&url, &bitten),
    ];
    damage(&url, &statements).await.unwrap();
    let found = report(&site, 1).await;
    let text = found["damage"].to_string();
    assert!(
        text.contains(&format!(
            "it refers to {unlinked}, which the repository does not link"
        )),
        "{found}"
    );
    assert!(text.contains(&format!("ann/bitten@{bitten}")), "{found}");
    assert!(
        text.contains("the manifest's bytes hash to sha256:"),
        "{found}"
    );
    assert!(
        text.contains(&format!("ann/dangling@{dangling}")),
        "{found}"
    );
    assert!(
        text.contains("the repository links a blob that is not there"),
        "{found}"
    );
    assert!(!text.contains("ann/whole"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_differs_is_listed_wherever_it_differs() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let (rows, files, gone) = (
        TestImage::new(1, 1),
        TestImage::new(2, 1),
        TestImage::new(3, 1),
    );
    for (image, name) in [
        (&rows, "ann/rows"),
        (&files, "ann/files"),
        (&gone, "ann/gone"),
    ] {
        ann.push(name, "v1", image).await;
    }
    server.stop().await;
    let digest = |image: &TestImage| Digest::of(Algorithm::Sha256, &image.layers[0]);
    let url = site.database_url();
    let statements = [
        store::resize_blob(&url, &digest(&rows), 1000),
        // Neither a row nor a link is left; only the manifest still names it.
        store::unlink(&url, &digest(&gone)),
        store::forget_blob(&url, &digest(&gone)),
    ];
    damage(&url, &statements).await.unwrap();
    let longer = [files.layers[0].as_slice(), b"x"].concat();
    fs::write(file_of(&site, &files.layers[0]), longer).unwrap();

    let found = report(&site, 1).await;
    let said: Vec<_> = found["damage"].as_array().unwrap().iter().collect();
    let says = |what: String, why: String| {
        let same = |one: &&&Value| one["what"] == what.as_str() && one["why"] == why.as_str();
        assert_eq!(
            said.iter().filter(same).count(),
            1,
            "{what}: {why}: {found}"
        );
    };
    let named = |name: &str, image: &TestImage| format!("{name}@{}", image.digest());
    let stored = |found, wanted| format!("{found} bytes are stored where {wanted} should be");
    says(digest(&rows).to_string(), stored(512, 1000));
    says(digest(&files).to_string(), stored(513, 512));
    says(
        named("ann/gone", &gone),
        format!(
            "it refers to {}, which the repository does not link",
            digest(&gone)
        ),
    );
    // The bytes that nothing but a manifest names are an orphan as well.
    assert_eq!(counts(&found), (3, 1), "{found}");
    site.run(&["verify", "--quick"]).await.expect(1);
}
