//! The model: what two browsers with slow tabs may see, whatever the nodes, the cuts and the order of answers.
//!
//! A browser's jar holds the last cookie that reached it; a tab may send an older one, answers reach the jar in any order,
//! and one request may be slow: it has read, and writes some steps later. What one cookie grew into by requests that were
//! not late is a *line*: one session, as its user knows it, through rotations and log-ins. Rules:
//! 1. A cookie shows nobody, or somebody who logged in with this jar: never another browser's user.
//! 2. After a logout or a revocation, and once the nodes hear each other, no cookie that it was about shows the user
//!    who logged out, on any node.
//! 3. A late request never takes a cookie away.
//! 4. On one node, what was acknowledged to a line is read with the jar's cookie, if that is of this line; also by slow
//!    requests, and also how long the session is to live.
//! 5. On one node, a user has no more log-ins listed than lines that logged in.
//! 6. On one node, if keys end at once, a cookie that was replaced shows nothing.
//! 7. On one node, every request is answered with what it asked for, or refused for what is its own fault; and however full
//!    a session is, it can be rotated and logged in.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::front::{App, Slow, done, slow};
use crate::kit::Answer;

/// A cookie that an answer set.
#[derive(Clone)]
pub struct Held {
    pub cookie: String,
    pub whose: String,
    pub step: usize,
    /// The step whose request, without a cookie, began all that this one came from: log-ins of two that had none have
    /// nothing in common.
    root: usize,
    line: usize,
    /// The step of its last log-in.
    login: usize,
    /// It came from a cookie of what had been ended, perhaps on a node that had not heard of it.
    doubtful: bool,
}

#[derive(Default)]
pub struct Browser {
    /// What a request sends now.
    pub jar: Option<Held>,
    /// What it has been sent since the last logout.
    since: Vec<Held>,
    /// What shows nobody any more once the nodes agree, with whom it must not show.
    over: Vec<Held>,
    /// What has been replaced by another key.
    replaced: Vec<Held>,
    /// Answers that have not reached the jar.
    coming: Vec<Held>,
}

/// What a request asks for.
#[derive(Clone, Debug)]
enum What {
    Set(String, String),
    Slow(String, String),
    Login(String),
    /// A log-in whose answer takes its time.
    SlowLogin(String),
    Rotate,
    Logout,
    Remember,
    Revoke,
    RevokeOthers,
    Fill,
    Whose,
}

impl What {
    fn path(&self) -> String {
        match self {
            Self::Set(key, value) => format!("/set/{key}/{value}"),
            Self::Slow(key, value) => format!("/slow/{key}/{value}"),
            Self::Login(user) => format!("/login/{user}"),
            Self::SlowLogin(user) => format!("/slow-login/{user}"),
            Self::Rotate => "/rotate".into(),
            Self::Logout => "/logout".into(),
            Self::Remember => "/remember".into(),
            Self::Revoke => "/revoke".into(),
            Self::RevokeOthers => "/revoke-others".into(),
            Self::Fill => "/fill".into(),
            Self::Whose => "/whose".into(),
        }
    }
}

/// What is special about an application.
#[derive(Clone, Copy, Default)]
pub struct Rules {
    /// A key that is replaced ends at once.
    pub no_grace: bool,
    /// `POST /fill` fills a session to its last byte.
    pub fills: bool,
    /// A log-in is whole before its answer goes out, so that none is slow.
    pub logs_in_at_once: bool,
    /// A cookie says nothing of where its session came from: a logout at a node that does not know it ends that log-in,
    /// and what else grew from the same may go on.
    pub tickets_alone: bool,
}

/// A request as it was sent.
struct Sent {
    who: usize,
    what: What,
    held: Option<Held>,
    late: bool,
    step: usize,
    /// Logouts so far.
    ends: usize,
}

/// What is known to have been acknowledged to a line.
#[derive(Default)]
struct Line {
    written: BTreeMap<String, String>,
    remembered: bool,
    whose: Option<String>,
    login: usize,
}

pub struct Program {
    rng: StdRng,
    apps: Vec<Arc<dyn App>>,
    pub browsers: Vec<Browser>,
    /// Each browser's own, and one that both log in as.
    pub users: [String; 3],
    lines: BTreeMap<usize, Line>,
    rules: Rules,
    slow: Option<(Sent, Slow)>,
    told: Vec<String>,
    step: usize,
    ends: usize,
    /// When a user's sessions were last revoked.
    revoked: BTreeMap<String, usize>,
}

impl Program {
    pub fn new(seed: u64, apps: Vec<Arc<dyn App>>, rules: Rules) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            apps,
            browsers: (0..2).map(|_| Browser::default()).collect(),
            users: ["ada", "bob", "eve"].map(|user| format!("{user}-{seed}")),
            lines: BTreeMap::new(),
            rules,
            slow: None,
            told: vec![format!("seed {seed}")],
            step: 0,
            ends: 0,
            revoked: BTreeMap::new(),
        }
    }

    fn pick(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    pub async fn step(&mut self) {
        self.step += 1;
        if self.slow.is_some() && self.rng.random_bool(0.3) {
            return self.slow_goes_on().await;
        }
        let (who, at) = (self.pick(self.browsers.len()), self.pick(self.apps.len()));
        // A tab that was slow sends what the jar had before.
        let browser = &self.browsers[who];
        let mut held = browser.jar.clone();
        if !browser.since.is_empty() && self.rng.random_bool(0.25) {
            let n = self.rng.random_range(0..browser.since.len());
            held = Some(browser.since[n].clone());
        }
        let cookie = |held: &Option<Held>| held.as_ref().map_or(String::new(), |held| held.cookie.clone());
        let late = cookie(&held) != cookie(&self.browsers[who].jar);
        let what = self.what(who);
        let of = held.as_ref().map(|held| held.step);
        self.told.push(format!("{}: browser {who}, node {at}, cookie of step {of:?}: {what:?}", self.step));
        let (path, cookie, ends) = (what.path(), cookie(&held), self.ends);
        let sent = Sent { who, what, held, late, step: self.step, ends };
        let answer = match sent.what {
            What::Slow(..) | What::SlowLogin(_) => match slow(&self.apps[at], path, cookie).await {
                Ok(slow) => return self.slow = Some((sent, slow)),
                Err(answer) => answer,
            },
            What::Whose => Arc::clone(&self.apps[at]).call("GET", path, cookie).await,
            _ => Arc::clone(&self.apps[at]).call("POST", path, cookie).await,
        };
        self.answered(&sent, &answer);
    }

    /// Rule 1 is told apart by giving each browser users of its own, and one that both have.
    fn what(&mut self, who: usize) -> What {
        let user = if self.rng.random_bool(0.2) { 2 } else { who };
        let (key, value) = (format!("k{}", self.pick(3)), self.step.to_string());
        match self.pick(20) {
            0..=5 => What::Set(key, value),
            6 | 7 if self.slow.is_none() => What::Slow(key, value),
            8 if self.slow.is_none() && !self.rules.logs_in_at_once => {
                What::SlowLogin(self.users[user].clone())
            }
            6..=9 => What::Login(self.users[user].clone()),
            10..=12 => What::Rotate,
            13 | 14 => What::Logout,
            15 => What::Remember,
            16 if self.rules.fills => What::Fill,
            16 => [What::Revoke, What::RevokeOthers][self.pick(2)].clone(),
            _ => What::Whose,
        }
    }

    async fn slow_goes_on(&mut self) {
        let Some((sent, slow)) = self.slow.take() else { return };
        self.told.push(format!("{}: browser {}: {:?} goes on", self.step, sent.who, sent.what));
        let answer = slow.go_on().await;
        self.answered(&sent, &answer);
    }

    /// Lets what is under way end.
    pub async fn finish(&mut self) {
        self.step += 1;
        self.slow_goes_on().await;
    }

    fn answered(&mut self, sent: &Sent, answer: &Answer) {
        self.told.push(format!("   {} {:?} {}", answer.status, answer.body, answer.set_cookie.is_some()));
        self.rule_7(sent, answer);
        // With what is over begins something new.
        let over = |held: &&Held| !self.browsers[sent.who].over.iter().any(|over| over.cookie == held.cookie);
        // Where too little is known of a session, a write begins another, and is told by a ticket of its own.
        let writes = matches!(sent.what, What::Set(..) | What::Slow(..) | What::Remember);
        let begins = self.rules.tickets_alone && writes && answer.set_cookie.is_some();
        let held = sent.held.as_ref().filter(|held| over(held) && !begins);
        let before = held.map_or("nobody", |held| &held.whose).to_owned();
        let doubtful = sent.held.as_ref().is_some_and(|sent| held.is_none() || sent.doubtful);
        let mut line = held.map_or(self.step, |held| held.line);
        let mut login = held.map_or(self.step, |held| held.login);
        let (root, mut whose) = (held.map_or(self.step, |held| held.root), before.clone());
        if let What::Whose = sent.what {
            let mine = ["nobody", &self.users[sent.who], &self.users[2]];
            assert!(!done(answer) || mine.contains(&answer.body.as_str()), "rule 1: {}", self.tell());
        }
        if let What::Logout = sent.what {
            assert!(done(answer), "{}", self.tell());
            self.logged_out(sent.who, &before, (root, line, login));
        }
        if done(answer) {
            match &sent.what {
                What::Set(key, value) | What::Slow(key, value) => {
                    self.line(line).written.insert(key.clone(), value.clone());
                }
                What::Remember => self.line(line).remembered = true,
                What::Rotate if answer.set_cookie.is_some() => self.rotated(sent.who, line),
                What::Login(user) | What::SlowLogin(user) if answer.set_cookie.is_some() => {
                    // One with an older cookie, or beside another, begins what knows nothing of the other.
                    let beside = self.lines.get(&line).is_some_and(|line| line.login > sent.step);
                    line = if sent.late || beside { self.step } else { line };
                    login = self.step;
                    let begun = self.line(line);
                    (begun.whose, begun.login) = (Some(user.clone()), login);
                    whose.clone_from(user);
                }
                What::Revoke | What::RevokeOthers if answer.body == "nobody" => {}
                What::Revoke => self.revoked(&answer.body, None),
                What::RevokeOthers => self.revoked(&answer.body, Some((line, login))),
                _ => {}
            }
        }
        let cookie = answer.set_cookie.as_ref().map(|_| answer.cookie().to_owned());
        let held = cookie.map(|cookie| Held { cookie, whose, step: self.step, root, line, login, doubtful });
        self.deliver(sent, answer, held);
    }

    fn rule_7(&self, sent: &Sent, answer: &Answer) {
        let status = answer.status.as_u16();
        let full = self.rules.fills && answer.body.contains("max_record_bytes");
        let adds = matches!(sent.what, What::Set(..) | What::Slow(..) | What::Fill);
        assert!(self.apps.len() > 1 || full && adds || status < 500, "rule 7: {}", self.tell());
    }

    fn rotated(&mut self, who: usize, line: usize) {
        let browser = &mut self.browsers[who];
        let replaced = browser.since.iter().filter(|held| held.line == line);
        browser.replaced.extend(replaced.cloned());
    }

    fn line(&mut self, line: usize) -> &mut Line {
        self.lines.entry(line).or_default()
    }

    fn logged_out(&mut self, who: usize, before: &str, (root, line, login): (usize, usize, usize)) {
        self.ends += 1;
        // A node that has not heard of a log-in knows nobody whose family it should end.
        let knows_all = self.apps.len() == 1;
        let ends_family = !self.rules.tickets_alone;
        let browser = &mut self.browsers[who];
        let family = |held: &Held| held.root == root && (ends_family || held.login == login);
        let about = |held: &&Held| held.whose == before && family(held) || knows_all && held.line == line;
        browser.over.extend(browser.since.iter().filter(about).cloned());
        browser.since.clear();
        browser.coming.clear();
    }

    /// All sessions of `user` have ended, but for those of the line that goes on.
    fn revoked(&mut self, user: &str, spared: Option<(usize, usize)>) {
        self.revoked.insert(user.to_owned(), self.step);
        for browser in &mut self.browsers {
            let about = |held: &Held| held.whose == *user && Some((held.line, held.login)) != spared;
            browser.over.extend(browser.since.extract_if(.., |held| about(held)));
            browser.coming.retain(|held| !about(held));
        }
        // What is listed of them later was logged in later.
        let mine = |line: &Line| line.whose.as_deref() == Some(user);
        self.lines.retain(|at, line| spared.is_some_and(|spared| spared.0 == *at) || !mine(line));
    }

    /// Puts what an answer sets on its way to the jar, and lets some of what is on its way arrive.
    fn deliver(&mut self, sent: &Sent, answer: &Answer, held: Option<Held>) {
        if let (Some(set), Some(held)) = (&answer.set_cookie, held) {
            let removed = set.contains("Max-Age=0");
            // Somebody else may have ended what a request came with. A revocation ends what the spared session was logged
            // in from, too, so that a cookie of before then names what is known to have ended.
            let revoked = |held: &Held| self.revoked.get(&held.whose).is_some_and(|at| *at > held.step);
            let known = matches!(sent.what, What::Logout)
                || sent.ends != self.ends
                || sent.held.as_ref().is_some_and(|held| held.doubtful || revoked(held));
            assert!(!removed || known || !sent.late, "rule 3: {}", self.tell());
            let browser = &mut self.browsers[sent.who];
            if removed {
                browser.jar = None;
            } else {
                browser.since.push(held.clone());
                browser.coming.push(held);
            }
        }
        let one_node = self.apps.len() == 1;
        while !self.browsers[sent.who].coming.is_empty() && (one_node || self.rng.random_bool(0.7)) {
            let coming = self.browsers[sent.who].coming.len();
            let n = if one_node { 0 } else { self.rng.random_range(0..coming) };
            let browser = &mut self.browsers[sent.who];
            browser.jar = Some(browser.coming.remove(n));
        }
    }

    fn tell(&self) -> String {
        format!("\n{}", self.told.join("\n"))
    }

    async fn get(&self, at: usize, path: &str, held: &Held) -> Answer {
        Arc::clone(&self.apps[at]).call("GET", path.to_owned(), held.cookie.clone()).await
    }

    /// So many steps on one node, and all rules that hold there: `listed` tells how many log-ins a user has.
    pub async fn run_on_one_node(mut self, steps: usize, listed: impl Fn(&str) -> usize) {
        for _ in 0..steps {
            self.step().await;
        }
        self.finish().await;
        self.what_was_acknowledged_is_there().await;
        self.what_ended_shows_nobody().await;
        self.what_was_replaced_shows_nothing().await;
        self.a_log_in_is_listed_once(listed);
    }

    /// Rule 2, on every node.
    pub async fn what_ended_shows_nobody(&self) {
        let over = self.browsers.iter().flat_map(|browser| &browser.over);
        for held in over.filter(|held| held.whose != "nobody") {
            for at in 0..self.apps.len() {
                let read = self.get(at, "/whose", held).await;
                assert_ne!(read.body, held.whose, "rule 2: cookie of step {}{}", held.step, self.tell());
            }
        }
    }

    /// Rule 6, for one node.
    pub async fn what_was_replaced_shows_nothing(&self) {
        for held in self.browsers.iter().flat_map(|browser| &browser.replaced).filter(|_| self.rules.no_grace)
        {
            let left = self.get(0, "/left", held).await;
            assert_eq!(left.body, "0", "rule 6: cookie of step {}{}", held.step, self.tell());
        }
    }

    /// Rule 4, for one node.
    pub async fn what_was_acknowledged_is_there(&self) {
        for held in self.browsers.iter().filter_map(|browser| browser.jar.as_ref()) {
            let Some(line) = self.lines.get(&held.line) else { continue };
            for (key, value) in &line.written {
                let read = self.get(0, &format!("/get/{key}"), held).await;
                assert_eq!(read.body, *value, "rule 4: {key}, cookie of step {}{}", held.step, self.tell());
            }
            if line.remembered {
                let left = self.get(0, "/left", held).await;
                let hours: u64 = left.body.parse().unwrap_or(0);
                let step = held.step;
                assert!(hours >= 13 * 24, "rule 4: {hours} hours, cookie of step {step}{}", self.tell());
            }
        }
    }

    /// Rule 5, for one node: `listed` tells how many log-ins a user has.
    pub fn a_log_in_is_listed_once(&self, listed: impl Fn(&str) -> usize) {
        for user in &self.users {
            let lines = self.lines.values().filter(|line| line.whose.as_ref() == Some(user)).count();
            assert!(listed(user) <= lines, "rule 5: {user}, {} of {lines}{}", listed(user), self.tell());
        }
    }
}
