//! Single packets: simulated, traced, captured, sent. Lists come as JSON lines (application/x-ndjson), each a reply of
//! the control socket; the last one is `end`, or `error`.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gridway_control::{
    CapturePoint, FailureKind, PacketFilter, PacketTrace, Reply, Request, SimulatedPacket, encode_reply,
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::extract::{Body, Changer};
use crate::api::failure::{Failure, Failures};
use crate::api::{Api, expect_reply};
use crate::node::{NodeError, Rows};
use crate::store::{Action, NewAuditRow};

/// How long the first row may take before the response begins without it: until then a refusal has its own status.
const FIRST_ROW: Duration = Duration::from_millis(300);
/// Most rows of one list.
const ROWS: u64 = 1_000_000;
/// Longest time for one list, milliseconds.
const WAIT_MS: u64 = 3_600_000;
/// Most echo requests of one list.
const PINGS: u32 = 10_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(simulate))
        .routes(routes!(trace))
        .routes(routes!(capture))
        .routes(routes!(ping))
}

/// What would become of a packet: every step, nothing sent, counted or changed.
#[utoipa::path(
    post,
    path = "/v1/simulate",
    request_body = SimulatedPacket,
    responses((status = 200, body = PacketTrace), Failures)
)]
async fn simulate(
    State(api): State<Api>,
    Body(packet): Body<SimulatedPacket>,
) -> Result<Json<Box<PacketTrace>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Simulate(packet)).await?, Reply::Trace).map(Json)
}

/// Which packets are traced.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TraceRequest {
    /// Which packets.
    #[serde(default)]
    filter: PacketFilter,
    /// How many.
    #[schema(minimum = 1, maximum = 1000000)]
    count: u64,
    /// For how long at most, milliseconds.
    #[schema(maximum = 3600000)]
    wait_ms: u64,
}

/// The steps that the next packets take. Operators only.
#[utoipa::path(
    post,
    path = "/v1/trace",
    request_body = TraceRequest,
    responses((status = 200, body = String, content_type = "application/x-ndjson"), Failures)
)]
async fn trace(
    State(api): State<Api>,
    changer: Changer,
    Body(asked): Body<TraceRequest>,
) -> Result<Response, Failure> {
    check_bounds(asked.count, asked.wait_ms)?;
    let detail = serde_json::to_string(&asked).unwrap_or_default();
    let TraceRequest { filter, count, wait_ms } = asked;
    let request = Request::Trace { filter, count, wait_ms };
    follow(&api, request, Some((changer, Action::Trace, detail))).await
}

/// Which packets are captured.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CaptureRequest {
    /// Where.
    point: CapturePoint,
    /// Which packets.
    #[serde(default)]
    filter: PacketFilter,
    /// How many.
    #[schema(minimum = 1, maximum = 1000000)]
    count: u64,
    /// For how long at most, milliseconds.
    #[schema(maximum = 3600000)]
    wait_ms: u64,
    /// Bytes of each packet that are wanted.
    snap: u32,
}

/// The next packets themselves. Operators only: payload shows.
#[utoipa::path(
    post,
    path = "/v1/capture",
    request_body = CaptureRequest,
    responses((status = 200, body = String, content_type = "application/x-ndjson"), Failures)
)]
async fn capture(
    State(api): State<Api>,
    changer: Changer,
    Body(asked): Body<CaptureRequest>,
) -> Result<Response, Failure> {
    check_bounds(asked.count, asked.wait_ms)?;
    let detail = serde_json::to_string(&asked).unwrap_or_default();
    let CaptureRequest { point, filter, count, wait_ms, snap } = asked;
    let request = Request::Capture { point, filter, count, wait_ms, snap };
    follow(&api, request, Some((changer, Action::Capture, detail))).await
}

/// Where echo requests go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PingRequest {
    /// The vnet.
    vnet: String,
    /// Virtual address.
    #[schema(value_type = String)]
    address: IpAddr,
    /// How many.
    #[schema(minimum = 1, maximum = 10000)]
    count: u32,
    /// Time between two, milliseconds.
    #[schema(maximum = 60000)]
    interval_ms: u64,
}

/// Echo requests through the overlay from the vnet's own address.
#[utoipa::path(
    post,
    path = "/v1/ping",
    request_body = PingRequest,
    responses((status = 200, body = String, content_type = "application/x-ndjson"), Failures)
)]
async fn ping(State(api): State<Api>, Body(asked): Body<PingRequest>) -> Result<Response, Failure> {
    let PingRequest { vnet, address, count, interval_ms } = asked;
    if !(1..=PINGS).contains(&count) || interval_ms > 60_000 {
        let message = format!("expected a count from 1 to {PINGS} and an interval_ms of at most 60000");
        return Err(Failure::bad_request(StatusCode::BAD_REQUEST, message));
    }
    follow(&api, Request::Ping { vnet, address, count, interval_ms }, None).await
}

fn check_bounds(count: u64, wait_ms: u64) -> Result<(), Failure> {
    if (1..=ROWS).contains(&count) && wait_ms <= WAIT_MS {
        return Ok(());
    }
    let message = format!("expected a count from 1 to {ROWS} and a wait_ms of at most {WAIT_MS}");
    Err(Failure::bad_request(StatusCode::BAD_REQUEST, message))
}

/// Begins a list, audits that it began, and passes its rows on.
async fn follow(
    api: &Api,
    request: Request,
    audited: Option<(Changer, Action, String)>,
) -> Result<Response, Failure> {
    let begun = begin(api, request).await;
    if let Some((Changer { name, address }, action, detail)) = audited {
        let outcome = match &begun {
            Ok(_) => "done: begun".to_owned(),
            Err(failure) => format!("not done: {}", failure.message()),
        };
        api.0.store.audit(NewAuditRow { by: name, address, action, detail, outcome });
    }
    let (rows, first) = begun?;
    let lines = futures_util::stream::unfold((rows, first), |(mut rows, first)| async move {
        let reply = match first {
            Some(first) => first,
            None => rows.next().await?,
        };
        Some((Ok::<_, Infallible>(line(reply)), (rows, None)))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], ResponseBody::from_stream(lines)).into_response())
}

type First = Option<Result<Reply, NodeError>>;

async fn begin(api: &Api, request: Request) -> Result<(Rows, First), Failure> {
    let mut rows = api.0.node.follow(request).await?;
    match timeout(FIRST_ROW, rows.next()).await {
        Ok(Some(Err(error))) => Err(error.into()),
        Ok(first) => Ok((rows, first)),
        Err(_) => Ok((rows, None)),
    }
}

fn line(reply: Result<Reply, NodeError>) -> Vec<u8> {
    let reply = reply.unwrap_or_else(|error| match error {
        NodeError::Refused(failure) => Reply::Error(failure),
        other => Reply::Error(gridway_control::Failure::new(FailureKind::Internal, other.to_string())),
    });
    encode_reply(&reply).unwrap_or_else(|error| {
        let failure = gridway_control::Failure::new(FailureKind::Internal, error.to_string());
        encode_reply(&Reply::Error(failure)).expect("a short text is a line")
    })
}
