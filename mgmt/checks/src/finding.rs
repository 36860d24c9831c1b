//! One thing that was looked at.

use std::fmt::Display;

use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// The node works, but worse than it could, or not for long.
    Warning,
    /// The node, or a part of it, does not work.
    Problem,
}

impl Status {
    /// The status as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at. The keys are stable, and so is every `id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `area.thing`.
    pub id: &'static str,
    /// How it is.
    pub status: Status,
    /// Whose it is: an interface, a file, an address; empty for the machine.
    pub subject: String,
    /// What was found, and what it means.
    pub found: String,
    /// How to mend it: a command or a setting. Empty when there is nothing to mend.
    pub advice: String,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(id: &'static str, subject: impl Display, found: impl Display) -> Self {
        Self::new(id, Status::Ok, subject, found, "")
    }

    /// It could be better.
    pub(crate) fn warning(
        id: &'static str,
        subject: impl Display,
        found: impl Display,
        advice: impl Display,
    ) -> Self {
        Self::new(id, Status::Warning, subject, found, advice)
    }

    /// It does not work.
    pub(crate) fn problem(
        id: &'static str,
        subject: impl Display,
        found: impl Display,
        advice: impl Display,
    ) -> Self {
        Self::new(id, Status::Problem, subject, found, advice)
    }

    fn new(
        id: &'static str,
        status: Status,
        subject: impl Display,
        found: impl Display,
        advice: impl Display,
    ) -> Self {
        let (subject, found, advice) = (subject.to_string(), found.to_string(), advice.to_string());
        Self { id, status, subject, found, advice }
    }
}
