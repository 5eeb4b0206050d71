//! Referrers of a subject.

use super::*;
use crate::referrer::{self, ReferrerFilter, ReferrerPage};

async fn referrers(fixture: &Fixture, wanted: &ReferrerFilter) -> ReferrerPage {
    referrer::page(&fixture.op(), &fixture.pull().await, wanted)
        .await
        .unwrap()
}

fn digests(page: &ReferrerPage) -> Vec<String> {
    let read = |text: &String| {
        let descriptor: Value = serde_json::from_str(text).unwrap();
        descriptor["digest"].as_str().unwrap().to_owned()
    };
    page.descriptors.iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_listed_filtered_and_gone_at_once() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    // The subject need not be there.
    let subject = Digest::of(Algorithm::Sha256, b"subject");
    let mut signature = about(&image, &subject);
    signature["artifactType"] = json!("application/vnd.signature.v1+json");
    let sbom = about(&image, &subject);
    let signed = fixture.push(&signature, "v1").await.unwrap();
    let listed = fixture.push(&sbom, "v2").await.unwrap();
    let all = ReferrerFilter {
        subject,
        artifact_type: None,
        after: None,
    };
    assert_eq!(referrers(&fixture, &all).await.descriptors.len(), 2);
    let only = |artifact_type: &str| ReferrerFilter {
        artifact_type: Some(artifact_type.to_owned()),
        ..all.clone()
    };
    let page = referrers(&fixture, &only("application/vnd.signature.v1+json")).await;
    assert_eq!(digests(&page), [signed.to_string()]);
    let page = referrers(&fixture, &only("application/x")).await;
    assert_eq!(digests(&page), [listed.to_string()]);
    fixture.delete(&signed).await.unwrap();
    assert_eq!(
        digests(&referrers(&fixture, &all).await),
        [listed.to_string()]
    );
    fixture.push(&signature, "v1").await.unwrap();
    assert_eq!(referrers(&fixture, &all).await.descriptors.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_annotations_make_short_pages() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    let subject = fixture.push(&image, "v1").await.unwrap();
    let mut expected = Vec::new();
    for number in 0..6 {
        let mut manifest = about(&image, &subject);
        let length = if number % 2 == 0 { 1_500_000 } else { 10 };
        manifest["annotations"] =
            json!({ "text": "x".repeat(length), "number": number.to_string() });
        let digest = fixture
            .push(&manifest, &format!("r{number}"))
            .await
            .unwrap();
        expected.push(digest.to_string());
    }
    expected.sort();
    let mut found = Vec::new();
    let mut wanted = ReferrerFilter {
        subject,
        artifact_type: None,
        after: None,
    };
    let mut pages = 0;
    loop {
        let page = referrers(&fixture, &wanted).await;
        assert!(page.descriptors.iter().map(String::len).sum::<usize>() < 4 * 1024 * 1024);
        found.extend(digests(&page));
        pages += 1;
        wanted.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
    assert!(pages >= 2);
}
