//! The random browsers of `web_programs`, at an application beside real agents.

#[path = "../../../tests/web/web_programs/front.rs"]
mod front;
#[path = "../../../tests/web/web_programs/program.rs"]
mod program;
#[path = "../../../tests/web/web_programs/shop.rs"]
mod shop;

use std::sync::Arc;

use front::App;
use program::{Program, Rules};
use serde_json::json;
use sessionmesh_testkit::Agent;
use shop::Shop;

/// The agent's answer tells the application, not the browser.
const AT_ONCE: Rules = Rules { no_grace: false, fills: false, logs_in_at_once: true, tickets_alone: false };

fn listed(agent: &Agent, user: &str) -> usize {
    let listed = agent.request("GET", &format!("/v1/principals/{user}/sessions"), &[], None);
    listed.body["sessions"].as_array().map_or(0, Vec::len)
}

async fn at_one_agent(programs: u64, rules: Rules) {
    let agent = Agent::start("a", &[]);
    agent.ready();
    let shop = Arc::new(Shop::new(agent, if rules.no_grace { 0 } else { 10_000 }));
    for seed in 0..programs {
        let program = Program::new(seed, vec![Arc::clone(&shop) as Arc<dyn App>], rules);
        program.run_on_one_node(40, |user| listed(&shop.agent, user)).await;
    }
}

#[tokio::test]
async fn at_one_agent_nothing_acknowledged_is_lost_and_nobody_is_shown_to_another() {
    at_one_agent(40, AT_ONCE).await;
}

#[tokio::test]
async fn at_one_agent_without_a_grace_what_is_replaced_shows_nothing() {
    at_one_agent(40, Rules { no_grace: true, ..AT_ONCE }).await;
}

#[tokio::test]
async fn at_three_agents_a_logout_is_one() {
    let shops: Vec<_> =
        Agent::three(&["--drill"]).into_iter().map(|agent| Arc::new(Shop::new(agent, 10_000))).collect();
    for seed in 0..20 {
        let apps = shops.iter().map(|shop| Arc::clone(shop) as Arc<dyn App>).collect();
        let mut program = Program::new(2_000 + seed, apps, AT_ONCE);
        for _ in 0..40 {
            program.step().await;
        }
        program.finish().await;
        agreed(&shops);
        program.what_ended_shows_nobody().await;
    }
}

/// Agents that are cut from each other now and then. The application signs its cookies, and vouches for them at a logout.
#[tokio::test]
async fn at_three_agents_across_cuts_a_logout_is_one_and_nobody_is_shown_to_another() {
    // A second copy, or an answer, that a cut keeps away is not long waited for.
    let args = ["--drill", "--set", "ack_timeout_ms=5", "--set", "ask_timeout_ms=100"];
    let shops: Vec<_> =
        Agent::three(&args).into_iter().map(|agent| Arc::new(Shop::new(agent, 10_000).vouching())).collect();
    for seed in 0..60 {
        let apps = shops.iter().map(|shop| Arc::clone(shop) as Arc<dyn App>).collect();
        let mut program = Program::new(3_000 + seed, apps, Rules { tickets_alone: true, ..AT_ONCE });
        for step in 0..40 {
            // Shorter than what makes a link die: who is cut off does not hear, and does not know it either.
            match step % 10 {
                3 => [1, 2].iter().for_each(|n| cut(&shops[step / 10 % 3], &shops[(step / 10 + n) % 3])),
                8 => shops.iter().for_each(|shop| drop(shop.agent.drill(&json!({ "heal_all": true })))),
                _ => {}
            }
            program.step().await;
        }
        program.finish().await;
        shops.iter().for_each(|shop| drop(shop.agent.drill(&json!({ "heal_all": true }))));
        agreed(&shops);
        program.what_ended_shows_nobody().await;
    }
}

fn cut(one: &Shop, other: &Shop) {
    let (a, b) = (&one.agent.node, &other.agent.node);
    for shop in [one, other] {
        let cut = shop.agent.drill(&json!({ "cut": [[a, b], [b, a]] }));
        assert_eq!(cut.status, 200, "{cut:?}");
    }
}

/// Waits until all agents hold the same, twice: what ended by what arrived is told with the next. That one of them can read
/// a session says nothing of the others' writes: it asks for what it lacks.
fn agreed(shops: &[Arc<Shop>]) {
    for shop in [shops, shops].concat() {
        let marker = shop.agent.create(&json!({}));
        sessionmesh_testkit::eventually("every agent holds the same", || {
            let dumps: Vec<_> = shops.iter().map(|shop| shop.agent.dump()).collect();
            let there = shops.iter().all(|shop| shop.agent.read(&marker).status == 200);
            (there && dumps.windows(2).all(|w| w[0] == w[1])).then_some(())
        });
    }
}
