//! What every feature is written in: operations, catalog, routes, events, jobs.
