//! Single packets: simulated, traced, captured, sent. Lists come as JSON lines (application/x-ndjson), each a reply of
//! the control socket; the last one is `end`, or `error`.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::Body as ResponseBody;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gridway_control::{
    CapturePoint, FailureKind, PacketFilter, PacketTrace, Reply, Request, SimulatedPacket, encode_reply,
};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::extract::{Body, Changer};
use crate::api::failure::{Failure, Failures};
use crate::api::{Api, expect_reply};
use crate::node::{NodeError, Rows};
use crate::server::Caller;
use crate::store::{Action, NewAuditRow};

/// How long the first row may take before the response begins without it: until then a refusal has its own status.
const FIRST_ROW: Duration = Duration::from_millis(300);
/// Most rows of one list.
const ROWS: u64 = 1_000_000;
/// Longest time for one list, milliseconds.
const WAIT_MS: u64 = 3_600_000;
/// Most echo requests of one list.
const PINGS: u32 = 10_000;
/// Longest time for one list of echo requests, milliseconds: viewers may ask for them, and there are few at once.
const PING_MS: u64 = 600_000;
/// Silence after which whoever follows a list is judged again.
const SILENCE: Duration = Duration::from_secs(15);

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
    Extension(caller): Extension<Caller>,
    Body(asked): Body<TraceRequest>,
) -> Result<Response, Failure> {
    check_bounds(asked.count, asked.wait_ms)?;
    let detail = serde_json::to_string(&asked).unwrap_or_default();
    let TraceRequest { filter, count, wait_ms } = asked;
    let request = Request::Trace { filter, count, wait_ms };
    follow(&api, caller, request, Some((changer, Action::Trace, detail))).await
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
    Extension(caller): Extension<Caller>,
    Body(asked): Body<CaptureRequest>,
) -> Result<Response, Failure> {
    check_bounds(asked.count, asked.wait_ms)?;
    let detail = serde_json::to_string(&asked).unwrap_or_default();
    let CaptureRequest { point, filter, count, wait_ms, snap } = asked;
    let request = Request::Capture { point, filter, count, wait_ms, snap };
    follow(&api, caller, request, Some((changer, Action::Capture, detail))).await
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

/// Echo requests through the overlay from the vnet's own address, for ten minutes at most.
#[utoipa::path(
    post,
    path = "/v1/ping",
    request_body = PingRequest,
    responses((status = 200, body = String, content_type = "application/x-ndjson"), Failures)
)]
async fn ping(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(asked): Body<PingRequest>,
) -> Result<Response, Failure> {
    let PingRequest { vnet, address, count, interval_ms } = asked;
    if !(1..=PINGS).contains(&count) || interval_ms > 60_000 {
        let message = format!("expected a count from 1 to {PINGS} and an interval_ms of at most 60000");
        return Err(Failure::bad_request(StatusCode::BAD_REQUEST, message));
    }
    if u64::from(count) * interval_ms > PING_MS {
        let message = format!("expected count times interval_ms to be at most {PING_MS}");
        return Err(Failure::bad_request(StatusCode::BAD_REQUEST, message));
    }
    follow(&api, caller, Request::Ping { vnet, address, count, interval_ms }, None).await
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
    caller: Caller,
    request: Request,
    audited: Option<(Changer, Action, String)>,
) -> Result<Response, Failure> {
    let mut audited = audited.map(|(Changer { name, address }, action, detail)| NewAuditRow {
        by: name,
        address,
        action,
        detail,
        outcome: "asked".to_owned(),
    });
    // In the log before it begins, should the process end meanwhile or the client go.
    audited.iter().for_each(NewAuditRow::log);
    let begun = begin(api, request).await;
    if let Some(mut row) = audited.take() {
        row.outcome = match &begun {
            Ok(_) => "done: begun".to_owned(),
            Err(failure) => format!("not done: {}", failure.message()),
        };
        api.0.store.audit(row);
    }
    let (rows, first) = begun?;
    let follower = Follower { api: api.clone(), caller, rows: Some(rows), first };
    let lines = futures_util::stream::unfold(follower, Follower::step);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], ResponseBody::from_stream(lines)).into_response())
}

/// Who follows a list, and what is left of it.
struct Follower {
    api: Api,
    caller: Caller,
    /// None behind its last line.
    rows: Option<Rows>,
    first: First,
}

impl Follower {
    /// The next line, unless the caller's certificate has ceased to hold meanwhile.
    async fn step(mut self) -> Option<(Result<Vec<u8>, Infallible>, Self)> {
        let rows = self.rows.as_mut()?;
        loop {
            let reply = match self.first.take() {
                Some(first) => Some(Some(first)),
                None => tokio::select! {
                    row = rows.next() => Some(row),
                    () = sleep(SILENCE) => None,
                },
            };
            let objection = self.api.0.trust.load().objection(&self.caller.operator, SystemTime::now());
            if let Some(objection) = objection {
                self.rows = None;
                let failure = gridway_control::Failure::new(FailureKind::BadRequest, objection);
                return Some((Ok(line(Err(NodeError::Refused(failure)))), self));
            }
            if let Some(reply) = reply {
                return Some((Ok(line(reply?)), self));
            }
        }
    }
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
