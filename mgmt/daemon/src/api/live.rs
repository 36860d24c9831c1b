//! Live state: what the data plane shows, as it shows it.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use gridway_control::{
    AclRow, ConnectionRow, ConnectorRow, Counters, FlowFilter, Flows, Killed, LimitRow, NatRow, PeerRow,
    Reply, Request, RouteRow, ServiceRow, Sessions, Status,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::extract::{Changer, Number, Params};
use crate::api::failure::{Failure, Failures};
use crate::api::{Api, expect_reply};
use crate::store::{Action, NewAuditRow};

/// Most rows of an answer.
const LONGEST_LIST: u32 = 100_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(peers))
        .routes(routes!(routes_of_vnets))
        .routes(routes!(nat))
        .routes(routes!(acl))
        .routes(routes!(counters))
        .routes(routes!(limits))
        .routes(routes!(connectors))
        .routes(routes!(services))
        .routes(routes!(connections))
        .routes(routes!(flows, kill_flows))
        .routes(routes!(sessions))
        .routes(routes!(kill_session))
}

/// The node at a glance.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status), Failures))]
async fn status(State(api): State<Api>) -> Result<Json<Box<Status>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Status).await?, Reply::Status).map(Json)
}

/// Tunnels.
#[utoipa::path(get, path = "/v1/peers", responses((status = 200, body = Vec<PeerRow>), Failures))]
async fn peers(State(api): State<Api>) -> Result<Json<Vec<PeerRow>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Peers).await?, Reply::Peers).map(Json)
}

/// Routes of all vnets.
#[utoipa::path(get, path = "/v1/routes", responses((status = 200, body = Vec<RouteRow>), Failures))]
async fn routes_of_vnets(State(api): State<Api>) -> Result<Json<Vec<RouteRow>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Routes).await?, Reply::Routes).map(Json)
}

/// NAT entries and their hits.
#[utoipa::path(get, path = "/v1/nat", responses((status = 200, body = Vec<NatRow>), Failures))]
async fn nat(State(api): State<Api>) -> Result<Json<Vec<NatRow>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Nat).await?, Reply::Nat).map(Json)
}

/// Access rules and their hits.
#[utoipa::path(get, path = "/v1/acl", responses((status = 200, body = Vec<AclRow>), Failures))]
async fn acl(State(api): State<Api>) -> Result<Json<Vec<AclRow>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Acl).await?, Reply::Acl).map(Json)
}

/// Packet counters and drops.
#[utoipa::path(get, path = "/v1/counters", responses((status = 200, body = Counters), Failures))]
async fn counters(State(api): State<Api>) -> Result<Json<Box<Counters>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Counters).await?, Reply::Counters).map(Json)
}

/// Bounded tables: how full they are.
#[utoipa::path(get, path = "/v1/limits", responses((status = 200, body = Vec<LimitRow>), Failures))]
async fn limits(State(api): State<Api>) -> Result<Json<Vec<LimitRow>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Limits).await?, Reply::Limits).map(Json)
}

/// Connectors and port forwards.
#[utoipa::path(get, path = "/v1/connectors", responses((status = 200, body = Vec<ConnectorRow>), Failures))]
async fn connectors(State(api): State<Api>) -> Result<Json<Vec<ConnectorRow>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Connectors).await?, Reply::Connectors).map(Json)
}

/// Services and service ranges.
#[utoipa::path(get, path = "/v1/services", responses((status = 200, body = Vec<ServiceRow>), Failures))]
async fn services(State(api): State<Api>) -> Result<Json<Vec<ServiceRow>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Services).await?, Reply::Services).map(Json)
}

/// Connections of the tunnels, with what the kernel says of them.
#[utoipa::path(get, path = "/v1/connections", responses((status = 200, body = Vec<ConnectionRow>), Failures))]
async fn connections(State(api): State<Api>) -> Result<Json<Vec<ConnectionRow>>, Failure> {
    expect_reply!(api.0.node.ask(Request::Connections).await?, Reply::Connections).map(Json)
}

/// What a query of flows holds beside the fields of flows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Limit {
    /// Most rows wanted; the node may return fewer and says how many there are.
    limit: Option<u32>,
}

impl Limit {
    fn rows(&self) -> u32 {
        self.limit.unwrap_or(Request::DEFAULT_LIMIT).min(LONGEST_LIST)
    }
}

/// As [`Limit`], of flows that are to end.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct All {
    /// Must be true to end all flows.
    all: bool,
}

/// Parts a query into the fields of flows and others. Unknown fields are refused with those of flows.
fn parted<T: serde::de::DeserializeOwned>(
    query: Option<&str>,
    other: &str,
) -> Result<(FlowFilter, T), Failure> {
    let bad = |error: serde_urlencoded::de::Error| {
        Failure::bad_request(StatusCode::BAD_REQUEST, format!("the query: {error}"))
    };
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query.unwrap_or_default()).map_err(bad)?;
    let (others, fields): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| key == other);
    let text = |pairs: Vec<(String, String)>| {
        serde_urlencoded::to_string(pairs)
            .map_err(|error| Failure::bad_request(StatusCode::BAD_REQUEST, error.to_string()))
    };
    let filter = serde_urlencoded::from_str(&text(fields)?).map_err(bad)?;
    Ok((filter, serde_urlencoded::from_str(&text(others)?).map_err(bad)?))
}

/// Live flows that match every field given.
#[utoipa::path(get, path = "/v1/flows", params(FlowFilter, Limit), responses((status = 200, body = Flows), Failures))]
async fn flows(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Json<Flows>, Failure> {
    let (filter, limit): (FlowFilter, Limit) = parted(query.as_deref(), "limit")?;
    let request = Request::Flows { filter, limit: limit.rows() };
    expect_reply!(api.0.node.ask(request).await?, Reply::Flows).map(Json)
}

/// Ends the live flows that match every field given. Operators only.
#[utoipa::path(delete, path = "/v1/flows", params(FlowFilter, All), responses((status = 200, body = Killed), Failures))]
async fn kill_flows(
    State(api): State<Api>,
    changer: Changer,
    RawQuery(query): RawQuery,
) -> Result<Json<Killed>, Failure> {
    let (filter, all): (FlowFilter, All) = parted(query.as_deref(), "all")?;
    if filter.is_empty() && !all.all {
        let message = "which flows? Give at least one field, or all=true";
        return Err(Failure::bad_request(StatusCode::BAD_REQUEST, message));
    }
    let detail = serde_json::to_string(&filter).unwrap_or_default();
    change(&api, changer, Action::KillFlows, detail, Request::KillFlows { filter }, |reply| {
        let killed = expect_reply!(reply, Reply::Killed)?;
        let (Killed::Flows(count) | Killed::Sessions(count)) = killed;
        Ok((Json(killed), format!("{count} ended")))
    })
    .await
}

/// Live Layer 4 sessions.
#[utoipa::path(get, path = "/v1/sessions", params(Limit), responses((status = 200, body = Sessions), Failures))]
async fn sessions(State(api): State<Api>, Params(limit): Params<Limit>) -> Result<Json<Sessions>, Failure> {
    let request = Request::Sessions { limit: limit.rows() };
    expect_reply!(api.0.node.ask(request).await?, Reply::Sessions).map(Json)
}

/// Ends a Layer 4 session. Operators only.
#[utoipa::path(
    delete,
    path = "/v1/sessions/{id}",
    params(("id" = u64, Path, description = "Number of the session")),
    responses((status = 200, body = Killed), Failures)
)]
async fn kill_session(
    State(api): State<Api>,
    changer: Changer,
    Number(id): Number,
) -> Result<Json<Killed>, Failure> {
    let request = Request::KillSessions { ids: vec![id] };
    change(&api, changer, Action::KillSession, id.to_string(), request, |reply| {
        match expect_reply!(reply, Reply::Killed)? {
            Killed::Flows(0) | Killed::Sessions(0) => Err(Failure::not_found("there is no such session")),
            killed => Ok((Json(killed), "ended".to_owned())),
        }
    })
    .await
}

/// Has the node make a change and audits what came of it, also when the client does not wait for that. That it was asked
/// for is in the log before it is made, should the process end meanwhile.
pub(super) async fn change<T: Send + 'static>(
    api: &Api,
    changer: Changer,
    action: Action,
    detail: String,
    request: Request,
    take: impl FnOnce(Reply) -> Result<(T, String), Failure> + Send + 'static,
) -> Result<T, Failure> {
    let permit = api.0.changes.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Failure::busy("too many changes at once; try again"))?;
    let Changer { name, address } = changer;
    let mut row = NewAuditRow { by: name, address, action, detail, outcome: "asked".to_owned() };
    row.log();
    let api = api.clone();
    let made = tokio::spawn(async move {
        let _permit = permit;
        let outcome = match api.0.node.ask(request).await {
            Ok(reply) => take(reply),
            Err(error) => Err(error.into()),
        };
        let (outcome, words) = match outcome {
            Ok((value, words)) => (Ok(value), format!("done: {words}")),
            Err(failure) => {
                let words = format!("not done: {}", failure.message());
                (Err(failure), words)
            }
        };
        row.outcome = words;
        api.0.store.audit(row);
        outcome
    });
    made.await.unwrap_or_else(|_| Err(Failure::busy("the process ends")))
}
