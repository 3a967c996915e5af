//! `forget`: an operator tells a running agent that a missing member will not return.

use std::time::Duration;

use clap::Args;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};

use crate::client;
use crate::exit::{Exit, Failure};
use crate::which::WhichAgent;

/// How long an agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom, and which agent to tell.
#[derive(Args, Clone, Debug)]
pub struct ForgetArgs {
    /// The member's name, or the first eight or more digits of its life's.
    pub node: String,
    /// Which agent.
    #[command(flatten)]
    pub agent: WhichAgent,
}

/// Tells the agent. The answer is the text for stdout.
///
/// # Errors
/// An agent that cannot be reached, or that refuses.
pub async fn run(args: &ForgetArgs) -> Result<(String, Exit), Failure> {
    let (target, token) = args.agent.target()?;
    let path = format!("/v1/members/{}/forget", encoded(&args.node));
    let mut request =
        Request::post(path).header("host", "localhost").header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request
        .body(Full::new(Bytes::from_static(b"{}")))
        .map_err(|_| Failure::usage("the token holds characters that cannot be sent in a header"))?;
    let answer =
        client::send(&target, request, PATIENCE).await.map_err(|e| Failure::new(Exit::NotReady, e))?;
    match answer.status {
        StatusCode::OK => {
            let text = format!(
                "{} is forgotten: nothing waits for it. Should it return, it goes on under a new life.\n",
                args.node
            );
            Ok((text, Exit::Ok))
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Err(Failure::new(Exit::NotReady, format!("{target}: {}", answer.text())))
        }
        other => Err(Failure::usage(format!("{target}: {other}: {}", answer.text()))),
    }
}

/// A name as one segment of a path.
fn encoded(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(encoded("web-1.a"), "web-1.a");
        assert_eq!(encoded("a b/\u{fc}"), "a%20b%2F%C3%BC");
    }
}
