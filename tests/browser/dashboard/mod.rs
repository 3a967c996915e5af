//! The dashboard's page in a browser, against a real mesh of five: the cut read from it by name, the heal, a session
//! found by its hash with who wrote each field, and the node it talks to lost and found again. Pictures of it are left
//! in `target/screenshots`.

mod site;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sessionmesh::{Expiry, SessionId};

use crate::meshes::{CEILING, value_everywhere};
use sessionmesh_testkit::browser::{Browser, Page};
use site::{Site, relay};

/// Widths of a phone, a laptop and a wall screen, with a height each (CSS pixels).
const WINDOWS: [(u32, u32); 3] = [(360, 740), (1_280, 1_000), (2_560, 1_440)];

const CONVERGED: &str = "document.querySelector('#verdict').dataset.word === 'converged' && \
                         document.querySelector('#split-banner').hidden && \
                         document.querySelectorAll('#islands-list .island').length === 1";
const SPLIT: &str = "!document.querySelector('#split-banner').hidden && \
                     document.querySelector('#verdict-word').textContent === 'split 2|3'";
/// The names on each side of the red banner, this node's side first.
const SIDES: &str = "[...document.querySelectorAll('#split-sides .side')]\
                     .map(side => [...side.querySelectorAll('[data-node]')].map(node => node.dataset.node))";
const DEAD: &str =
    "[...document.querySelectorAll('#mesh-graph [data-state=dead]')].map(node => node.dataset.node)";
const GIVEN_UP: &str = "[...document.querySelectorAll('#accusations li')]\
                        .flatMap(one => / \\(dead.*\\): ./.test(one.textContent) ? one.dataset.accused.split(' ') : []).sort()";
/// The node that wrote each field shown, by field.
const WRITERS: &str = "Object.fromEntries([...document.querySelectorAll('#session-fields tbody tr')]\
                       .map(row => [row.dataset.key, row.querySelector('[data-column=writer] .stamp').dataset.writer]))";
const SHOWN: &str =
    "document.querySelectorAll('#session-fields td[data-column=value] [data-value=shown]').length";

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Pictures at every width in both schemes: the whole page, and of the laptop's also what is seen at first.
async fn pictures(page: &Page, what: &str) {
    for scheme in ["light", "dark"] {
        for (width, height) in WINDOWS {
            page.look(width, height, scheme).await;
            // Not against `innerWidth`: a phone's grows with what does not fit.
            let needed = page.eval("document.documentElement.scrollWidth").await;
            assert!(needed.as_u64().unwrap() <= u64::from(width), "{what} needs {needed} pixels of {width}");
            page.screenshot(&folder().join(format!("{what}-{width}-{scheme}.png")), true).await;
            if width == 1_280 {
                page.screenshot(&folder().join(format!("{what}-first-{scheme}.png")), false).await;
            }
        }
    }
    page.look(1_280, 1_000, "light").await;
}

fn quiet_and_at_home(page: &Page, origin: &str) {
    assert_eq!(page.complaints(), Vec::<String>::new(), "the console");
    let requests = page.requests();
    assert!(requests.len() > 10, "the page, its modules and the API are asked for: {requests:?}");
    let left: Vec<&String> =
        requests.iter().filter(|url| !url.starts_with(origin) && !url.starts_with("data:")).collect();
    assert!(left.is_empty(), "these left {origin}: {left:?}");
}

/// A session whose fields `user` and `cart` are of a and d.
async fn session(site: &Site) -> SessionId {
    let [a, .., d, _] = &site.meshes;
    let id = a.sessions().create(Expiry::sliding(CEILING * 10), |s| s.set("user", "ada")).unwrap().id();
    value_everywhere(&site.meshes, id, "user", Some("ada")).await;
    d.sessions().edit(&id, |s| s.set("cart", "tea")).unwrap();
    value_everywhere(&site.meshes, id, "cart", Some("tea")).await;
    id
}

/// Who wins where both sides of the cut wrote, told by the nodes, which do not know the page; and the node of the side
/// that lost, where both writes met. (The winner's side may never hear of the loser.)
async fn winner(site: &Site, id: SessionId) -> (&'static str, usize) {
    let (west, east) = site.meshes.split_at(2);
    tokio::select! {
        () = value_everywhere(west, id, "note", Some("east")) => ("c", 0),
        () = value_everywhere(east, id, "note", Some("west")) => ("b", 2),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_its_heal_and_who_wrote_a_session_are_read_from_the_page() {
    let Some(browser) = Browser::start().await else { return };
    let site = Site::start("shop", true).await;
    let page = browser.open(&site.url(0)).await;
    page.until("converged", CONVERGED).await;
    assert_eq!(page.text("#view-node").await, "a", "whose view it is");
    let id = session(&site).await;

    site.cut(&["a", "b"], &["c", "d", "e"]);
    page.until("the banner", SPLIT).await;
    assert_eq!(page.eval(SIDES).await, json!([["a", "b"], ["c", "d", "e"]]));
    let far = browser.open(&site.url(2)).await;
    far.until(
        "the banner of the other side",
        "!document.querySelector('#split-banner').hidden && \
        document.querySelector('#verdict-word').textContent === 'split 3|2'",
    )
    .await;
    assert_eq!(far.eval(SIDES).await, json!([["c", "d", "e"], ["a", "b"]]));
    page.bring_to_front().await;
    assert_eq!(page.eval(DEAD).await, json!(["c", "d", "e"]), "crossed out in the graph");
    assert_eq!(page.eval(GIVEN_UP).await, json!(["c", "d", "e"]), "listed with the cause");
    site.meshes[1].sessions().edit(&id, |s| s.set("note", "west")).unwrap();
    site.meshes[2].sessions().edit(&id, |s| s.set("note", "east")).unwrap();
    pictures(&page, "split").await;

    site.drill.heal_all();
    page.until("converged again", CONVERGED).await;
    let (writer, met) = winner(&site, id).await;
    let there = if met == 0 { &page } else { &far };
    there.bring_to_front().await;
    there.until("the conflict of both sides", "document.querySelector('#conflicts-table tbody tr')").await;
    inspected(there, &site, id, json!({ "user": "a", "cart": "d", "note": writer })).await;
    let told = there.text("#session").await;
    assert!(!told.contains("west") && !told.contains("east"), "values are hidden until asked for: {told}");
    there.click("#session-values").await;
    there.until("three values", &format!("{SHOWN} === 3")).await;
    let told = there.text("#session-fields").await;
    assert!(told.contains("\"west\"") && told.contains("\"east\""), "the value and what it beat: {told}");
    pictures(there, "session").await;
    found_by_its_id(there, &site, id).await;
    quiet_and_at_home(&page, &site.origin(0));
    quiet_and_at_home(&far, &site.origin(2));
    browser.close().await;
}

/// Finds the session by what a browser has of it, which the page then holds no more.
async fn found_by_its_id(page: &Page, site: &Site, id: SessionId) {
    let name = site.meshes[0].sessions().log_name(&id);
    page.eval("location.hash = '#sessions'").await;
    page.until("it is closed", "document.querySelector('#session').hidden").await;
    page.enter("#session-known", &id.to_text()).await;
    let shown = format!("document.querySelector('#session[data-hash=\"{}\"]:not([hidden])')", &name[1..]);
    page.until("the session of this id", &shown).await;
    let held = page
        .eval("document.querySelector('#session-known').value + location.href + document.body.textContent")
        .await;
    assert!(!held.to_string().contains(&id.to_text()), "the id is on the page");
}

/// Finds the session by its hash and reads who wrote its fields, here and on every peer.
async fn inspected(page: &Page, site: &Site, id: SessionId, writers: Value) {
    let name = site.meshes[0].sessions().log_name(&id);
    let hash = name.trim_start_matches('#');
    page.enter("#session-prefix", &name).await;
    page.until(
        "the session",
        &format!("document.querySelector('#session[data-hash=\"{hash}\"] #session-fields')"),
    )
    .await;
    assert_eq!(page.eval(WRITERS).await, writers);
    page.click("#session-ask").await;
    let answers = "(() => { const all = [...document.querySelectorAll('#session-peers .answer')]; \
                   return all.length === 4 && all.map(answer => answer.className) })()";
    let said = page.until("every peer's answer", answers).await;
    assert_eq!(said, json!(vec!["answer same"; 4]), "every peer has the same");
}

/// The arcs of suspicion that the graph draws of the contract's example. (In a real cut they are there for a second.)
async fn arcs(page: &Page) -> Value {
    let contract: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let example = |part: &str| {
        let answer = &contract["paths"][format!("/api/v1/{part}")]["get"]["responses"]["200"];
        answer["content"]["application/json"]["example"].clone()
    };
    let parts = json!({ "members": example("members"), "partitions": example("partitions") });
    let drawn = format!(
        "import(new URL('graph.js', document.baseURI)).then(made => {{ \
         const card = document.createElement('section'); made.graph(card)({parts}); \
         return [...card.querySelectorAll('.accuses')].map(arc => arc.dataset.accuser + '>' + arc.dataset.accused) }})"
    );
    page.eval(&drawn).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_when_it_has_lost_its_node_and_finds_it_again() {
    let Some(browser) = Browser::start().await else { return };
    let site = Site::start("lost", false).await;
    let (way, address) = relay(site.addr(0), None).await;
    let page = browser.open(&format!("http://{address}/dashboard/")).await;
    page.until("converged", CONVERGED).await;
    assert!(
        page.eval("document.querySelector('#session-values').disabled").await.as_bool().unwrap(),
        "no permission"
    );

    assert_eq!(arcs(&page).await, json!(["a>c", "b>c", "a>d", "b>d", "a>e", "b>e"]));

    drop(way);
    page.until("lost", "document.querySelector('#verdict').dataset.word === 'lost'").await;
    assert_eq!(page.text("#verdict-word").await, "lost a");
    assert!(page.text("#lost-banner").await.contains("This page has lost a"));
    page.until("its age", "/ said .* s ago/.test(document.querySelector('#stale').textContent)").await;
    pictures(&page, "lost").await;

    let (_way, _) = relay(site.addr(0), Some(address)).await;
    page.click("#lost-now").await;
    page.until("converged again", CONVERGED).await;
    page.until("no banner", "document.querySelector('#lost-banner').hidden").await;
    browser.close().await;
}
