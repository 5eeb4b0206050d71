//! Bytes that a disk has lost: nobody is served wrong ones, and a push brings them back.

use seawall::verify::orphans;
use seawall_testkit::{TestApp, TestImage, blob_of};
use seawall_types::digest::{Algorithm, Digest};

/// The files of all stored blobs.
fn files(app: &TestApp) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![app.data().join("blobs")];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if std::fs::metadata(&path).unwrap().len() >= 100_000 {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_heals_what_was_lost() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let mut image = TestImage::new(1, 0);
    image.layers = vec![blob_of(1, 150_000)];
    ann.push("ann/app", "v1", &image).await;
    let digest = Digest::of(Algorithm::Sha256, &image.layers[0]);
    let path = format!("/v2/ann/app/blobs/{digest}");
    let spoil: [fn(&std::path::Path); 3] = [
        |file| std::fs::remove_file(file).unwrap(),
        |file| {
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_len(100_000).unwrap();
        },
        |file| {
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_len(200_000).unwrap();
        },
    ];
    for (round, spoil) in spoil.into_iter().enumerate() {
        let [file] = files(&app).try_into().unwrap();
        spoil(&file);
        let report = app.verify().await;
        assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
        let got = ann.get(&path).send().await;
        assert!(got.status == 500 || !got.whole, "{:?}", got.status);
        // Into another repository as well: the bytes are everybody's.
        let name = format!("ann/app{round}");
        ann.push_blob(&name, &image.layers[0]).await;
        ann.pull("ann/app", "v1", &image).await;
        let report = app.verify().await;
        assert!(report.damage.is_empty(), "{:?}", report.damage);
        assert!(report.orphans.is_empty(), "{:?}", report.orphans);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_heal_at_once_one_copy_stays() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(2, 150_000);
    let digest = ann.push_blob("ann/app", &bytes).await;
    let [file] = files(&app).try_into().unwrap();
    std::fs::remove_file(file).unwrap();
    let pushes = (0..6).map(|_| ann.push_blob("ann/app", &bytes));
    futures::future::join_all(pushes).await;
    let got = ann.get(&format!("/v2/ann/app/blobs/{digest}")).send().await;
    assert_eq!(got.expect(200).body, bytes);
    let report = app.verify().await;
    assert_eq!((report.blobs, files(&app).len()), (1, 1));
    assert!(report.orphans.is_empty(), "{:?}", report.orphans);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_found_however_few_files_are_remembered_at_once() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    for number in 0..12 {
        ann.push_blob("ann/app", &blob_of(number, 100_000)).await;
    }
    let beside = files(&app).swap_remove(0);
    let strange = ["not-ours", "00000000-0000-4000-8000-000000000000"];
    for name in strange {
        std::fs::write(beside.with_file_name(name), b"x").unwrap();
    }
    let found = async |share| orphans::find(&app.operator(), share).await.unwrap();
    let all = found(orphans::SHARE).await;
    assert_eq!(all.len(), strange.len(), "{all:?}");
    for share in [1, 5, 14] {
        assert_eq!(found(share).await, all, "{share}");
    }
    app.finish().await;
}
