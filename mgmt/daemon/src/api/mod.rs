//! The management API: HTTP requests in, questions to the data plane and the store out.

mod config;
mod events;
mod extract;
mod failure;
mod gate;
mod history;
mod live;
mod packets;
mod requests;
mod turn;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use tokio::sync::{Notify, Semaphore, watch};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::failure::{Failure, Failures};
pub(crate) use crate::api::requests::RequestCounters;
use crate::api::turn::Turns;
use crate::bucket::Buckets;
use crate::feed::Feed;
use crate::metrics;
use crate::node::Node;
use crate::server::{Doors, Trust};
use crate::store::Store;
use crate::webhook::WebhookCounters;

/// Clients at once that follow the events.
const FOLLOWERS: usize = 32;
/// Changes at once, those under way when their client went among them.
pub(crate) const CHANGES: usize = 64;
/// Refusals a second that are kept for each operator: a viewer who asks and asks does not push what others did out of
/// the audit.
const KEPT_REFUSALS: f64 = 1.0 / 60.0;
/// As [`KEPT_REFUSALS`], at once.
const REFUSALS_AT_ONCE: f64 = 10.0;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Api(pub(crate) Arc<Shared>);

/// The parts of the process that the API leads to.
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) store: Store,
    pub(crate) feed: Arc<Feed>,
    pub(crate) trust: Arc<ArcSwap<Trust>>,
    pub(crate) buckets: Buckets,
    pub(crate) doors: Arc<Doors>,
    pub(crate) webhook: Arc<WebhookCounters>,
    /// The recorder looks at the configuration when it hears this.
    pub(crate) changed: Arc<Notify>,
    pub(crate) requests: RequestCounters,
    pub(crate) followers: Arc<Semaphore>,
    pub(crate) turns: Turns,
    pub(crate) changes: Arc<Semaphore>,
    /// Refusals that are kept.
    pub(crate) refusals: Buckets,
    /// Becomes true when the process ends.
    pub(crate) stop: watch::Receiver<bool>,
    description: String,
}

/// What [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) node: Node,
    pub(crate) store: Store,
    pub(crate) feed: Arc<Feed>,
    pub(crate) trust: Arc<ArcSwap<Trust>>,
    pub(crate) doors: Arc<Doors>,
    pub(crate) webhook: Arc<WebhookCounters>,
    pub(crate) changed: Arc<Notify>,
    /// With [`CHANGES`] permits: all are free when none is under way.
    pub(crate) changes: Arc<Semaphore>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) requests_per_second: u32,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Gridway management API",
    description = "One node: its live state, its configuration and its past. TLS 1.3 with a client certificate of the operators' CA; viewers read, operators change."
))]
struct Description;

/// The router of all paths.
///
/// # Errors
/// When the description of the API cannot be written as JSON.
pub(crate) fn router(parts: Parts) -> Result<Router, serde_json::Error> {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(live::routes())
        .merge(config::routes())
        .merge(events::routes())
        .merge(history::routes())
        .merge(packets::routes())
        .routes(routes!(metrics_page))
        .routes(routes!(openapi))
        .split_for_parts();
    let components = description.components.get_or_insert_default();
    components.schemas.extend([failure::schema()]);
    let Parts { node, store, feed, trust, doors, webhook, changed, changes, stop, requests_per_second } =
        parts;
    let api = Api(Arc::new(Shared {
        node,
        store,
        feed,
        trust,
        buckets: Buckets::new(requests_per_second.into(), 2.0 * f64::from(requests_per_second)),
        doors,
        webhook,
        changed,
        requests: RequestCounters::default(),
        followers: Arc::new(Semaphore::new(FOLLOWERS)),
        turns: Turns::new(),
        changes,
        refusals: Buckets::new(KEPT_REFUSALS, REFUSALS_AT_ONCE),
        stop,
        description: description.to_json()?,
    }));
    Ok(router
        .fallback(|| async { Failure::not_found("there is no such path; see /v1/openapi.json") })
        .method_not_allowed_fallback(|| async {
            Failure::bad_request(StatusCode::METHOD_NOT_ALLOWED, "the method is not for this path")
        })
        .layer(from_fn_with_state(api.clone(), gate::gate))
        .with_state(api))
}

/// A reply of the node of the kind that was asked for.
macro_rules! expect_reply {
    ($reply:expr, $kind:path) => {
        match $reply {
            $kind(value) => Ok(value),
            _ => Err($crate::api::failure::Failure::mismatch()),
        }
    };
}
pub(crate) use expect_reply;

/// Numbers for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain"), Failures))]
async fn metrics_page(State(api): State<Api>) -> Result<impl IntoResponse, Failure> {
    let page = metrics::page(&api.0).await;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page))
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", responses((status = 200, body = Object), Failures))]
async fn openapi(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], api.0.description.clone())
}
