//! `status`: what a running agent says of itself and its members.

use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use sessionmesh::{MemberInfo, Status};

use crate::client::{self, Answer, Target};
use crate::exit::{Exit, Failure};
use crate::which::WhichAgent;

/// How long an agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which agent to ask, and how to print.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Which agent.
    #[command(flatten)]
    pub agent: WhichAgent,
    /// Print the agent's JSON as it is.
    #[arg(long)]
    pub json: bool,
}

/// Asks and prints. The answer is the text for stdout and the exit code: 6 if the node is not ready.
///
/// # Errors
/// An agent that cannot be reached, or that refuses the token.
pub async fn run(args: &StatusArgs) -> Result<(String, Exit), Failure> {
    let (target, token) = args.agent.target()?;
    let answer = ask(&target, token.as_deref()).await?;
    let status: Status = serde_json::from_slice(&answer.body).map_err(|e| {
        Failure::new(Exit::NotReady, format!("{target}: is this an agent? Its status cannot be read: {e}"))
    })?;
    let exit = if status.serving == "ready" { Exit::Ok } else { Exit::NotReady };
    let text = if args.json { answer.text() + "\n" } else { table(&status) };
    Ok((text, exit))
}

async fn ask(target: &Target, token: Option<&str>) -> Result<Answer, Failure> {
    let mut request = Request::get("/v1/status").header("host", "localhost");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request
        .body(Full::new(Bytes::new()))
        .map_err(|_| Failure::usage("the token holds characters that cannot be sent in a header"))?;
    let answer =
        client::send(target, request, PATIENCE).await.map_err(|e| Failure::new(Exit::NotReady, e))?;
    match answer.status {
        StatusCode::OK => Ok(answer),
        StatusCode::UNAUTHORIZED => {
            Err(Failure::usage(format!("{target}: the agent refuses the token: {}", answer.text())))
        }
        other => Err(Failure::new(Exit::NotReady, format!("{target}: {other}: {}", answer.text()))),
    }
}

fn table(status: &Status) -> String {
    let mut out = format!("node {} of cluster {}: {}", status.node, status.cluster, status.serving);
    let number = |name: &str| status.numbers.get(name).copied().unwrap_or(0);
    // Writing to a string cannot fail.
    let _ = writeln!(out, " ({})", status.reason);
    let _ = writeln!(
        out,
        "sessions {}, tombstones {}, record bytes {}, backlog {}, unreplicated writes {}\n",
        number("sessions"),
        number("tombstones"),
        number("record_bytes"),
        number("backlog"),
        number("unreplicated_total"),
    );
    let (kept, drift) = (number("expired_retained") + number("expired_stubs"), number("refused_drift_total"));
    if kept > 0 {
        let missing: Vec<&str> =
            status.members.iter().filter(|m| m.state == "dead").map(|m| m.node.as_str()).collect();
        let whom = if missing.is_empty() { "the next rounds".into() } else { missing.join(", ") };
        let _ = writeln!(out, "expired sessions kept {kept}: their end waits for {whom}");
    }
    if drift > 0 {
        let _ = writeln!(out, "entries refused because a clock was too far ahead: {drift}");
    }
    let widest = status.members.iter().map(|m| m.node.len()).max().unwrap_or(0).max(4);
    let _ = writeln!(out, "{:widest$}  STATE    INC  RTT ms  LINKED  CLOCK ms  BACKLOG  ADDRESS", "NODE");
    for member in &status.members {
        let _ = writeln!(out, "{}", row(member, widest, member.node == status.node));
        if let Some(story) = story(member) {
            let _ = writeln!(out, "{:widest$}  {story}", "");
        }
    }
    if number("health_penalty") > 0 {
        let _ = writeln!(
            out,
            "this node doubts itself (health penalty {} of 8): its probes wait {} times as long",
            number("health_penalty"),
            number("health_penalty") + 1
        );
    }
    for refused in &status.refused {
        let how = if refused.dialled { "no link to" } else { "no link from" };
        let _ = writeln!(out, "{how} {} for {} s: {}", refused.addr, refused.for_ms / 1_000, refused.why);
    }
    for (seed, error) in &status.unresolved_seeds {
        let _ = writeln!(out, "seed {seed:?} does not resolve: {error}");
    }
    out
}

fn row(member: &MemberInfo, widest: usize, own: bool) -> String {
    let linked = match (own, member.linked) {
        (true, _) => "self",
        (false, true) => "yes",
        (false, false) => "no",
    };
    let rtt = member.rtt_ms.map_or("-".into(), |ms| format!("{ms:.1}"));
    format!(
        "{:widest$}  {:7}  {:3}  {rtt:>6}  {linked:6}  {:8}  {:7}  {}",
        member.node,
        member.state,
        member.incarnation,
        member.wall_offset_ms,
        member.backlog_partitions,
        member.addr
    )
}

/// What there is to say of a member that is not simply alive.
fn story(member: &MemberInfo) -> Option<String> {
    if member.state == "alive" {
        return None;
    }
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1_000.0);
    let mut story = format!("  for {}: {}", seconds(member.since_ms), member.why);
    if !member.accusers.is_empty() {
        story.push_str(&format!("; suspected by {}", member.accusers.join(", ")));
    }
    if let Some(ms) = member.dead_in_ms {
        story.push_str(&format!("; dead in {} unless it is heard of", seconds(ms)));
    }
    Some(story)
}
