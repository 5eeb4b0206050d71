//! Listeners: several, IPv6, one for operators alone, and proxies before them.

use std::net::IpAddr;

use seawall_testkit::{Client, ServerProcess, TestImage, TestResponse, Wire};

use crate::site;

#[tokio::test(flavor = "multi_thread")]
async fn several_listeners_serve_the_same() {
    let mut site = site().await;
    let ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let second = if ipv6 { "[::1]:0" } else { "127.0.0.2:0" };
    site.configure(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}, {{address: \"{second}\"}}, {{address: \":0\"}}]\n"
    ));
    let server = site.serve_with(&[]).await;
    let addresses = server.addresses().to_vec();
    assert_eq!(addresses.len(), 3, "{}", server.banner());
    assert_eq!(addresses[1].is_ipv6(), ipv6);
    let image = TestImage::new(1, 1);
    server.admin().push("admin/app", "v1", &image).await;
    let authorization = server.admin().authorization;
    // All addresses of the machine are both kinds.
    let port = addresses[2].port();
    let mut doors = vec![addresses[1], ([127, 0, 0, 1], port).into()];
    if ipv6 {
        doors.push(format!("[::1]:{port}").parse().unwrap());
    }
    for address in doors {
        let mut client = server.at(address);
        client.authorization.clone_from(&authorization);
        client.pull("admin/app", "v1", &image).await;
        let door = server.at(address).get("/v2/").send().await.expect(401);
        let realm = format!("realm=\"http://{address}/v2/auth\"");
        assert!(door.header("www-authenticate").contains(&realm), "{door:?}");
    }
    let refused = site.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    refused.refused(
        1,
        "--listen: cannot be used where several listeners are configured",
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_may_have_a_listener_of_their_own() {
    let mut site = site().await;
    site.set("SEAWALL__MANAGEMENT__ADDRESS", "127.0.0.1:0");
    let server = site.serve().await;
    let operators = server.at(server.management());
    for path in ["/health/live", "/health/ready", "/metrics"] {
        operators.get(path).send().await.expect(200);
        operators.head(path).send().await.expect(200);
        operators.post(path).send().await.expect(405);
        server.anonymous().get(path).send().await.expect(404);
    }
    for path in ["/", "/v2/", "/v2/auth", "/v2/_catalog"] {
        // Not as the registry says it: it is not there at all.
        assert_eq!(operators.get(path).send().await.status, 404, "{path}");
    }
    server.anonymous().get("/v2/").send().await.expect(401);
    server.stop().await;
}

/// What `/health/ready` says where its asker may know what was found, and where not.
const TOLD: &str = "\"checks\":";
const STATUS: &str = "{\"status\":\"ready\"}\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_counters_and_checks_say_is_not_for_strangers() {
    let mut site = site().await;
    let server = site.serve().await;
    let here = server.anonymous();
    here.get("/metrics").send().await.expect(200);
    let ready = here.get("/health/ready").send().await.expect(200);
    assert!(String::from_utf8_lossy(&ready.body).contains(TOLD));
    let strangers = |path: &str| {
        let proxied = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("via", "1.1 proxy"),
        ];
        let mut all: Vec<_> = proxied
            .map(|(name, value)| here.get(path).header(name, value))
            .into();
        all.push(here.get(path).at_host("registry.example.com"));
        all
    };
    for stranger in strangers("/metrics") {
        let answer = stranger.send().await.expect(403);
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            said.contains("management.address") && !said.contains("seawall_"),
            "{said}"
        );
    }
    for stranger in strangers("/health/ready") {
        assert_eq!(stranger.send().await.expect(200).body, STATUS);
    }
    for stranger in strangers("/health/live") {
        stranger.send().await.expect(200);
    }
    server.stop().await;

    let file = site.write("token", "a long token of ours\n".replace(' ', "-").as_str());
    site.set("SEAWALL__MANAGEMENT__TOKEN_FILE", file.to_str().unwrap());
    let server = site.serve().await;
    let far = |path: &str, token: &str| {
        let asked = server.anonymous().get(path).at_host("registry.example.com");
        asked.header("authorization", token)
    };
    let right = "Bearer a-long-token-of-ours";
    far("/metrics", right).send().await.expect(200);
    let ready = far("/health/ready", right).send().await.expect(200);
    assert!(String::from_utf8_lossy(&ready.body).contains(TOLD));
    for wrong in [
        "Bearer a-long-token-of-theirs",
        "Bearer a-long-token-of-our",
        "Basic Og==",
        "x",
    ] {
        let answer = far("/metrics", wrong).send().await.expect(401);
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"metrics\""
        );
        assert_eq!(
            far("/health/ready", wrong).send().await.expect(200).body,
            STATUS
        );
    }
    // It is the operators' and opens nothing else.
    server
        .anonymous()
        .with_token("a-long-token-of-ours")
        .get("/v2/")
        .send()
        .await
        .expect(401);
    assert!(!server.log().contains("a-long-token"));
    server.stop().await;
}

/// What a proxy says.
const SAID: [(&str, &str); 4] = [
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "registry.example.com"),
    ("x-request-id", "from-the-proxy"),
];

async fn through(server: &ServerProcess, from: [u8; 4], path: &str) -> TestResponse {
    let wire = Wire::to(server.address()).from(IpAddr::from(from));
    let request = Client::over(wire).get(path);
    let request = SAID.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    request.send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_are_believed_where_they_are_trusted_and_nowhere_else() {
    let mut site = site().await;
    site.set("SEAWALL__TRUSTED_PROXIES", "[127.0.0.2]");
    let server = site.serve().await;
    let (proxy, stranger) = ([127, 0, 0, 2], [127, 0, 0, 3]);

    let answer = through(&server, proxy, "/v2/").await.expect(401);
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer realm=\"https://registry.example.com/v2/auth\""),
        "{challenge}"
    );
    assert_eq!(answer.header("x-request-id"), "from-the-proxy");
    let answer = through(&server, stranger, "/v2/").await.expect(401);
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with(&format!(
            "Bearer realm=\"http://{}/v2/auth\"",
            server.address()
        )),
        "{challenge}"
    );
    assert_ne!(answer.header("x-request-id"), "from-the-proxy");
    assert_eq!(answer.header("x-request-id").len(), 32);

    let page = through(&server, proxy, "/").await.expect(200);
    assert!(String::from_utf8_lossy(&page.body).contains("docker login registry.example.com"));
    let page = through(&server, stranger, "/").await.expect(200);
    assert!(!String::from_utf8_lossy(&page.body).contains("registry.example.com"));

    // Locations are the same through every door: they name no host.
    let admin = server.admin();
    for from in [proxy, stranger] {
        let wire = server.wire().from(IpAddr::from(from));
        let mut client = Client::over(wire);
        client.authorization.clone_from(&admin.authorization);
        let post = client.post("/v2/admin/app/blobs/uploads/");
        let post = SAID
            .iter()
            .fold(post, |post, (name, value)| post.header(name, value));
        let opened = post.send().await.expect(202);
        assert!(
            opened
                .header("location")
                .starts_with("/v2/admin/app/blobs/uploads/"),
            "{opened:?}"
        );
    }
    server.logged("\"id\":\"from-the-proxy\"").await;
    let log = server.log();
    let line = |id: &str| {
        log.lines()
            .find(|line| line.contains(id))
            .unwrap()
            .to_owned()
    };
    assert!(
        line("\"id\":\"from-the-proxy\"").contains("\"address\":\"203.0.113.9\""),
        "{log}"
    );
    assert!(log.contains("\"address\":\"127.0.0.3\""), "{log}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_comes_before_what_clients_say() {
    let mut site = site().await;
    site.set("SEAWALL__PUBLIC_URL", "https://registry.example.com:8443");
    let server = site.serve().await;
    let answer = server
        .anonymous()
        .get("/v2/")
        .at_host("evil.example")
        .send()
        .await
        .expect(401);
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer realm=\"https://registry.example.com:8443/v2/auth\""),
        "{challenge}"
    );
    assert!(
        server
            .banner()
            .contains("docker login registry.example.com:8443\n")
    );
    let page = server
        .anonymous()
        .get("/")
        .at_host("evil.example")
        .send()
        .await
        .expect(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(
        page.contains("docker login registry.example.com:8443\n"),
        "{page}"
    );
    server.stop().await;
}
