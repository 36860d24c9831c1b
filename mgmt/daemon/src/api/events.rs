//! Events: asked for, followed, and of the past; and who did what.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use gridway_control::{EventRow, Events, Reply, Request};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::extract::Params;
use crate::api::failure::{Failure, Failures};
use crate::api::{Api, expect_reply};
use crate::server::{Caller, told};
use crate::store::{AuditRow, EventQuery};

/// Silence after which a follower is sent a comment: one that has gone is noticed by it, and one whose certificate no
/// longer holds is let go.
const SILENCE: Duration = Duration::from_secs(15);
/// Most rows of the audit in one answer.
const AUDIT: u32 = 10_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(events))
        .routes(routes!(stream))
        .routes(routes!(past_events))
        .routes(routes!(audit))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct After {
    /// The `last` of the answer before; all that are remembered without.
    after: u64,
    /// How long to wait for an event if there is none, milliseconds; 8000 at most.
    #[param(maximum = 8000)]
    wait_ms: u64,
}

/// Events of the data plane with numbers above `after`.
#[utoipa::path(get, path = "/v1/events", params(After), responses((status = 200, body = Events), Failures))]
async fn events(
    State(api): State<Api>,
    Params(After { after, wait_ms }): Params<After>,
) -> Result<Json<Events>, Failure> {
    let wait_ms = wait_ms.min(Request::LONGEST_WAIT_MS);
    let request = Request::Events { after, wait_ms };
    let asked =
        if wait_ms == 0 { api.0.node.ask(request).await } else { api.0.node.ask_patiently(request).await };
    expect_reply!(asked?, Reply::Events).map(Json)
}

/// Events as they happen (server-sent events): each has an id to go on from with `Last-Event-ID`, its kind as event,
/// and its row as data. Those of the management process itself are among them.
#[utoipa::path(
    get,
    path = "/v1/events/stream",
    params(("Last-Event-ID" = Option<String>, Header, description = "Id of the last event seen")),
    responses((status = 200, body = String, content_type = "text/event-stream"), Failures)
)]
async fn stream(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let permit = api.0.followers.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Failure::busy("too many clients follow the events"))?;
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let position = seen.map_or_else(|| api.0.feed.end(), |id| api.0.feed.behind(id));
    let follower = Follower { api, caller, position, _permit: permit };
    let events = futures_util::stream::unfold(follower, Follower::step);
    // The follower makes its own comments, and looks at the certificate when it does.
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE * 4)))
}

struct Follower {
    api: Api,
    caller: Caller,
    position: u64,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    async fn step(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let mut stop = self.api.0.stop.clone();
        let event = tokio::select! {
            item = self.api.0.feed.next(self.position) => {
                self.position = item.position + 1;
                let data = Event::default().id(item.id()).event(&item.row.kind).json_data(&item.row);
                data.unwrap_or_else(|_| Event::default().comment("an event that cannot be shown"))
            }
            () = tokio::time::sleep(SILENCE) => Event::default().comment(""),
            () = told(&mut stop) => return None,
        };
        let objection = self.api.0.trust.load().objection(&self.caller.operator, SystemTime::now());
        objection.is_none().then_some((Ok(event), self))
    }
}

/// Events that were kept, the newest first, of the node and of the management process.
#[utoipa::path(
    get,
    path = "/v1/history/events",
    params(EventQuery),
    responses((status = 200, body = Vec<EventRow>), Failures)
)]
async fn past_events(
    State(api): State<Api>,
    Params(query): Params<EventQuery>,
) -> Result<Json<Vec<EventRow>>, Failure> {
    Ok(Json(api.0.store.events(EventQuery { limit: query.limit.min(10_000), ..query }).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Last {
    /// Most rows wanted, the newest ones.
    #[param(maximum = 10000)]
    limit: u32,
}

impl Default for Last {
    fn default() -> Self {
        Self { limit: 1000 }
    }
}

/// Who changed what, or looked at packets, the newest first.
#[utoipa::path(get, path = "/v1/audit", params(Last), responses((status = 200, body = Vec<AuditRow>), Failures))]
async fn audit(
    State(api): State<Api>,
    Params(Last { limit }): Params<Last>,
) -> Result<Json<Vec<AuditRow>>, Failure> {
    Ok(Json(api.0.store.audit_rows(limit.min(AUDIT)).await?))
}
