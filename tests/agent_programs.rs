//! The random browsers of `web_programs`, at an application beside real agents.

#[path = "common/mod.rs"]
mod common;
#[path = "web_programs/front.rs"]
mod front;
#[path = "axum_layer/kit.rs"]
mod kit;
#[path = "web_programs/program.rs"]
mod program;
#[path = "web_programs/shop.rs"]
mod shop;

use std::sync::Arc;

use common::Agent;
use front::App;
use program::{Program, Rules};
use shop::Shop;

/// The agent's answer tells the application, not the browser.
const AT_ONCE: Rules = Rules { no_grace: false, fills: false, logs_in_at_once: true };

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
        Agent::three(&[]).into_iter().map(|agent| Arc::new(Shop::new(agent, 10_000))).collect();
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

/// Waits until every agent reads what each of them wrote last, twice: what ended by what arrived is told with the next.
fn agreed(shops: &[Arc<Shop>]) {
    for shop in [shops, shops].concat() {
        let marker = shop.agent.create(&serde_json::json!({}));
        for other in shops {
            common::eventually("every agent has it", || {
                (other.agent.read(&marker).status == 200).then_some(())
            });
        }
    }
}
