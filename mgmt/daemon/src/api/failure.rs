//! What a client is told when its request was not served.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gridway_control::FailureKind;
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::node::NodeError;
use crate::store::StoreError;

/// Why a request was not served. The shape is that of the control socket's failures; there are a few more kinds.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Failure)]
pub(crate) struct Failure {
    /// For programs: `bad_request`, `not_found`, `conflict`, `invalid`, `busy`, `internal`, `unreachable`,
    /// `forbidden` or `too_many_requests`.
    kind: &'static str,
    /// For people.
    message: String,
    #[serde(skip)]
    status: u16,
    /// The connection is not used again.
    #[serde(skip)]
    closes: bool,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), status: status.as_u16(), closes: false }
    }

    /// The request cannot be understood; with the status that says in which respect.
    pub(crate) fn bad_request(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "bad_request", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn too_many_requests() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "too many requests; wait a second")
    }

    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    /// The node answered something else than was asked.
    pub(crate) fn mismatch() -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "unreachable", "the node answered with another kind of reply")
    }

    /// Has the connection closed behind it.
    pub(crate) fn and_close(self) -> Self {
        Self { closes: true, ..self }
    }

    /// For the audit.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let closes = self.closes;
        let mut response = (status, Json(self)).into_response();
        if closes {
            let close = axum::http::HeaderValue::from_static("close");
            response.headers_mut().insert(axum::http::header::CONNECTION, close);
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            let second = axum::http::HeaderValue::from_static("1");
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, second);
        }
        response
    }
}

impl From<gridway_control::Failure> for Failure {
    fn from(failure: gridway_control::Failure) -> Self {
        let (status, kind) = match failure.kind {
            FailureKind::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
            FailureKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            FailureKind::Conflict => (StatusCode::CONFLICT, "conflict"),
            FailureKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            FailureKind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            FailureKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self::new(status, kind, failure.message)
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Busy => Self::busy(error.to_string()),
            NodeError::Unreachable(error) => {
                Self::new(StatusCode::BAD_GATEWAY, "unreachable", error.to_string())
            }
            NodeError::Refused(failure) => failure.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Closed => Self::busy(error.to_string()),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()),
        }
    }
}

/// The failures that any request may meet with, for the description of the API.
pub(crate) struct Failures;

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let described = [
            (400, "Cannot be understood"),
            (403, "The certificate does not allow it"),
            (404, "There is no such thing"),
            (405, "The method is not for this path"),
            (408, "The body did not come in time"),
            (409, "Another change is pending, or was made meanwhile"),
            (413, "The body is too long"),
            (415, "The body is not JSON"),
            (422, "The configuration is wrong, or needs a restart"),
            (429, "Too many requests of this operator"),
            (500, "The node, or the database, failed"),
            (502, "The node cannot be reached"),
            (503, "Too many requests of all at once"),
        ];
        let response = |what: &str| {
            let schema = utoipa::openapi::Ref::from_schema_name(Failure::name());
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new().description(what).content("application/json", content).build().into()
        };
        described.into_iter().map(|(status, what)| (status.to_string(), response(what))).collect()
    }
}

/// The schema that [`Failures`] refers to.
pub(crate) fn schema() -> (String, RefOr<utoipa::openapi::Schema>) {
    (Failure::name().into_owned(), Failure::schema())
}
