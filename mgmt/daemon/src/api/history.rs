//! Samples of the past.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Api;
use crate::api::extract::Params;
use crate::api::failure::{Failure, Failures};
use crate::store::{RoundTripRow, Span, ThroughputRow};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(round_trips)).routes(routes!(throughput))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct OfPeer {
    /// Name of the peer; all without.
    peer: Option<String>,
    /// Begin, seconds since 1970; an hour before the end without.
    since: Option<u64>,
    /// End, seconds since 1970; now without.
    until: Option<u64>,
}

/// Round trips, waits and retransmissions of tunnels over time, the oldest first; long spans in coarser rows.
#[utoipa::path(
    get,
    path = "/v1/history/round-trips",
    params(OfPeer),
    responses((status = 200, body = Vec<RoundTripRow>), Failures)
)]
async fn round_trips(
    State(api): State<Api>,
    Params(OfPeer { peer, since, until }): Params<OfPeer>,
) -> Result<Json<Vec<RoundTripRow>>, Failure> {
    Ok(Json(api.0.store.round_trips(peer, Span { since, until }).await?))
}

/// What the node passed on over time, the oldest first; long spans in coarser rows.
#[utoipa::path(
    get,
    path = "/v1/history/throughput",
    params(Span),
    responses((status = 200, body = Vec<ThroughputRow>), Failures)
)]
async fn throughput(
    State(api): State<Api>,
    Params(span): Params<Span>,
) -> Result<Json<Vec<ThroughputRow>>, Failure> {
    Ok(Json(api.0.store.throughput(span).await?))
}
