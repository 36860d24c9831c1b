//! What handlers take out of a request, and what is refused before they run.

use std::error::Error;
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::api::Api;
use crate::api::failure::Failure;
use crate::server::{Caller, Role};
use crate::store::{Action, NewAuditRow};

/// Bytes of a body.
const BODY: usize = 64 * 1024;
/// How long it may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Bytes of a body with a configuration in it; JSON writes line breaks and quotes as two.
const CONFIG_BODY: usize = 64 * 1024 * 1024;
const CONFIG_BODY_TIME: Duration = Duration::from_secs(120);

/// Letters of a path that are kept when it was refused.
const REFUSED_PATH: usize = 100;

/// The JSON of a body.
pub(crate) struct Body<T>(pub(crate) T);

/// The JSON of a body, or what is meant without one.
pub(crate) struct MaybeBody<T>(pub(crate) T);

/// The JSON of a body that may hold a configuration.
pub(crate) struct ConfigBody<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        json(request, BODY, BODY_TIME).await.map(Self)
    }
}

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        json(request, BODY, BODY_TIME).await.map(Self)
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for ConfigBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        json(request, CONFIG_BODY, CONFIG_BODY_TIME).await.map(Self)
    }
}

async fn json<T: DeserializeOwned>(request: Request, limit: usize, time: Duration) -> Result<T, Failure> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.and_then(|media| media.split(';').next()).map(str::trim);
    if !media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        return Err(Failure::bad_request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "expected a body with content-type: application/json",
        ));
    }
    let too_long = || {
        let message = format!("the body has more than {limit} bytes");
        Failure::bad_request(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    // What is said to be too long is not even begun.
    if request.body().size_hint().lower() > limit as u64 {
        return Err(too_long());
    }
    let bytes = match tokio::time::timeout(time, collected(Limited::new(request.into_body(), limit))).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_long()),
        Ok(Err(error)) => return Err(Failure::bad_request(StatusCode::BAD_REQUEST, error.to_string())),
        Err(_) => {
            let message = format!("the body did not come within {} seconds", time.as_secs());
            return Err(Failure::bad_request(StatusCode::REQUEST_TIMEOUT, message));
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::bad_request(StatusCode::BAD_REQUEST, format!("the body: {error}")))
}

/// The bytes of a body, held once.
async fn collected(mut body: Limited<axum::body::Body>) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    // What the client says the length is, which is no more than the limit: memory is taken up as bytes come.
    let mut bytes = Vec::with_capacity(usize::try_from(body.size_hint().lower()).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// The fields of a query.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Failure::bad_request(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}

/// The number in a path.
pub(crate) struct Number(pub(crate) u64);

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<u64>::from_request_parts(parts, state).await {
            Ok(Path(number)) => Ok(Self(number)),
            Err(error) => Err(Failure::bad_request(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}

/// Who asks, and may change things: the role was checked.
pub(crate) struct Changer {
    /// Common name of the certificate.
    pub(crate) name: String,
    /// Where the request came from.
    pub(crate) address: String,
}

impl FromRequestParts<Api> for Changer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        match parts.extensions.get::<Caller>() {
            Some(caller) if caller.operator.role == Role::Operator => {
                Ok(Self { name: caller.operator.name.clone(), address: caller.address.to_string() })
            }
            caller => {
                let failure = Failure::forbidden("a viewer may not do this; it takes the role operator");
                if let Some(Caller { operator, address, .. }) = caller {
                    // A number in it may have any length.
                    let path: String = parts.uri.path().chars().take(REFUSED_PATH).collect();
                    let row = NewAuditRow {
                        by: operator.name.clone(),
                        address: address.to_string(),
                        action: Action::Refused,
                        detail: format!("{} {path}", parts.method),
                        outcome: format!("not done: {}", failure.message()),
                    };
                    match api.0.refusals.take(&operator.name, Instant::now()) {
                        true => api.0.store.audit(row),
                        false => row.log(),
                    }
                }
                Err(failure)
            }
        }
    }
}
