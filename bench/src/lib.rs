//! gridway-bench
