//! Random requests of browsers with several tabs, against a small model of what a browser may see.
//!
//! A browser's jar holds the last cookie that reached it; a tab may send an older one, and answers reach the jar in any
//! order. Rules, whatever the nodes, the cuts and the order:
//! 1. A cookie shows nobody, or somebody who logged in with this jar: never another browser's user.
//! 2. After a logout, and once the nodes hear each other, no cookie that the jar held before shows the user who logged out,
//!    on any node.
//! 3. A stale request never takes a cookie away.
//! 4. On one node, what was acknowledged since the last logout is read with the newest cookie, through rotations and log-ins
//!    (of that cookie: a log-in with an older one begins another session).

#[path = "axum_layer/kit.rs"]
mod kit;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use kit::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sessionmesh::Mesh;
use sessionmesh::transport::Drill;

const USERS: [&str; 3] = ["ada", "bob", "eve"];

/// A cookie that an answer set.
#[derive(Clone)]
struct Held {
    cookie: String,
    whose: String,
    step: usize,
    /// The step whose request, without a cookie, began all that this one came from: log-ins of two that had none have
    /// nothing in common.
    root: usize,
}

#[derive(Default)]
struct Browser {
    /// What a request sends now.
    jar: Option<Held>,
    /// What it has been sent since the last logout.
    since: Vec<Held>,
    /// What shows nobody any more once the nodes agree, with whom it must not show.
    over: Vec<Held>,
    /// Answers that have not reached the jar.
    coming: Vec<Option<Held>>,
    /// What was acknowledged, by key.
    written: BTreeMap<String, String>,
}

struct Program {
    rng: StdRng,
    apps: Vec<Client>,
    browsers: Vec<Browser>,
    told: Vec<String>,
    step: usize,
}

impl Program {
    fn new(seed: u64, meshes: &[Mesh]) -> Self {
        let apps = meshes.iter().map(|mesh| app(mesh, |layer| layer)).collect();
        let browsers = (0..2).map(|_| Browser::default()).collect();
        Self { rng: StdRng::seed_from_u64(seed), apps, browsers, told: Vec::new(), step: 0 }
    }

    fn pick(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    async fn step(&mut self) {
        self.step += 1;
        let (who, at) = (self.pick(self.browsers.len()), self.pick(self.apps.len()));
        // A tab that was slow sends what the jar had before.
        let browser = &self.browsers[who];
        let late = !browser.since.is_empty() && self.rng.random_bool(0.25);
        let sent = if late {
            let n = self.rng.random_range(0..browser.since.len());
            Some(browser.since[n].clone())
        } else {
            browser.jar.clone()
        };
        let app = sent.as_ref().map_or(self.apps[at].clone(), |held| self.apps[at].cookie(&held.cookie));
        let (what, user) = (self.pick(12), USERS[who]);
        // Rule 1 is told apart by giving each browser users of its own, and one that both have.
        let user = if self.rng.random_bool(0.2) { USERS[2] } else { user };
        let (key, value) = (format!("k{}", self.pick(3)), self.step.to_string());
        let path = match what {
            0..=3 => format!("/set/{key}/{value}"),
            4 | 5 => format!("/login/{user}"),
            6 | 7 => "/rotate".to_owned(),
            8 => "/logout".to_owned(),
            _ => "/whose".to_owned(),
        };
        self.told.push(format!(
            "{}: browser {who}, node {at}, cookie of step {:?}: {path}",
            self.step,
            sent.as_ref().map(|held| held.step)
        ));
        let get = what > 8;
        let answer = if get { app.get(&path).await } else { app.post(&path).await };
        self.told.push(format!("   {} {:?} {}", answer.status, answer.body, answer.set_cookie.is_some()));
        let before = sent.as_ref().map_or("nobody".to_owned(), |held| held.whose.clone());
        match what {
            0..=3 if answer.status == StatusCode::OK => drop(self.browsers[who].written.insert(key, value)),
            // A log-in with an older cookie begins a session that knows nothing of the newer one.
            4 | 5 if late => self.browsers[who].written.clear(),
            8 => self.logged_out(who, &answer, &before, sent.as_ref().map(|held| held.root)),
            9.. => self.rule_1(who, &answer),
            _ => {}
        }
        let whose = if matches!(what, 4 | 5) && answer.status == StatusCode::OK { user } else { &before };
        let root = sent.as_ref().map_or(self.step, |held| held.root);
        self.deliver(who, &answer, (whose, root), what == 8, late);
    }

    fn rule_1(&self, who: usize, answer: &Answer) {
        let mine = ["nobody", USERS[who], USERS[2]];
        assert!(answer.status != StatusCode::OK || mine.contains(&answer.body.as_str()), "{}", self.tell());
    }

    fn logged_out(&mut self, who: usize, answer: &Answer, before: &str, root: Option<usize>) {
        assert_eq!(answer.status, StatusCode::OK, "{}", self.tell());
        let browser = &mut self.browsers[who];
        let over =
            browser.since.iter().filter(|held| held.whose == before && Some(held.root) == root).cloned();
        browser.over.extend(over);
        browser.since.clear();
        browser.coming.clear();
        browser.written.clear();
    }

    /// Puts what an answer sets on its way to the jar, and lets some of what is on its way arrive.
    fn deliver(
        &mut self,
        who: usize,
        answer: &Answer,
        (whose, root): (&str, usize),
        logout: bool,
        late: bool,
    ) {
        if let Some(set) = &answer.set_cookie {
            let removed = set.contains("Max-Age=0");
            assert!(!removed || logout || !late, "rule 3: {}", self.tell());
            let held =
                Held { cookie: answer.cookie().to_owned(), whose: whose.to_owned(), step: self.step, root };
            let browser = &mut self.browsers[who];
            if removed {
                browser.jar = None;
            } else {
                browser.since.push(held.clone());
                browser.coming.push(Some(held));
            }
        }
        while !self.browsers[who].coming.is_empty() && (self.apps.len() == 1 || self.rng.random_bool(0.7)) {
            let n = if self.apps.len() == 1 {
                0
            } else {
                self.rng.random_range(0..self.browsers[who].coming.len())
            };
            let browser = &mut self.browsers[who];
            browser.jar = browser.coming.remove(n);
        }
    }

    fn tell(&self) -> String {
        format!("\n{}", self.told.join("\n"))
    }
}

#[tokio::test]
async fn on_one_node_nothing_acknowledged_is_lost_and_nobody_is_shown_to_another() {
    let mesh = alone("programs").await;
    for seed in 0..150 {
        let mut program = Program::new(seed, std::slice::from_ref(&mesh));
        for _ in 0..40 {
            program.step().await;
        }
        for browser in &program.browsers {
            let Some(held) = &browser.jar else { continue };
            for (key, value) in &browser.written {
                let read = program.apps[0].cookie(&held.cookie).get(&format!("/get/{key}")).await;
                assert_eq!(&read.body, value, "seed {seed}, {key}{}", program.tell());
            }
            for over in browser.over.iter().filter(|over| over.whose != "nobody") {
                let read = program.apps[0].cookie(&over.cookie).get("/whose").await;
                assert_ne!(
                    read.body,
                    over.whose,
                    "seed {seed}: the cookie of step {}{}",
                    over.step,
                    program.tell()
                );
            }
        }
    }
}

#[tokio::test]
async fn across_cuts_a_logout_is_one_and_nobody_is_shown_to_another() {
    let drill = Drill::new(1);
    let with = |b: sessionmesh::Builder| b.drill(drill.clone()).ack_timeout(Duration::from_millis(5));
    let meshes = linked_with("cut-programs", with).await;
    for seed in 0..25 {
        let mut program = Program::new(1_000 + seed, &meshes);
        for step in 0..40 {
            // Shorter than what makes a link die: who is cut off does not hear, and does not know it either.
            match step % 10 {
                3 => cut(&drill, ["a", "b", "c"][step / 10 % 3], ["b", "c", "a"][step / 10 % 3]),
                8 => drill.heal_all(),
                _ => {}
            }
            program.step().await;
        }
        drill.heal_all();
        agreed(&meshes).await;
        for browser in &program.browsers {
            for over in browser.over.iter().filter(|over| over.whose != "nobody") {
                for app in &program.apps {
                    let read = app.cookie(&over.cookie).get("/whose").await;
                    assert_ne!(
                        read.body,
                        over.whose,
                        "seed {seed}: the cookie of step {}{}",
                        over.step,
                        program.tell()
                    );
                }
            }
        }
    }
}

fn cut(drill: &Drill, one: &str, other: &str) {
    drill.cut(one, other);
    drill.cut(other, one);
}

/// Waits until every node holds what each of them wrote last.
async fn agreed(meshes: &[Mesh]) {
    for mesh in meshes {
        let marker = mesh.sessions().create(sessionmesh::Expiry::sliding(CEILING), |_| Ok(())).unwrap();
        within("every node has it", marker.copies_within(meshes.len(), CEILING)).await.unwrap();
    }
    // What ended by what arrived is ended as it is looked at; its end comes with the next push.
    for mesh in meshes {
        let marker = mesh.sessions().create(sessionmesh::Expiry::sliding(CEILING), |_| Ok(())).unwrap();
        within("every node has it", marker.copies_within(meshes.len(), CEILING)).await.unwrap();
    }
}
