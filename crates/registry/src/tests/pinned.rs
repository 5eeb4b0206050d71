//! Immutable tags, and what a manifest's row says of its content.

use seawall_types::Reason;

use super::store::{DESCRIBED, PIN};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_neither_moves_nor_goes() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    let digest = fixture.push(&image, "v1").await.unwrap();
    let (op, id) = (fixture.op(), fixture.id().await);
    op.transaction((), move |tx, _op, ()| {
        Box::pin(async move { Ok(tx.execute(&PIN, args![id, "v1"]).await?) })
    })
    .await
    .unwrap();
    let refused = |result: Result<()>| assert_eq!(result.unwrap_err().reason, Reason::TagImmutable);
    let other = fixture.image("b", 1).await;
    refused(fixture.push(&other, "v1").await.map(drop));
    refused(fixture.delete_tag("v1").await);
    refused(fixture.delete(&digest).await);
    assert_eq!(fixture.found("v1").await.unwrap(), digest);
    assert_eq!(fixture.history("v1").await, [(digest, true, 1)]);
    // What says the same again moves nothing, and other tags are free.
    fixture.push(&image, "v1").await.unwrap();
    let second = fixture.push(&other, "v2").await.unwrap();
    fixture.delete(&second).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifests_row_says_how_large_its_layers_are_and_what_its_config_is() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 2).await;
    let sizes = image["layers"].as_array().unwrap().iter();
    let sum: i64 = sizes.map(|layer| layer["size"].as_i64().unwrap()).sum();
    fixture.push(&image, "v1").await.unwrap();
    let rows = fixture.rows(&DESCRIBED, None).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].int(0).unwrap(), sum);
    assert_eq!(
        rows[0].opt_string(1).unwrap().as_deref(),
        image["config"]["mediaType"].as_str()
    );
}
