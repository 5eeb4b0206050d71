//! Configuration: what is wrong is said at the start, with its place; secrets are never said.

use std::time::Duration;

use crate::{BINARY, site};
use seawall_testkit::Site;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_file_has_its_place() {
    let mut site = Site::bare(BINARY).await;
    for (yaml, words) in [
        (
            "log:\n  levle: debug\n",
            ["seawall.yaml:2:3", "log.levle", "did you mean `level`?"],
        ),
        (
            "limits:\n  connections: many\n",
            [
                "seawall.yaml:2:",
                "limits.connections",
                "expected a whole number",
            ],
        ),
        (
            "limits:\n  connections: 0\n",
            [
                "seawall.yaml:2:3",
                "limits.connections",
                "expected a number from 1 to",
            ],
        ),
        (
            "listeners:\n  - address: localhost\n",
            [
                "seawall.yaml:2:",
                "listeners[0].address",
                "expected an IP address and a port",
            ],
        ),
        ("log: [\n", ["seawall.yaml:", "is not valid YAML", ""]),
        (
            "public_url: registry.example.com\n",
            [
                "seawall.yaml:1:",
                "public_url",
                "expected http:// or https://",
            ],
        ),
    ] {
        site.configure(yaml);
        for command in [&["serve"][..], &["config", "check"], &["user", "list"]] {
            let refused = site.run(command).await.refused(1, words[0]);
            for word in words {
                assert!(refused.err.contains(word), "{word}: {refused:?}");
            }
        }
    }
    // A file that was asked for and is not there is no empty one.
    site.set("SEAWALL_CONFIG", "elsewhere.yaml");
    let refused = site.run(&["serve"]).await.refused(1, "elsewhere.yaml");
    assert!(refused.err.contains("cannot be read"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_environment_has_its_variable() {
    for (name, value, word) in [
        ("SEAWALL__LOG__LEVLE", "debug", "did you mean `level`?"),
        ("SEAWALL__LOG__LEVEL", "loud", "expected error, warn, info"),
        ("SEAWALL__LIMITS__CONNECTIONS", "-1", "expected a"),
        (
            "SEAWALL__TRUSTED_PROXIES",
            "[nowhere]",
            "expected a network",
        ),
        (
            "SEAWALL__DATABASE__URL",
            "oracle://u:hunter2@h/d",
            "expected a URL that begins with",
        ),
        (
            "SEAWALL__DATABASE__URL_FILE",
            "/nonexistent",
            "cannot be read",
        ),
    ] {
        let mut site = Site::bare(BINARY).await;
        if name.ends_with("URL_FILE") {
            site.set("SEAWALL__DATABASE__URL", "");
        }
        site.set(name, value);
        let refused = site.run(&["serve"]).await.refused(1, name);
        assert!(refused.err.contains(word), "{refused:?}");
        assert!(!refused.err.contains("hunter2"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_is_a_configuration_and_the_environment_comes_before_it() {
    let mut site = site().await;
    let example = site.run(&["config", "example"]).await.expect(0).out;
    site.configure(&example);
    let checked = site.run(&["config", "check"]).await.expect(0);
    assert_eq!(checked.out, "seawall.yaml: ok\n");
    let uncommented: Vec<_> = example
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .collect();
    site.write("all.yaml", &uncommented.join("\n"));
    let bare = Site::bare(BINARY).await;
    std::fs::copy(
        site.directory().join("all.yaml"),
        bare.directory().join("all.yaml"),
    )
    .unwrap();
    bare.run(&["config", "check", "all.yaml"]).await.expect(0);

    site.configure("log: {level: error}\nshutdown: {grace_seconds: 5}\n");
    site.set("SEAWALL__LOG__LEVEL", "info");
    site.set("SEAWALL__LOG__FORMAT", "text");
    let server = site.serve().await;
    server.logged("INFO").await;
    assert!(!server.log().starts_with('{'), "{}", server.log());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_comes_before_the_file() {
    let mut site = site().await;
    site.configure("data: elsewhere\nlisteners: [{address: \"127.0.0.1:1\"}]\n");
    let server = site
        .serve_with(&["--data", "data", "--listen", "127.0.0.1:0"])
        .await;
    assert!(site.data().join("installation-secret").exists());
    assert!(!site.directory().join("elsewhere").exists());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_may_come_from_a_file_and_is_never_said() {
    let mut site = site().await;
    site.set("SEAWALL__LOG__LEVEL", "trace");
    let url = site.database_url();
    site.set("SEAWALL__DATABASE__URL", "");
    let file = site.write("url", &format!("{url}\n"));
    site.configure(&format!("database: {{url_file: {}}}\n", file.display()));
    let server = site.serve().await;
    server.admin().get("/v2/").send().await.expect(200);
    // Everything that is logged at the highest level, and the password of whoever came.
    let admin = std::fs::read_to_string(site.data().join("admin-password")).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log = server.log();
    assert!(
        !log.contains(admin.trim()),
        "the administrator's password is in the log"
    );
    if let Some(password) = password_of(&url) {
        assert!(
            !log.contains(&password),
            "the database's password is in the log"
        );
    }
    server.stop().await;

    // Nobody listens there; what is said of it must not repeat the address's secret.
    for scheme in ["postgres", "mysql"] {
        let mut site = Site::bare(BINARY).await;
        let url = format!("{scheme}://seawall:hunter2secret@127.0.0.1:1/none");
        site.set("SEAWALL__DATABASE__URL", &url);
        site.set("SEAWALL__DATABASE__ACQUIRE_TIMEOUT_MS", "200");
        site.set("SEAWALL__LOG__LEVEL", "trace");
        std::fs::create_dir_all(site.data()).unwrap();
        for command in [
            &["serve"][..],
            &["user", "list"],
            &["migrate", "status"],
            &["verify"],
        ] {
            let refused = site.run(command).await.expect(1);
            assert!(
                refused.err.contains("the database cannot be opened"),
                "{refused:?}"
            );
            assert!(!refused.err.contains("hunter2secret"), "{refused:?}");
            assert_eq!(refused.out, "");
        }
    }
}

/// The password in a database's address.
fn password_of(url: &str) -> Option<String> {
    let (account, _) = url.split_once("://")?.1.split_once('@')?;
    Some(account.split_once(':')?.1.to_owned())
}
