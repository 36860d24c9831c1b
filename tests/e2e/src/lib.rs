//! gridway-e2e
