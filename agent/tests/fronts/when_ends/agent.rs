//! The agent: what it answers as the deadline, for `POST` and `PATCH`.

use serde_json::{Value, json};

use super::held_to_the_table;
use super::kit::{Ask, DAY_MS, Ends, told};
use sessionmesh_testkit::{Agent, Answer};

/// As a client says it. A date at the end of time is one that a client can write.
fn body(ask: Ask, now_ms: u64) -> Value {
    let mut body = json!({});
    match ask.ends {
        Some(Ends::Idle(idle)) => {
            body["expiry"] = json!({ "sliding_ms": u64::try_from(idle.as_millis()).unwrap_or(u64::MAX) });
        }
        Some(Ends::At(in_ms)) => body["expiry"] = json!({ "at_ms": now_ms.saturating_add_signed(in_ms) }),
        Some(Ends::EndOfTime) => body["expiry"] = json!({ "at_ms": u64::MAX }),
        Some(Ends::Never) => body["expiry"] = json!({ "sliding_ms": u64::MAX }),
        None => {}
    }
    if let Some(life) = ask.at_most {
        body["at_most_ms"] = json!(u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
    }
    body
}

fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("in range")
}

/// The deadline in words, and what a read says.
fn shown(agent: &Agent, id: Option<&str>, answer: &Answer) -> (String, Option<u64>) {
    let id = answer.body["ticket"].as_str().or(id).unwrap_or_default().to_owned();
    match answer.status {
        200 | 201 => {
            let deadline_ms = answer.body["deadline_ms"].as_u64().expect("a deadline");
            assert_eq!(agent.read(&id).body["deadline_ms"], deadline_ms, "what is answered is what holds");
            (told(deadline_ms - wall_ms()), Some(deadline_ms))
        }
        422 => {
            assert_eq!(answer.body["error"], "expired_deadline", "{answer:?}");
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            assert!(
                detail.contains("expiry.") || detail.contains("at_most_ms"),
                "names the culprit: {detail}"
            );
            ("refused".into(), None)
        }
        _ => (format!("{answer:?}"), None),
    }
}

#[test]
fn the_agent_means_what_the_table_says() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    // A deadline does not tell what moves it: the table's words up to there.
    let cut = |case: &super::kit::Case| {
        let mut new = body(case.then, wall_ms());
        if new["expiry"].is_null() {
            new["expiry"] = json!({ "sliding_ms": 1_800_000 });
        }
        let new = agent.request("POST", "/v1/sessions", &[], Some(&new));
        let edited = json!({ "expiry": { "sliding_ms": 1_800_000 }, "at_most_ms": DAY_MS });
        let edited = agent.request("POST", "/v1/sessions", &[], Some(&edited));
        let id = edited.body["ticket"].as_str().expect("created").to_owned();
        if let Some(first) = case.first {
            assert_eq!(agent.patch(&id, &body(first, wall_ms())).status, 200);
        }
        let patch = agent.patch(&id, &body(case.then, wall_ms()));
        let new = if case.first.is_some() { "-".into() } else { shown(&agent, None, &new).0 };
        [new, shown(&agent, Some(&id), &patch).0]
    };
    let table = super::table();
    held_to_the_table("agent", [0, 1], |case| {
        let told = &table[case.asked];
        let shown = cut(case);
        // "10 min" stands for "10 min idle, 1 day at most".
        let spelled = |shown: &str, told: &str| {
            let fits = told == shown || told.split_once(" idle, ").is_some_and(|(soft, _)| soft == shown);
            if fits { told.to_owned() } else { shown.to_owned() }
        };
        [spelled(&shown[0], &told[0]), spelled(&shown[1], &told[1])]
    });
}
