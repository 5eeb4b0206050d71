//! Fixtures for tests: a whole server in process on an isolated database.
