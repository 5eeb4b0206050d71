//! Seawall: configuration, composition, listeners, command line.
