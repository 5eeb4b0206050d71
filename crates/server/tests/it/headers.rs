//! What answers say of themselves, whoever asks and however: heads, conditions, negotiation
//! (protocol §1, §4, §5, §12).

use seawall_testkit::{Client, TestApp, TestImage, TestResponse, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::permission::Visibility;

/// GET and HEAD of one path, which must say the same.
async fn both(client: &Client, path: &str) -> TestResponse {
    let got = client.get(path).send().await.expect(200);
    let head = client.head(path).send().await.expect(200);
    assert_eq!(head.headers, got.headers, "{path}");
    assert_eq!(got.header("content-length"), got.body.len().to_string());
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn head_says_what_get_says() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let digest = image.digest();
    let layer = Digest::of(Algorithm::Sha256, &image.layers[0]);
    for path in [
        "/v2/".to_owned(),
        "/v2".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/ann/app/tags/list".to_owned(),
        "/v2/ann/app/manifests/v1".to_owned(),
        format!("/v2/ann/app/manifests/{digest}"),
        format!("/v2/ann/app/blobs/{layer}"),
        format!("/v2/ann/app/referrers/{digest}"),
    ] {
        both(&ann, &path).await;
    }
    for path in [
        "/v2/ann/app/manifests/none",
        "/v2/ann/app/manifests/sha256:1",
        "/v2/Bad/tags/list",
        "/v2/nothing",
        "/v2/ann/none/tags/list",
    ] {
        let get = ann.get(path).send().await;
        assert!(get.status.is_client_error(), "{get:?}");
        let head = ann.head(path).send().await.expect(get.status.as_u16());
        assert_eq!(head.headers, get.headers, "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_is_an_empty_object() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    for path in ["/v2/", "/v2"] {
        let door = both(&ann, path).await;
        assert_eq!(door.body, "{}");
        assert_eq!(door.header("content-type"), "application/json");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ever_compressed() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    // What would compress well.
    let layer = vec![b'a'; 200_000];
    let digest = ann.push_blob("ann/app", &layer).await;
    let mut image = TestImage::new(1, 0);
    image.layers = vec![layer.clone()];
    ann.push("ann/app", "v1", &image).await;
    for accepted in [
        "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5",
        "gzip",
        "*",
        "identity;q=0",
    ] {
        let ask = |path: &str| ann.get(path).header("accept-encoding", accepted).send();
        let got = ask(&format!("/v2/ann/app/blobs/{digest}"))
            .await
            .expect(200);
        assert_eq!(got.body, layer);
        assert!(!got.has("vary"), "{got:?}");
        let got = ask("/v2/ann/app/manifests/v1").await.expect(200);
        assert_eq!(got.body, image.manifest());
        ask("/v2/ann/app/tags/list").await.expect(200);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_accepted_gets_what_was_pushed() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let body = serde_json::json!({
        "schemaVersion": 2, "mediaType": list,
        "manifests": [TestImage::descriptor(image.media_type(), &image.manifest())],
    });
    let body = body.to_string();
    ann.push_manifest("ann/app", "list", list, body.as_bytes())
        .await;
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let accepts: &[&[&str]] = &[
        &[],
        &["*/*"],
        &["application/*"],
        &[docker],
        &["text/html;q=0.9, image/png"],
        &[docker, list, "application/json"],
        &["application/vnd.docker.distribution.manifest.v1+prettyjws"],
        &["a, , ;;q=, \u{21}"],
        &["*/*;q=0"],
    ];
    for accept in accepts {
        for (tag, kind, bytes) in [
            ("v1", image.media_type(), image.manifest()),
            ("list", list, body.clone().into_bytes()),
        ] {
            let mut get = ann.get(&format!("/v2/ann/app/manifests/{tag}"));
            for line in *accept {
                get = get.header("accept", line);
            }
            let got = get.send().await.expect(200);
            assert_eq!(got.header("content-type"), kind, "{accept:?}");
            assert_eq!(got.body, bytes, "{accept:?}");
            assert_eq!(got.digest(), Digest::of(Algorithm::Sha256, &bytes));
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_cached_says_for_whom_and_how_long() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let layer = Digest::of(Algorithm::Sha256, &image.layers[0]);
    let by_digest = [
        format!("/v2/ann/app/manifests/{}", image.digest()),
        format!("/v2/ann/app/blobs/{layer}"),
    ];
    for visibility in [Visibility::Private, Visibility::Public] {
        app.set_visibility("ann/app", visibility).await;
        for path in &by_digest {
            let control = both(&ann, path).await.header("cache-control").to_owned();
            assert!(control.contains("max-age=31536000"), "{control}");
            assert_eq!(
                control.contains("private"),
                visibility == Visibility::Private,
                "{control}"
            );
        }
        for path in ["/v2/ann/app/manifests/v1"] {
            assert_eq!(both(&ann, path).await.header("cache-control"), "no-cache");
        }
        for path in ["/v2/", "/v2/_catalog", "/v2/ann/app/tags/list"] {
            assert_eq!(both(&ann, path).await.header("cache-control"), "no-store");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_it_is_told_so_and_sent_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    let digest = ann.push("ann/app", "v1", &image).await;
    let layer = Digest::of(Algorithm::Sha256, &image.layers[0]);
    for (path, etag) in [
        ("/v2/ann/app/manifests/v1".to_owned(), digest),
        (format!("/v2/ann/app/manifests/{digest}"), digest),
        (format!("/v2/ann/app/blobs/{layer}"), layer),
    ] {
        for known in [
            format!("\"{etag}\""),
            etag.to_string(),
            format!("W/\"{etag}\""),
            format!("\"a\", W/\"b\", \"{etag}\""),
            "*".to_owned(),
        ] {
            for request in [ann.get(&path), ann.head(&path)] {
                let told = request.header("if-none-match", &known).send().await;
                let told = told.expect(304);
                assert_eq!(told.header("etag"), format!("\"{etag}\""));
                assert_eq!(told.digest(), etag);
                assert!(told.has("cache-control") && !told.has("content-length"));
            }
        }
        for other in ["\"other\"", "nonsense, \"", "", "sha256:abc"] {
            let told = ann.get(&path).header("if-none-match", other).send().await;
            assert!(!told.expect(200).body.is_empty(), "{other}");
        }
    }
    // Nobody learns by a condition what they may not read.
    let path = format!("/v2/ann/app/blobs/{layer}");
    let nobody = app.anonymous().get(&path).header("if-none-match", "*");
    nobody.send().await.refused(401, "UNAUTHORIZED");
    let stranger = app.user("stranger").await;
    let stranger = stranger.get(&path).header("if-none-match", "*");
    stranger.send().await.refused(404, "NAME_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_beside_the_point_is_ignored() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let layer = Digest::of(Algorithm::Sha256, &image.layers[0]);
    let extras = "?ns=docker.io&foo=bar&&flag&a%20b=c%2Fd&ns=x";
    for path in [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/ann/app/tags/list".to_owned(),
        "/v2/ann/app/manifests/v1".to_owned(),
        format!("/v2/ann/app/manifests/{}", image.digest()),
        format!("/v2/ann/app/blobs/{layer}"),
        format!("/v2/ann/app/referrers/{}", image.digest()),
    ] {
        let plain = both(&ann, &path).await;
        let odd = both(&ann, &format!("{path}{extras}")).await;
        assert_eq!((plain.headers, plain.body), (odd.headers, odd.body));
    }
    let put = ann.put(&format!("/v2/ann/app/manifests/v2{extras}"));
    let put = put
        .header("content-type", image.media_type())
        .body(image.manifest());
    assert!(!put.send().await.expect(201).has("oci-tag"));
    ann.delete(&format!("/v2/ann/app/manifests/v2{extras}"))
        .send()
        .await
        .expect(202);
    // Ranges are for blobs; a manifest comes whole.
    let ranged = ann.get("/v2/ann/app/manifests/v1");
    let ranged = ranged.header("range", "bytes=0-9").send().await.expect(200);
    assert_eq!(ranged.body, image.manifest());
    let head = ann.head(&format!("/v2/ann/app/blobs/{layer}"));
    let head = head.header("range", "bytes=0-9").send().await.expect(200);
    assert_eq!(
        head.header("content-length"),
        image.layers[0].len().to_string()
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_may_be_escaped_once_and_only_once() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let layer = Digest::of(Algorithm::Sha256, &image.layers[0]);
    let (once, twice) = (
        |digest: &Digest| digest.to_string().replace(':', "%3A"),
        |digest: &Digest| digest.to_string().replace(':', "%253A"),
    );
    ann.get(&format!("/v2/ann/app/blobs/{}", once(&layer)))
        .send()
        .await
        .expect(200);
    let lower = once(&image.digest()).to_lowercase();
    for path in [
        format!("manifests/{}", once(&image.digest())),
        format!("manifests/{lower}"),
        format!("referrers/{lower}"),
        "manifests/%76%31".to_owned(),
    ] {
        let get = ann.get(&format!("/v2/ann/app/{path}")).send().await;
        get.expect(200);
    }
    for (path, status) in [
        (format!("blobs/{}", twice(&layer)), 400),
        (format!("manifests/{}", twice(&image.digest())), 404),
        (format!("referrers/{}", twice(&image.digest())), 400),
        ("manifests/..%2Fv1".to_owned(), 404),
        ("manifests/v1%00".to_owned(), 404),
        ("manifests/%zz".to_owned(), 400),
        ("blobs/sha256:%2e%2e%2f".to_owned(), 400),
        ("blobs/sha256:..%5c".to_owned(), 400),
    ] {
        let get = ann.get(&format!("/v2/ann/app/{path}")).send().await;
        get.expect(status);
    }
    let upper = image.digest().to_string().to_uppercase();
    let upper = upper.replace("SHA256", "sha256");
    for reference in [upper.as_str(), "sha256:", "sha256", "md5:abc", ":"] {
        let get = ann.get(&format!("/v2/ann/app/blobs/{reference}"));
        get.send().await.refused(400, "DIGEST_INVALID");
    }
    let long = "a".repeat(128);
    for reference in [format!("sha512:{long}"), format!("sha256:{}", &long[..64])] {
        let get = ann.get(&format!("/v2/ann/app/blobs/{reference}"));
        get.send().await.refused(404, "BLOB_UNKNOWN");
    }
    for algorithm in ["sha384", "blake3", "SHA256", "sha256+b64"] {
        let get = ann.get(&format!("/v2/ann/app/blobs/{algorithm}:{}", &long[..96]));
        get.send().await.refused(400, "DIGEST_INVALID");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ranges_and_odd_ones_do_no_harm() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(3, 2048);
    let digest = ann.push_blob("ann/app", &bytes).await;
    let path = format!("/v2/ann/app/blobs/{digest}");
    let ask = |range: &str| ann.get(&path).header("range", range).send();
    // Overlaps become one; more than 64 are not worth it.
    let one = ask("bytes=0-9,5-19,10-99").await.expect(206);
    assert_eq!(one.header("content-range"), "bytes 0-99/2048");
    assert_eq!(one.body, bytes[..100]);
    let many = |count: usize| {
        let ranges: Vec<_> = (0..count).map(|i| format!("{}-{}", i * 4, i * 4)).collect();
        format!("bytes={}", ranges.join(","))
    };
    let parts = ask(&many(64)).await.expect(206);
    assert!(
        parts
            .header("content-type")
            .starts_with("multipart/byteranges")
    );
    assert_eq!(parts.digest(), digest);
    assert_eq!(ask(&many(65)).await.expect(200).body, bytes);
    for odd in [
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "items=0-1",
        "0-1",
        "bytes 0-1",
        "bytes=0-1,x",
        "",
        "bytes=0-1;2-3",
    ] {
        assert_eq!(ask(odd).await.expect(200).body, bytes, "{odd}");
    }
    let last = ask("bytes=-99999999999999999999").await.expect(206);
    assert_eq!(last.body, bytes);
    let refused = ask("bytes=-0").await.refused(416, "SIZE_INVALID");
    assert_eq!(refused.header("content-range"), "bytes */2048");
    assert_eq!(refused.header("accept-ranges"), "bytes");
    // A condition that does not hold, or cannot be read, gets the whole.
    for (condition, status) in [
        (format!("\"{digest}\""), 206),
        (digest.to_string(), 206),
        (format!("W/\"{digest}\""), 200),
        ("\"other\"".to_owned(), 200),
        ("*".to_owned(), 200),
        ("Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), 200),
        (format!("\"{digest}\", \"other\""), 200),
    ] {
        let get = ann.get(&path).header("range", "bytes=0-1,2000-");
        let got = get.header("if-range", &condition).send().await;
        got.expect(status);
    }
    app.finish().await;
}
