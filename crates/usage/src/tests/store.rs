//! What the tests look at.

use sea_query::{Order, Query};

seawall_meta::statements! {
    /// The whole log.
    ACTIVITY_ALL: |_d| Query::select()
        .columns(["event_id", "repository_name", "agent", "detail", "address"])
        .from("usage_activity")
        .order_by("event_id", Order::Asc)
        .to_owned();

    /// All counts.
    PULLS_ALL: |_d| Query::select()
        .columns(["day", "repository_id", "namespace_id", "pulls"])
        .from("usage_pull_count")
        .order_by("repository_id", Order::Asc)
        .to_owned();
}
