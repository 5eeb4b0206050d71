//! Metadata: SQLite, PostgreSQL and MariaDB behind one face.
