//! What every request passes, and what every response carries.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::api::Api;
use crate::api::failure::Failure;
use crate::api::turn::Turn;
use crate::server::Caller;

/// For browsers: nothing here is to be kept, guessed at, framed or run.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (header::REFERRER_POLICY, "no-referrer"),
];

pub(super) async fn gate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let turn = match admit(&api, &request) {
        Ok(Some(needed)) => Turn::take(needed).await.map(Some),
        Ok(None) => Ok(None),
        Err(failure) => Err(failure),
    };
    let mut response = match turn {
        Ok(None) => next.run(request).await,
        Ok(Some(turn)) => {
            request.extensions_mut().insert(turn.clone());
            turn.until_sent(next.run(request).await)
        }
        Err(failure) => failure.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    api.0.requests.count(response.status());
    response
}

/// Whether a request may be served, and whose turn it needs.
fn admit(api: &Api, request: &Request) -> Result<Option<Arc<Semaphore>>, Failure> {
    let Some(caller) = request.extensions().get::<Caller>() else {
        return Err(Failure::forbidden("no certificate"));
    };
    // The connection may have outlived what proved it.
    if let Some(objection) = api.0.trust.load().objection(&caller.operator, SystemTime::now()) {
        return Err(Failure::forbidden(objection).and_close());
    }
    // A browser shows its certificate for whatever page asks it to.
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return Err(Failure::forbidden("a page of another site may not ask"));
    }
    if !api.0.buckets.take(&caller.operator.name, Instant::now()) {
        return Err(Failure::too_many_requests());
    }
    Ok(api.0.turns.needed(caller.operator.role, request))
}
