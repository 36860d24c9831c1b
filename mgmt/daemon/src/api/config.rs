//! The configuration: what is in force, changes of it, and versions.

use axum::extract::State;
use axum::{Extension, Json};
use gridway_control::{ConfigState, ConfigText, InForce, Judgement, Proposal, Reply, Request, VersionRow};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::extract::{Changer, ConfigBody, MaybeBody, Number, Params};
use crate::api::failure::{Failure, Failures};
use crate::api::live::change;
use crate::api::turn::Turn;
use crate::api::{Api, expect_reply};
use crate::store::Action;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(in_force, apply))
        .routes(routes!(normalised))
        .routes(routes!(state))
        .routes(routes!(confirm))
        .routes(routes!(rollback))
        .routes(routes!(judge))
        .routes(routes!(versions))
        .routes(routes!(version))
}

/// The text that is in force, as it was given.
#[utoipa::path(get, path = "/v1/config", responses((status = 200, body = InForce), Failures))]
async fn in_force(State(api): State<Api>) -> Result<Json<InForce>, Failure> {
    expect_reply!(api.0.node.ask(Request::InForce).await?, Reply::InForce).map(Json)
}

/// Which configuration is in force, since when and by whom, and what awaits confirmation.
#[utoipa::path(get, path = "/v1/config/state", responses((status = 200, body = ConfigState), Failures))]
async fn state(State(api): State<Api>) -> Result<Json<ConfigState>, Failure> {
    expect_reply!(api.0.node.ask(Request::ConfigState).await?, Reply::ConfigState).map(Json)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Normalised {
    /// Show values that equal their default too.
    defaults: bool,
}

/// The configuration in force, as the node understood it.
#[utoipa::path(
    get,
    path = "/v1/config/normalised",
    params(Normalised),
    responses((status = 200, body = ConfigText), Failures)
)]
async fn normalised(
    State(api): State<Api>,
    Params(Normalised { defaults }): Params<Normalised>,
) -> Result<Json<ConfigText>, Failure> {
    expect_reply!(api.0.node.ask(Request::Config { defaults }).await?, Reply::Config).map(Json)
}

/// Puts a configuration into force. Operators only; who asks is taken from the certificate, whatever `by` says.
#[utoipa::path(
    post,
    path = "/v1/config",
    request_body = Proposal,
    responses((status = 200, body = ConfigState), Failures)
)]
async fn apply(
    State(api): State<Api>,
    changer: Changer,
    Extension(turn): Extension<Turn>,
    ConfigBody(proposal): ConfigBody<Proposal>,
) -> Result<Json<ConfigState>, Failure> {
    let detail = match proposal.confirm_within_s {
        Some(seconds) => format!("{} bytes, to be confirmed within {seconds} s", proposal.toml.len()),
        None => format!("{} bytes, for good", proposal.toml.len()),
    };
    let request = Request::Apply(Proposal { by: Some(changer.name.clone()), ..proposal });
    change_config(&api, changer, Action::ApplyConfig, detail, request, Some(turn)).await
}

/// Which change is kept or undone.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Meant {
    /// Digest of the configuration that is meant: refused while another one is in force.
    digest: Option<String>,
    /// As in a proposal: who asks is taken from the certificate, whatever it says.
    #[serde(rename = "by")]
    _by: Option<String>,
}

/// Keeps the change that awaits confirmation. Operators only.
#[utoipa::path(
    post,
    path = "/v1/config/confirm",
    request_body = Option<Meant>,
    responses((status = 200, body = ConfigState), Failures)
)]
async fn confirm(
    State(api): State<Api>,
    changer: Changer,
    MaybeBody(Meant { digest, .. }): MaybeBody<Meant>,
) -> Result<Json<ConfigState>, Failure> {
    let detail = digest.clone().unwrap_or_default();
    let request = Request::Confirm { digest, by: Some(changer.name.clone()) };
    change_config(&api, changer, Action::ConfirmConfig, detail, request, None).await
}

/// Undoes the change that awaits confirmation. Operators only.
#[utoipa::path(
    post,
    path = "/v1/config/rollback",
    request_body = Option<Meant>,
    responses((status = 200, body = ConfigState), Failures)
)]
async fn rollback(
    State(api): State<Api>,
    changer: Changer,
    MaybeBody(Meant { digest, .. }): MaybeBody<Meant>,
) -> Result<Json<ConfigState>, Failure> {
    let detail = digest.clone().unwrap_or_default();
    let request = Request::Rollback { digest, by: Some(changer.name.clone()) };
    change_config(&api, changer, Action::RollbackConfig, detail, request, None).await
}

async fn change_config(
    api: &Api,
    changer: Changer,
    action: Action,
    detail: String,
    request: Request,
    turn: Option<Turn>,
) -> Result<Json<ConfigState>, Failure> {
    let changed = api.0.changed.clone();
    change(api, changer, action, detail, request, move |reply| {
        // Its turn lasts as long as the change, also when the client has gone.
        let _turn = turn;
        let state = expect_reply!(reply, Reply::ConfigState)?;
        changed.notify_one();
        let words = format!("in force is {}, generation {}", state.digest, state.generation);
        Ok((Json(state), words))
    })
    .await
}

/// A configuration that nobody puts into force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Judged {
    /// The whole configuration (TOML).
    toml: String,
}

/// Judges a configuration and says what it would change; changes nothing.
#[utoipa::path(
    post,
    path = "/v1/config/judge",
    request_body = Judged,
    responses((status = 200, body = Judgement), Failures)
)]
async fn judge(
    State(api): State<Api>,
    ConfigBody(Judged { toml }): ConfigBody<Judged>,
) -> Result<Json<Judgement>, Failure> {
    expect_reply!(api.0.node.ask(Request::Judge { toml }).await?, Reply::Judgement).map(Json)
}

/// Versions that were in force, the newest first.
#[utoipa::path(get, path = "/v1/config/versions", responses((status = 200, body = Vec<VersionRow>), Failures))]
async fn versions(State(api): State<Api>) -> Result<Json<Vec<VersionRow>>, Failure> {
    Ok(Json(api.0.store.versions().await?))
}

/// The text of a version.
#[utoipa::path(
    get,
    path = "/v1/config/versions/{version}",
    params(("version" = u64, Path, description = "Number of the version")),
    responses((status = 200, body = ConfigText), Failures)
)]
async fn version(State(api): State<Api>, Number(version): Number) -> Result<Json<ConfigText>, Failure> {
    let text = api.0.store.version(version).await?;
    text.map(Json).ok_or_else(|| Failure::not_found(format!("there is no version {version}")))
}
