//! Requests by a stock client.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::Daemon;

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `kind` of a failure.
    pub(crate) fn kind(&self) -> String {
        self.json()["kind"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

impl Daemon {
    /// `curl` as `who`, of the operators' folder, with the API's address known by its name.
    pub(crate) fn curl(&self, who: &str) -> Command {
        let mut command = self.curl_without_certificate();
        command.arg("--cert").arg(self.path(&format!("pki/operators/{who}.crt")));
        command.arg("--key").arg(self.path(&format!("pki/operators/{who}.key")));
        command
    }

    pub(crate) fn curl_without_certificate(&self) -> Command {
        let mut command = Command::new("curl");
        let (ip, port) = (self.address.ip(), self.address.port());
        command.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]);
        command.arg(self.path("pki/ca.crt"));
        command.args(["--resolve", &format!("gw-a.lab.example:{port}:{ip}")]);
        command
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://gw-a.lab.example:{}{path}", self.address.port())
    }

    /// A request as `who`; `method` may have curl's further arguments behind it.
    pub(crate) fn request(&self, who: &str, method: &[&str], path: &str) -> Answer {
        let mut command = self.curl(who);
        command.arg("--include").arg("--request").args(method).arg(self.url(path));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{method:?} {path}: {output:?}\n{}", self.log());
        let text = String::from_utf8(output.stdout).unwrap();
        // A response of its own says that the body may come.
        let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn get(&self, who: &str, path: &str) -> Answer {
        self.request(who, &["GET"], path)
    }

    pub(crate) fn delete(&self, who: &str, path: &str) -> Answer {
        self.request(who, &["DELETE"], path)
    }

    pub(crate) fn post(&self, who: &str, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.request(who, &["POST", "--header", "content-type: application/json", "--data", &body], path)
    }

    /// Whether a connection of `curl` comes to nothing, without any response.
    pub(crate) fn refuses(&self, mut curl: Command) -> Output {
        let output = curl.arg(self.url("/v1/status")).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        output
    }
}
