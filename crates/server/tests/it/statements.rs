//! Every statement of every crate is one that each database accepts, and requests keep to their
//! bounds of statements.

use seawall::compose;
use seawall_testkit::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_prepared_by_this_database() {
    let app = TestApp::new().await;
    let statements = compose::statements();
    assert!(
        statements.len() > 80,
        "only {} statements are listed",
        statements.len()
    );
    let refused = app.house.kernel.meta().check(&statements).await.unwrap();
    assert!(refused.is_empty(), "{refused:#?}");
    app.finish().await;
}
