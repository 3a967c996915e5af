//! Two linked nodes with an application each, a balancer before them, and a browser with two tabs of one jar.

use std::collections::BTreeMap;

use axum::response::Html;
use axum::routing::get;
use serde_json::Value;
use sessionmesh::mesh::Standing;
use sessionmesh::transport::Drill;
use sessionmesh::web::axum::SessionLayer;
use sessionmesh::{Found, Mesh, SessionId};
use tokio::net::TcpListener;

use super::balancer::Balancer;
use crate::kit::{self, Client, everywhere, id_of_cookie, key_of_cookie, pair_with};
use sessionmesh_testkit::browser::{Browser, Page};

pub struct Site {
    pub meshes: [Mesh; 2],
    /// Clients of the same applications, which hold no cookie.
    pub apps: [Client; 2],
    pub drill: Drill,
    pub browser: Browser,
    pub tabs: [Page; 2],
    balancer: Balancer,
}

impl Site {
    /// `None` without a browser.
    pub async fn start(cluster: &str, layer: impl Fn(SessionLayer) -> SessionLayer) -> Option<Self> {
        let browser = Browser::start().await?;
        let drill = Drill::new(1);
        let with = |b: sessionmesh::Builder| {
            b.drill(drill.clone()).ack_timeout(std::time::Duration::from_millis(200))
        };
        let meshes = pair_with(cluster, with).await;
        let apps = meshes.each_ref().map(|mesh| kit::app(mesh, &layer));
        let mut nodes = Vec::new();
        for (mesh, app) in meshes.iter().zip(&apps) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            nodes.push((mesh.node().to_owned(), listener.local_addr().unwrap()));
            let page = get(|| async { Html("<!doctype html><title>shop</title>") });
            let service = app.router().route("/", page);
            tokio::spawn(async move { axum::serve(listener, service).await });
        }
        let balancer = Balancer::start(nodes).await;
        let tabs = [browser.open(&balancer.origin).await, browser.open(&balancer.origin).await];
        Some(Self { meshes, apps, drill, browser, tabs, balancer })
    }

    /// The jar's cookie, as a request sends it, and when it ends (seconds since the epoch), if it outlives the browser.
    pub async fn jar(&self) -> Option<(String, Option<f64>)> {
        let jar = self.browser.cookies().await;
        assert!(jar.len() <= 1, "one cookie: {jar:?}");
        let cookie = jar.first()?;
        let ends_s = cookie["expires"].as_f64().filter(|s| *s > 0.0);
        Some((format!("session={}", cookie["value"].as_str()?), ends_s))
    }

    pub async fn cookie(&self) -> String {
        self.jar().await.expect("a cookie").0
    }

    /// The session that the jar's cookie names.
    pub async fn session(&self) -> SessionId {
        id_of_cookie(&self.cookie().await)
    }

    /// Waits until both nodes have a session.
    pub async fn there(&self, id: SessionId) {
        everywhere(&self.meshes, id, "there", |found| matches!(found, Found::Session(_))).await;
    }

    /// Waits until both nodes know that all sessions of these cookies have ended.
    pub async fn gone(&self, cookies: &[String]) {
        for cookie in cookies {
            let gone = |found: &Found| matches!(found, Found::Absent);
            everywhere(&self.meshes, id_of_cookie(cookie), "gone", gone).await;
        }
    }

    /// Waits until both nodes know that this cookie is the client's no more.
    pub async fn superseded(&self, cookie: &str) {
        let (key, sessions) = (key_of_cookie(cookie), self.meshes[0].sessions());
        let over = |found: &Found| match found {
            Found::Session(s) => sessions.standing(s, &key) != Standing::Holder,
            _ => false,
        };
        everywhere(&self.meshes, id_of_cookie(cookie), "superseded", over).await;
    }

    /// Who each tab is on each node, and who each cookie is that ever was set, on each node.
    pub async fn everybody(&self) -> BTreeMap<String, Vec<String>> {
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (n, tab) in self.tabs.iter().enumerate() {
            for node in ["a", "b"] {
                let whose = get_in(tab, &format!("/{node}/whose")).await;
                seen.entry(whose).or_default().push(format!("tab {n} on {node}"));
            }
        }
        for (n, cookie) in self.balancer.cookies().iter().enumerate() {
            for app in &self.apps {
                let whose = app.cookie(cookie).get("/whose").await.body;
                seen.entry(whose).or_default().push(format!("cookie {n}"));
            }
        }
        seen
    }

    /// Fails unless nobody is logged in, by whatever was ever set.
    pub async fn nobody_is_logged_in(&self) {
        let seen = self.everybody().await;
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["nobody"], "{seen:?}");
    }

    /// The cookies that answers have set so far.
    pub fn cookies(&self) -> Vec<String> {
        self.balancer.cookies()
    }
}

/// What an address answers in a tab.
pub async fn get_in(tab: &Page, path: &str) -> String {
    let body = tab.eval(&format!("fetch({path:?}).then(answer => answer.text())")).await;
    body.as_str().unwrap_or_default().to_owned()
}

/// The status of a POST of a tab; of several at once.
pub async fn post_in<const N: usize>(tab: &Page, paths: [&str; N]) -> [u64; N] {
    let calls = paths.map(|path| format!("fetch({path:?}, {{ method: 'POST' }})"));
    let all = format!("Promise.all([{}]).then(all => all.map(answer => answer.status))", calls.join(", "));
    let statuses = tab.eval(&all).await;
    let statuses: Vec<u64> = statuses.as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    statuses.try_into().unwrap()
}
