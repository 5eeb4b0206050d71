//! Commands: lists, exit codes, what is asked before something is lost.

use seawall_testkit::{Site, TestImage};
use serde_json::{Value, json};

use crate::{PASSWORD, add_user, site};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_is_2_and_a_refusal_is_1() {
    let site = site().await;
    let server = site.serve().await;
    for wrong in [
        &[][..],
        &["fly"],
        &["user", "add"],
        &["user", "add", "Ann"],
        &["user", "add", "ann", "--password", "x"],
        &["repo", "visibility", "ann/app", "secret"],
        &["grant", "add", "ann", "creator", "ann/app"],
        &["grant", "add", "ann", "read", "--namespace", "ann"],
        &["grant", "list"],
        &["serve", "--listen", "nowhere"],
    ] {
        let done = site.run(wrong).await.expect(2);
        assert_eq!(done.out, "", "{wrong:?}");
        assert!(!done.err.is_empty(), "{wrong:?}");
    }
    for (refused, word) in [
        (&["user", "disable", "none"][..], "none"),
        (&["user", "passwd", "none"], "none"),
        (&["user", "delete", "none", "--yes"], "none"),
        (&["namespace", "delete", "none", "--yes"], "none"),
        (&["repo", "visibility", "ann/none", "public"], "ann/none"),
        (&["repo", "delete", "ann/none", "--yes"], "ann/none"),
        (&["grant", "list", "ann/none"], "ann/none"),
        (&["grant", "list", "--namespace", "none"], "none"),
    ] {
        let done = site.run(refused).await.refused(1, word);
        assert!(done.err.starts_with("seawall: "), "{done:?}");
        assert_eq!(done.err.lines().count(), 1, "{done:?}");
    }
    for fine in [
        &["--help"][..],
        &["--version"],
        &["help", "user"],
        &["version", "-o", "json"],
    ] {
        let done = site.run(fine).await.expect(0);
        assert!(!done.out.is_empty() && done.err.is_empty(), "{done:?}");
    }
    server.stop().await;
}

async fn json_of(site: &Site, list: &[&str]) -> Value {
    let list = [list, &["-o", "json"]].concat();
    site.run(&list).await.expect(0).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_tables_for_people_and_json_for_programs() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    add_user(&site, "bob").await;
    site.run(&["namespace", "add", "org", "--owner", "bob"])
        .await
        .expect(0);
    let ann = server.anonymous().with_password("ann", PASSWORD);
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    let granted = site.run(&["grant", "add", "bob", "write", "ann/app"]).await;
    let said = granted.expect(0).out;
    assert_eq!(said, "granted write on ann/app to bob\n");
    site.run(&["user", "disable", "bob"]).await.expect(0);

    let users = json_of(&site, &["user", "list"]).await;
    let seen: Vec<_> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| {
            (
                user["name"].clone(),
                user["admin"].clone(),
                user["enabled"].clone(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (json!("admin"), json!(true), json!(true)),
            (json!("ann"), json!(false), json!(true)),
            (json!("bob"), json!(false), json!(false)),
        ]
    );
    let time = users[0]["created_at"].as_str();
    assert!(time.is_some_and(|time| time.ends_with('Z')), "{users}");
    let namespaces = json_of(&site, &["namespace", "list"]).await;
    let kind = |name: &str| {
        let found = namespaces
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name);
        found.map(|one| one["kind"].clone())
    };
    assert_eq!(kind("org"), Some(json!("organization")), "{namespaces}");
    assert_eq!(kind("ann"), Some(json!("user")), "{namespaces}");
    let repos = json_of(&site, &["repo", "list"]).await;
    assert_eq!(
        (&repos[0]["name"], &repos[0]["visibility"]),
        (&json!("ann/app"), &json!("private"))
    );
    let none = json_of(&site, &["repo", "list", "org"]).await;
    assert_eq!(none, json!([]));
    let grants = json_of(&site, &["grant", "list", "ann/app"]).await;
    assert_eq!(grants, json!([{"principal": "bob", "role": "write"}]));
    let grants = json_of(&site, &["grant", "list", "--namespace", "org"]).await;
    assert_eq!(grants, json!([{"principal": "bob", "role": "admin"}]));

    let table = site.run(&["user", "list"]).await.expect(0).out;
    assert!(
        table.starts_with("NAME   ADMIN  ENABLED  CREATED\nadmin  yes    yes      "),
        "{table}"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_must_be_confirmed() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    site.run(&["namespace", "add", "org"]).await.expect(0);
    let ann = server.anonymous().with_password("ann", PASSWORD);
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    for command in [
        ["repo", "delete", "ann/app"],
        ["namespace", "delete", "org"],
        ["user", "delete", "ann"],
    ] {
        // An answer that nobody was asked for is none.
        let refused = site.run_with(&command, "y\n").await;
        refused.refused(1, "Use --yes where there is no terminal");
    }
    ann.get("/v2/ann/app/manifests/v1").send().await.expect(200);
    site.run(&["repo", "delete", "ann/app", "--yes"])
        .await
        .expect(0);
    site.run(&["namespace", "delete", "org", "-y"])
        .await
        .expect(0);
    site.run(&["user", "delete", "ann", "--yes"])
        .await
        .expect(0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_read_or_made_and_never_arguments() {
    let site = site().await;
    let server = site.serve().await;
    let made = site.run(&["user", "add", "ann"]).await.expect(0);
    let password = made
        .out
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .unwrap();
    let ann = server.anonymous().with_password("ann", password);
    ann.get("/v2/").send().await.expect(200);
    let empty = site
        .run_with(&["user", "add", "bob", "--password-stdin"], "\n")
        .await;
    empty.refused(1, "the password is empty");
    let twice = site
        .run_with(&["user", "add", "ann", "--password-stdin"], "x1y2z3w4v5\n")
        .await;
    twice.refused(1, "ann");
    let done = site
        .run_with(
            &["user", "add", "bob", "--password-stdin", "--admin"],
            &format!("{PASSWORD}\r\nmore\n"),
        )
        .await;
    assert!(!done.expect(0).out.contains("horse"));
    let bob = server.anonymous().with_password("bob", PASSWORD);
    bob.get("/v2/_catalog").send().await.expect(200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_jobs_is_shown_and_a_job_is_tried_again_on_request() {
    let site = site().await;
    let server = site.serve().await;
    let jobs = json_of(&site, &["jobs", "list"]).await;
    let prune = jobs.as_array().unwrap().iter();
    let prune = prune.clone().find(|job| job["kind"] == "logs.prune");
    let prune = prune.unwrap();
    assert_eq!(
        (&prune["state"], &prune["failures"]),
        (&json!("queued"), &json!(0))
    );
    assert_eq!(
        (&prune["feature"], &prune["lane"]),
        (&json!("kernel"), &json!("background"))
    );
    let id = prune["id"].to_string();
    let done = site.run(&["jobs", "retry", &id]).await.expect(0);
    assert!(done.out.contains("is due now"), "{done:?}");
    let done = site.run(&["jobs", "retry", "--failing"]).await.expect(0);
    assert!(done.out.starts_with("0 failing jobs"), "{done:?}");
    site.run(&["jobs", "retry", "987654"])
        .await
        .refused(1, "987654");
    site.run(&["jobs", "retry"]).await.expect(2);
    server.stop().await;
}
