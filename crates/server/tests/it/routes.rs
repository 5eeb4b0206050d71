//! The route table against every kind of caller: nothing is served that is not in the table, and
//! everything in it is attacked.

use std::collections::BTreeMap;

use http::Method;
use seawall_kernel::auth::{ActTarget, Requirement};
use seawall_kernel::http::{RepositoryParams, Route, RouteAccess};
use seawall_testkit::{Client, TestApp, TestImage};
use seawall_types::permission::Role;

/// A path that the route serves, in Ann's private repository: with what is there, where the test
/// knows it, and else with the route's own examples.
fn concrete(route: &Route, image: &TestImage) -> String {
    let (namespace, name) = match route.repository {
        RepositoryParams::Whole(name) => (None, name),
        RepositoryParams::Parts { namespace, name } => (Some(namespace), name),
    };
    route.example_path(|param| match param {
        "reference" => Some("v1".to_owned()),
        "digest" => Some(image.digest().to_string()),
        _ if Some(param) == namespace => Some("ann".to_owned()),
        _ if param == name && namespace.is_some() => Some("app".to_owned()),
        _ if param == name => Some("ann/app".to_owned()),
        _ => None,
    })
}

/// Whether a caller may get past the door of a route; what the route then finds is another matter.
fn admitted(access: RouteAccess, caller: &str) -> bool {
    let rank = |role: &str| match role {
        "reader" => 1,
        "writer" => 2,
        "owner" | "admin" | "grantee" => 3,
        _ => 0,
    };
    match access {
        RouteAccess::Open | RouteAccess::Anyone => true,
        RouteAccess::Known | RouteAccess::Catalog => caller != "anonymous",
        RouteAccess::Act(act) => match act.rule().needs {
            Requirement::Role(role) => rank(caller) >= role.code(),
            Requirement::NamespaceRole(_) | Requirement::Oneself | Requirement::Superuser => {
                caller == "admin"
            }
        },
    }
}

async fn callers(app: &TestApp) -> BTreeMap<&'static str, Client> {
    let mut callers = BTreeMap::from([("anonymous", app.anonymous()), ("admin", app.admin())]);
    callers.insert("owner", app.known("ann"));
    callers.insert("stranger", app.user("stranger").await);
    for (name, role) in [
        ("reader", Role::Read),
        ("writer", Role::Write),
        ("grantee", Role::Admin),
    ] {
        callers.insert(name, app.user(name).await);
        app.grant("ann/app", name, role).await;
    }
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_its_access_names_and_nobody_else() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let callers = callers(&app).await;
    let routes: Vec<_> = app.dispatcher().table().iter().cloned().collect();
    for route in &routes {
        for (caller, client) in &callers {
            let path = concrete(route, &image);
            let answer = client.request(route.method.clone(), &path).send().await;
            let status = answer.status.as_u16();
            let what = format!(
                "{} {path} as {caller}: {status} {:?}",
                route.method, answer.body
            );
            if *caller == "anonymous" && !admitted(route.access, caller) {
                assert_eq!(status, 401, "{what}");
                assert!(
                    answer
                        .header("www-authenticate")
                        .starts_with("Bearer realm="),
                    "{what}"
                );
            } else if !admitted(route.access, caller) {
                assert!(matches!(status, 403 | 404), "{what}");
            } else if !matches!(route.access, RouteAccess::Open | RouteAccess::Anyone) {
                assert!(!matches!(status, 401 | 403), "{what}");
                assert!(status < 500, "{what}");
            }
            // What a delete took away is put back for the next caller.
            if route.method == Method::DELETE && status < 300 {
                ann.push("ann/app", "v1", &image).await;
            }
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_tell_a_private_repository_from_a_missing_one() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let stranger = app.user("stranger").await;
    let routes: Vec<_> = app.dispatcher().table().iter().cloned().collect();
    for route in routes.iter().filter(
        |route| matches!(route.access, RouteAccess::Act(act) if act.rule().target == ActTarget::Repository),
    ) {
        for client in [&stranger, &app.anonymous()] {
            let path = concrete(route, &image);
            let hidden = client.request(route.method.clone(), &path).send().await;
            let missing = path.replace("ann/app", "ann/not-here");
            let missing = client.request(route.method.clone(), &missing).send().await;
            let elsewhere = path.replace("ann/app", "nobody/at-all");
            let elsewhere = client
                .request(route.method.clone(), &elsewhere)
                .send()
                .await;
            assert_eq!(hidden.status, missing.status, "{}", hidden.asked);
            assert_eq!(hidden.status, elsewhere.status, "{}", hidden.asked);
            assert_eq!(hidden.body, missing.body, "{}", hidden.asked);
            assert_eq!(hidden.body, elsewhere.body, "{}", hidden.asked);
        }
    }
    app.finish().await;
}
