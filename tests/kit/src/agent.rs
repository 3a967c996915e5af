//! An agent process and how to start it.

use std::process::Command;

use serde_json::Value;

use super::child::{Child, Stream};
use super::eventually;
use super::http::{Answer, Target};

/// How to start an agent. Ports are free ones unless told otherwise.
pub struct Launch {
    node: String,
    prefix: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Launch {
    /// Words before the command, such as `ip netns exec left`.
    pub fn prefix(mut self, words: &[&str]) -> Self {
        self.prefix.extend(words.iter().map(|w| (*w).to_owned()));
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Members to join.
    pub fn seeds<'a>(mut self, agents: impl IntoIterator<Item = &'a Agent>) -> Self {
        for agent in agents {
            self = self.args(["--seed", &agent.mesh]);
        }
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts the process only: for agents that are to refuse.
    pub fn spawn(&self) -> Child {
        let binary = super::binary().display().to_string();
        let words: Vec<String> = self.prefix.iter().cloned().chain([binary]).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(&self.args);
        forget_settings(&mut command).envs(self.env.iter().cloned());
        Child::spawn(&self.node, &mut command)
    }

    /// Starts the agent and waits until it has bound its ports.
    pub fn start(self) -> Agent {
        let child = self.spawn();
        let started = event(&child, "started");
        let text = |key: &str| started[key].as_str().unwrap_or_default().to_owned();
        let (mesh, http, drill_token) = (text("mesh"), Target::parse(&text("http")), text("drill_token"));
        Agent { child, node: self.node, mesh, http, drill_token, token: None }
    }
}

/// The test's own environment must not configure the children.
pub fn forget_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SESSIONMESH_") {
            command.env_remove(name);
        }
    }
    command
}

fn event(child: &Child, name: &str) -> Value {
    child.line(name, |stream, line| {
        let event: Value = serde_json::from_str(line).ok()?;
        (stream == Stream::Out && event["event"] == name).then_some(event)
    })
}

/// A running agent.
pub struct Agent {
    /// Its process.
    pub child: Child,
    /// Its name.
    pub node: String,
    /// Its mesh address.
    pub mesh: String,
    /// Its API.
    pub http: Target,
    /// What guards its drill controls, if it was started with them.
    pub drill_token: String,
    /// The bearer token to send.
    pub token: Option<String>,
}

impl Agent {
    /// An agent on free ports of loopback that gossips fast and dies with the test.
    pub fn launch(node: &str) -> Launch {
        let args = ["agent", "--exit-with-parent", "--node", node, "--set", "gossip_interval_ms=100"];
        let launch = Launch { node: node.into(), prefix: vec![], args: vec![], env: vec![] };
        launch.args(args).env("SESSIONMESH_HTTP_LISTEN", "127.0.0.1:0")
    }

    /// Two agents that are linked to each other and serve.
    pub fn two(args: &[&str]) -> [Self; 2] {
        let a = Self::start("a", args);
        let b = Self::launch("b").args(args).seeds([&a]).start();
        a.ready();
        b.ready();
        a.linked_to(&[&b]);
        b.linked_to(&[&a]);
        [a, b]
    }

    /// Three agents that are linked to each other and serve.
    pub fn three(args: &[&str]) -> [Self; 3] {
        let a = Self::start("a", args);
        let b = Self::launch("b").args(args).seeds([&a]).start();
        let c = Self::launch("c").args(args).seeds([&a]).start();
        for agent in [&a, &b, &c] {
            agent.ready();
        }
        a.linked_to(&[&b, &c]);
        b.linked_to(&[&a, &c]);
        c.linked_to(&[&a, &b]);
        [a, b, c]
    }

    /// Starts one with more arguments.
    pub fn start(node: &str, args: &[&str]) -> Self {
        Self::launch(node).args(args).start()
    }

    /// Waits until it serves, and says why it does.
    pub fn ready(&self) -> String {
        event(&self.child, "ready")["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Sends a request; a body goes as JSON. Fails the test if there is no answer.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut all = headers.to_vec();
        let says_json = body.is_some() || method == "POST";
        all.extend(says_json.then_some(("content-type", "application/json")));
        all.extend(bearer.as_deref().map(|b| ("authorization", b)));
        self.http
            .request(method, path, &all, bytes.as_bytes())
            .unwrap_or_else(|e| panic!("{}: {method} {path}: {e}", self.node))
    }

    /// Creates a session that slides half an hour, and gives its ticket.
    pub fn create(&self, fields: &Value) -> String {
        let body = serde_json::json!({ "expiry": { "sliding_ms": 1_800_000 }, "fields": fields });
        let answer = self.request("POST", "/v1/sessions", &[], Some(&body));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["ticket"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    /// Reads a session.
    pub fn read(&self, ticket: &str) -> Answer {
        self.request("GET", "/v1/session", &[("session-ticket", ticket)], None)
    }

    /// Changes a session.
    pub fn patch(&self, ticket: &str, change: &Value) -> Answer {
        self.request("PATCH", "/v1/session", &[("session-ticket", ticket)], Some(change))
    }

    /// Ends a session.
    pub fn end(&self, ticket: &str) -> Answer {
        self.request("DELETE", "/v1/session", &[("session-ticket", ticket)], None)
    }

    /// What it says of itself.
    pub fn status(&self) -> Value {
        self.request("GET", "/v1/status", &[], None).body
    }

    /// Changes its drill rules.
    pub fn drill(&self, rules: &Value) -> Answer {
        self.request("POST", "/drill/rules", &[("drill-token", &self.drill_token)], Some(rules))
    }

    /// Everything it holds.
    pub fn dump(&self) -> Value {
        let answer = self.request("GET", "/drill/dump", &[("drill-token", &self.drill_token)], None);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Waits until it is linked to all of these members.
    pub fn linked_to(&self, others: &[&Self]) {
        eventually(&format!("{}: linked", self.node), || {
            let status = self.status();
            let linked = |node: &str| {
                let members = status["members"].as_array()?;
                members.iter().find(|m| m["node"] == node && m["linked"] == true && m["state"] == "alive")
            };
            others.iter().all(|other| linked(&other.node).is_some()).then_some(())
        });
    }
}
