//! What operators see: one line and one count for each request, and never a secret.

use seawall_testkit::{TestImage, blob_of};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{PASSWORD, add_user, site};

/// The one line of a request.
fn line_of(log: &str, id: &str) -> Value {
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["target"] == "request" && line["id"] == id)
        .collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_one_line() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let bytes = blob_of(5, 70_000);
    let digest = ann.push_blob("ann/app", &bytes).await;
    let wrong = server.anonymous().with_password("ann", "wrong");
    let wrong = wrong.get("/v2/ann/app/tags/list").send().await.expect(401);
    let pulled = ann
        .get(&format!("/v2/ann/app/blobs/{digest}"))
        .header("user-agent", "story/1")
        .send()
        .await;
    let id = pulled.expect(200).header("x-request-id").to_owned();
    server.logged(&id).await;
    let log = server.log();

    let pull = line_of(&log, &id);
    for (key, value) in [
        ("lane", "pull"),
        ("actor", "ann"),
        ("method", "GET"),
        ("agent", "story/1"),
        ("level", "INFO"),
    ] {
        assert_eq!(pull[key], value, "{pull}");
    }
    assert_eq!(
        (&pull["status"], &pull["bytes_out"], &pull["whole"]),
        (&200.into(), &70_000.into(), &true.into())
    );
    assert_eq!(pull["route"], "blob.get", "{pull}");
    for key in [
        "first_byte_ms",
        "took_ms",
        "db_ms",
        "reads",
        "writes",
        "bytes_in",
    ] {
        assert!(pull[key].is_u64(), "{key}: {pull}");
    }
    let refused = line_of(&log, wrong.header("x-request-id"));
    assert_eq!(
        (&refused["status"], &refused["actor"]),
        (&401.into(), &"anonymous".into())
    );
    let received = log
        .lines()
        .filter(|line| line.contains("\"bytes_in\":70000,"))
        .count();
    assert_eq!(received, 1, "the push of the blob says what it received");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_has_a_secret() {
    let mut site = site().await;
    site.set("SEAWALL__LOG__LEVEL", "debug");
    site.set("SEAWALL__TOKENS__REFRESH_TOKENS", "true");
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let token = ann.token_for(&["repository:ann/app:pull,push"]).await;
    token.pull("ann/app", "v1", &image).await;
    let wrong = server
        .anonymous()
        .with_password("ann", "a wrong password of mine");
    let path = "/v2/ann/app/tags/list?n=5&token=in-the-query";
    wrong.get(path).send().await.expect(401);
    let form = server.anonymous().post("/v2/auth");
    let form = form.header("content-type", "application/x-www-form-urlencoded").body(format!(
        "grant_type=password&service=x&client_id=c&access_type=offline&username=ann&password={}",
        PASSWORD.replace(' ', "+")
    ));
    let refresh = form.send().await.expect(200).json();
    let last = ann.get("/v2/").send().await.expect(200);
    server.logged(last.header("x-request-id")).await;
    let log = server.log();

    let basic = ann
        .authorization
        .as_deref()
        .unwrap()
        .strip_prefix("Basic ")
        .unwrap();
    let bearer = token
        .authorization
        .as_deref()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap();
    let admin = std::fs::read_to_string(site.data().join("admin-password")).unwrap();
    let secret = std::fs::read_to_string(site.data().join("installation-secret")).unwrap();
    let offline = refresh["refresh_token"].as_str().unwrap();
    for hidden in [
        PASSWORD,
        &PASSWORD.replace(' ', "+"),
        "a wrong password",
        basic,
        bearer,
        offline,
        admin.trim(),
        secret.trim(),
        "in-the-query",
    ] {
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
    let lower = log.to_lowercase();
    assert!(
        !lower.contains("authorization") && !lower.contains("basic ") && !lower.contains("bearer ")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route_and_lane() {
    let site = site().await;
    let server = site.serve().await;
    let admin = server.admin();
    admin.push("admin/app", "v1", &TestImage::new(1, 2)).await;
    for _ in 0..3 {
        admin
            .get("/v2/admin/app/manifests/v1")
            .send()
            .await
            .expect(200);
    }
    admin
        .get("/v2/admin/app/manifests/none")
        .send()
        .await
        .expect(404);
    server
        .anonymous()
        .get("/nothing/at-all")
        .send()
        .await
        .expect(404);
    let answer = server.anonymous().get("/metrics").send().await.expect(200);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let count = |labels: &[&str]| {
        let lines = text
            .lines()
            .filter(|line| line.starts_with("seawall_requests_total{"));
        let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum::<u64>()
    };
    assert_eq!(
        count(&["route=\"manifest.get\"", "lane=\"pull\"", "status=\"2xx\""]),
        3,
        "{text}"
    );
    assert_eq!(
        count(&["route=\"manifest.get\"", "status=\"4xx\""]),
        1,
        "{text}"
    );
    assert_eq!(
        count(&[
            "route=\"manifest.put\"",
            "lane=\"commit\"",
            "status=\"2xx\""
        ]),
        1,
        "{text}"
    );
    assert_eq!(count(&["route=\"unknown-route\""]), 1, "{text}");
    for name in [
        "seawall_request_seconds_bucket{",
        "seawall_sent_bytes_total{",
        "seawall_received_bytes_total{",
        "seawall_connections{",
        "seawall_health{",
    ] {
        assert!(text.contains(name), "{name}\n{text}");
    }
    // Names of repositories are no labels: their number has no end.
    assert!(
        !text.contains("admin/app") && !text.contains("/nothing"),
        "{text}"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_the_address_in_a_browser_learns_what_it_is() {
    let site = site().await;
    let server = site.serve().await;
    let chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    let page = server
        .anonymous()
        .get("/")
        .header("accept", chrome)
        .send()
        .await
        .expect(200);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        text.contains(&format!("docker login {}", server.address())),
        "{text}"
    );
    let plain = server.anonymous().get("/").send().await.expect(200);
    assert!(plain.header("content-type").starts_with("text/plain"));
    let health = server
        .anonymous()
        .get("/health/ready")
        .send()
        .await
        .expect(200);
    let checks = "{\"checks\":{\"database\":{\"status\":\"ok\"},\"storage\":{\"status\":\"ok\"}},\"status\":\"ready\"}\n";
    assert_eq!(health.body, checks);
    // A host that is no host gets no page with itself in it.
    server
        .anonymous()
        .get("/")
        .at_host("<script>")
        .send()
        .await
        .expect(400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_leaves_a_line_and_a_count() {
    let site = site().await;
    let server = site.serve().await;
    let hostless = server.anonymous().get("/v2/").at_host("<script>");
    let answer = hostless.send().await.expect(400);
    server.logged(answer.header("x-request-id")).await;
    assert!(server.log().contains("\"route\":\"malformed\""));
    let mut garbage = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    garbage
        .write_all(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    garbage.read_to_end(&mut said).await.unwrap();
    assert!(
        said.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&said)
    );
    server.logged("a malformed request was refused").await;
    let metrics = server.anonymous().get("/metrics").send().await.expect(200);
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for count in [
        "seawall_requests_not_understood_total{reason=\"head\"} 1",
        "seawall_requests_total{feature=\"kernel\",route=\"malformed\",lane=\"listing\",status=\"4xx\"} 1",
    ] {
        assert!(text.contains(count), "{count}\n{text}");
    }
    server.stop().await;
}
