//! The Debian package, made once: its files, and a fresh Debian with it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod files;
mod install;

use std::sync::LazyLock;

use gridway_package_test::Package;

static PACKAGE: LazyLock<Package> = LazyLock::new(Package::make);
