//! What a watcher hears of pulls.

use std::sync::{Arc, Mutex};

use http::StatusCode as S;
use seawall_kernel::events::{PullNotice, PullWatcher};
use seawall_types::{Algorithm, Digest, PrincipalId};

use super::Harness;

const EMPTY: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What a test looks at of a pull: the digest, the tag, the length, who it was, with which agent.
type Heard = (Digest, Option<String>, u64, Option<i64>, String);

#[derive(Default)]
struct Watcher(Mutex<Vec<Heard>>);

impl PullWatcher for Watcher {
    fn pulled(&self, pulled: &PullNotice<'_>) {
        self.0.lock().unwrap().push((
            *pulled.digest,
            pulled.tag.map(|tag| tag.as_str().to_owned()),
            pulled.bytes,
            pulled.client.principal.map(PrincipalId::get),
            pulled.client.agent.to_owned(),
        ));
    }
}

#[tokio::test]
async fn a_watcher_hears_what_was_pulled_by_which_name_and_by_whom() {
    let rig = Harness::new().await;
    let watcher = Arc::new(Watcher::default());
    let kernel = rig.content.kernel();
    kernel.watchers().fix(vec![Arc::clone(&watcher) as _]);
    let at = |reference: &str| format!("/v2/ann/app/manifests/{reference}");
    let put = rig
        .ask("ann", "PUT", &at("v1"))
        .header("content-type", INDEX);
    put.bytes(EMPTY).expect(S::CREATED).await;
    let digest = Digest::of(Algorithm::Sha256, EMPTY);
    rig.ask("ann", "GET", &at("v1")).expect(S::OK).await;
    rig.ask("ann", "GET", &at(&digest.to_string()))
        .expect(S::OK)
        .await;
    // Neither a question nor an answer without a body is a pull.
    rig.ask("ann", "HEAD", &at("v1")).expect(S::OK).await;
    let known = rig
        .ask("ann", "GET", &at("v1"))
        .header("if-none-match", &format!("\"{digest}\""));
    known.expect(S::NOT_MODIFIED).await;
    let ann = rig.op("ann").actor().principal().map(PrincipalId::get);
    assert!(ann.is_some());
    let length = EMPTY.len() as u64;
    let pull = |tag: Option<&str>| {
        let agent = "seawall test".to_owned();
        (digest, tag.map(str::to_owned), length, ann, agent)
    };
    assert_eq!(*watcher.0.lock().unwrap(), [pull(Some("v1")), pull(None)]);
}
