//! The first start, the second, and two at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use seawall_testkit::{TestImage, blob_of};

use crate::site;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_an_administrator_and_the_second_does_not() {
    let site = site().await;
    let server = site.serve().await;
    let file = site.data().join("admin-password");
    let password = fs::read_to_string(&file).unwrap();
    let password = password.trim();
    assert!(password.len() >= 20, "{password}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let banner = server.banner();
    for line in [
        format!("Seawall {} is up.", env!("CARGO_PKG_VERSION")),
        format!("  listening on http://{}", server.address()),
        "  data in ./data".to_owned(),
        "User admin was made. The password is in ./data/admin-password".to_owned(),
        format!("  docker login localhost:{}", server.address().port()),
    ] {
        assert!(banner.lines().any(|told| told == line), "{line}\n{banner}");
    }
    // Neither of them is a terminal, and both may be kept.
    assert!(!server.log().contains(password) && !banner.contains(password));
    let image = TestImage::new(1, 2);
    server.admin().push("admin/hello", "latest", &image).await;
    server.stop().await;

    let server = site.serve().await;
    let banner = server.banner();
    assert!(!banner.contains("password"), "{banner}");
    server.admin().pull("admin/hello", "latest", &image).await;
    // It stays until it is changed, whoever else gets another.
    let (add, passwd) = (["user", "add", "ann"], ["user", "passwd", "ann"]);
    site.run(&add).await.expect(0);
    site.run(&passwd).await.expect(0);
    assert!(file.exists());
    site.run(&["user", "passwd", "admin"]).await.expect(0);
    assert!(!file.exists());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_names_the_host_is_warned_of() {
    let mut site = site().await;
    let words = "trusted_proxies is set and public_url is not";
    site.set("SEAWALL__TRUSTED_PROXIES", "[127.0.0.2/32]");
    let server = site.serve().await;
    assert!(server.log().contains(words), "{}", server.log());
    server.stop().await;
    site.set("SEAWALL__PUBLIC_URL", "https://registry.example.com");
    let server = site.serve().await;
    assert!(!server.log().contains(words));
    // The database of the tests is on this machine.
    assert!(!server.log().contains("without TLS"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_keeps_is_for_its_owner_alone() {
    let site = site().await;
    let server = site.serve().await;
    server
        .admin()
        .push_blob("admin/app", &blob_of(1, 100))
        .await;
    let mode = |name: &str| {
        let path = site.data().join(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("."), 0o700);
    assert_eq!(mode("installation-secret"), 0o600);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_directory_is_refused() {
    let site = site().await;
    let server = site.serve().await;
    let second = site.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    let second = second.refused(1, "another server (process ");
    assert!(second.err.contains(&server.id().to_string()), "{second:?}");
    assert!(second.err.contains("--data"), "{second:?}");

    site.run(&["user", "list"]).await.expect(0);
    site.run(&["verify"]).await.expect(0);
    server
        .anonymous()
        .get("/health/ready")
        .send()
        .await
        .expect(200);
    // What a process held is free when it is gone, however it went.
    server.kill().await;
    site.serve().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_said() {
    let site = site().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = site.run(&["serve", "--listen", &address]).await;
    // The log of the start may stand before it.
    let refused = refused.expect(1);
    let last = refused.err.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("seawall: cannot listen on {address}: ")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_address_is_said_where_nothing_is_given() {
    let site = site().await;
    let busy = tokio::net::TcpListener::bind("127.0.0.1:5000").await;
    // Somebody has the port, we or another: the story is only which one is wanted.
    let refused = site.run(&["serve"]).await.expect(1);
    assert!(
        refused.err.contains("cannot listen on 127.0.0.1:5000"),
        "{refused:?}"
    );
    assert!(site.data().join("installation-secret").exists());
    drop(busy);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_without_a_data_directory_say_how_to_get_one() {
    let site = seawall_testkit::Site::bare(crate::BINARY).await;
    for command in [&["user", "list"][..], &["verify"], &["repo", "list"]] {
        let refused = site
            .run(command)
            .await
            .refused(1, "there is no data directory");
        assert!(refused.err.contains("seawall serve"), "{refused:?}");
        assert!(!site.data().exists());
    }
}
