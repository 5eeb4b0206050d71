//! Principals, credentials and the token service.
