//! Requests as calls of the management API.

use gridway_control::Request;
use serde_json::{Map, Value};

/// HTTP methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Delete,
}

/// A call. The fields of the request are its query, or the body of a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    /// Tag of the reply whose value the answer is; of a list the tags stand in its rows.
    pub(super) reply: &'static str,
}

impl Call {
    /// The calls that make up one request: one, or one for each session to end.
    pub(super) fn of(request: &Request) -> Vec<Self> {
        match request {
            Request::KillSessions { ids } => {
                let one = |id| Self::plain(Method::Delete, format!("/v1/sessions/{id}"), "killed");
                ids.iter().map(one).collect()
            }
            _ => {
                let (method, path, reply) = place(request);
                let mut fields = fields(request);
                let mut call = Self::plain(method, path, reply);
                match method {
                    Method::Post => call.body = Some(Value::Object(fields).to_string().into_bytes()),
                    Method::Get | Method::Delete => {
                        if let Some(Value::Object(filter)) = fields.remove("filter") {
                            if method == Method::Delete && filter.is_empty() {
                                call.query.push(("all".to_owned(), "true".to_owned()));
                            }
                            call.query.extend(pairs(filter));
                        }
                        // The version is in the path.
                        fields.remove("version");
                        call.query.extend(pairs(fields));
                    }
                }
                vec![call]
            }
        }
    }

    fn plain(method: Method, path: String, reply: &'static str) -> Self {
        Self { method, path, query: Vec::new(), body: None, reply }
    }
}

/// Method and path of a request, and the tag of its reply.
fn place(request: &Request) -> (Method, String, &'static str) {
    use Method::{Delete, Get, Post};
    let (method, path, reply) = match request {
        Request::Status => (Get, "status", "status"),
        Request::Peers => (Get, "peers", "peers"),
        Request::Routes => (Get, "routes", "routes"),
        Request::Flows { .. } => (Get, "flows", "flows"),
        Request::KillFlows { .. } => (Delete, "flows", "killed"),
        Request::Sessions { .. } => (Get, "sessions", "sessions"),
        Request::KillSessions { .. } => (Delete, "sessions", "killed"),
        Request::Connectors => (Get, "connectors", "connectors"),
        Request::Services => (Get, "services", "services"),
        Request::Counters => (Get, "counters", "counters"),
        Request::Nat => (Get, "nat", "nat"),
        Request::Acl => (Get, "acl", "acl"),
        Request::Config { .. } => (Get, "config/normalised", "config"),
        Request::Limits => (Get, "limits", "limits"),
        Request::Connections => (Get, "connections", "connections"),
        Request::Apply(_) => (Post, "config", "config_state"),
        Request::Confirm { .. } => (Post, "config/confirm", "config_state"),
        Request::Rollback { .. } => (Post, "config/rollback", "config_state"),
        Request::Judge { .. } => (Post, "config/judge", "judgement"),
        Request::ConfigState => (Get, "config/state", "config_state"),
        Request::InForce => (Get, "config", "in_force"),
        Request::Events { .. } => (Get, "events", "events"),
        Request::Simulate(_) => (Post, "simulate", "trace"),
        Request::Trace { .. } => (Post, "trace", "trace"),
        Request::Capture { .. } => (Post, "capture", "captured"),
        Request::Ping { .. } => (Post, "ping", "ping"),
        Request::History => (Get, "config/versions", "history"),
        Request::Version { version } => {
            return (Get, format!("/v1/config/versions/{version}"), "version");
        }
    };
    (method, format!("/v1/{path}"), reply)
}

/// The fields of a request, without its own name.
fn fields(request: &Request) -> Map<String, Value> {
    let value = serde_json::to_value(request).expect("a request has a JSON form");
    let Value::Object(mut fields) = value else { unreachable!("a request is an object") };
    fields.remove("request");
    fields
}

/// Fields as texts.
fn pairs(fields: Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    fields.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridway_control::{FlowFilter, PacketFilter, Proposal};

    fn one(request: &Request) -> Call {
        let calls = Call::of(request);
        assert_eq!(calls.len(), 1);
        calls[0].clone()
    }

    #[test]
    fn filters_become_a_query() {
        let filter =
            FlowFilter { src: Some("10.1.0.2".parse().unwrap()), proto: Some(6), ..FlowFilter::default() };
        let call = one(&Request::Flows { filter: filter.clone(), limit: 7 });
        assert_eq!((call.method, call.path.as_str(), call.reply), (Method::Get, "/v1/flows", "flows"));
        let pairs = |call: &Call| -> Vec<String> {
            let mut pairs: Vec<String> =
                call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.sort_unstable();
            pairs
        };
        assert_eq!(pairs(&call), ["limit=7", "proto=6", "src=10.1.0.2"]);
        let call = one(&Request::KillFlows { filter });
        assert_eq!(
            (call.method, pairs(&call)),
            (Method::Delete, vec!["proto=6".into(), "src=10.1.0.2".into()])
        );
        let call = one(&Request::KillFlows { filter: FlowFilter::default() });
        assert_eq!(pairs(&call), ["all=true"]);
        let call = one(&Request::Events { after: 5, wait_ms: 8000 });
        assert_eq!(pairs(&call), ["after=5", "wait_ms=8000"]);
    }

    #[test]
    fn what_is_posted_has_the_fields_of_the_request() {
        let proposal =
            Proposal { toml: "x".into(), confirm_within_s: Some(60), base: Some("00ff".into()), by: None };
        let call = one(&Request::Apply(proposal));
        assert_eq!((call.method, call.path.as_str()), (Method::Post, "/v1/config"));
        let body: Value = serde_json::from_slice(&call.body.unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({"toml": "x", "confirm_within_s": 60, "base": "00ff"}));
        assert!(call.query.is_empty());
        let call = one(&Request::Confirm { digest: None, by: None });
        assert_eq!((call.path.as_str(), call.body.unwrap().as_slice()), ("/v1/config/confirm", &b"{}"[..]));
        let filter = PacketFilter { vnet: Some("corp".into()), ..PacketFilter::default() };
        let call = one(&Request::Trace { filter, count: 10, wait_ms: 1000 });
        let body: Value = serde_json::from_slice(&call.body.unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({"filter": {"vnet": "corp"}, "count": 10, "wait_ms": 1000}));
    }

    #[test]
    fn sessions_are_ended_one_by_one_and_versions_named_in_the_path() {
        let calls = Call::of(&Request::KillSessions { ids: vec![7, 9] });
        let paths: Vec<&str> = calls.iter().map(|call| call.path.as_str()).collect();
        assert_eq!(paths, ["/v1/sessions/7", "/v1/sessions/9"]);
        let call = one(&Request::Version { version: 3 });
        assert_eq!((call.path.as_str(), call.query.len()), ("/v1/config/versions/3", 0));
    }
}
