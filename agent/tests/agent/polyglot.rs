//! The example shops in other languages, each beside its own agent, used by one visitor.
//!
//! A language whose web framework is not installed is skipped with a line of reason.
//! `npm install --no-save --prefix examples express` and `pip install flask` make them run.

use std::process::{Command, Stdio};

use serde_json::json;
use sessionmesh_testkit::{Agent, Child, Target, eventually};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

struct Shop {
    _process: Child,
    target: Target,
}

impl Shop {
    fn start(name: &str, words: &[&str], agent: &Agent) -> Self {
        let Target::Tcp(api) = &agent.http else { panic!("started on TCP") };
        let mut command = Command::new(words[0]);
        sessionmesh_testkit::agent::forget_settings(command.args(&words[1..]).current_dir(EXAMPLES))
            .env("SESSIONMESH_URL", format!("http://{api}"))
            .env("PORT", "0");
        let process = Child::spawn(name, &mut command);
        let address = |_, line: &str| line.strip_prefix("listening on ").map(Target::parse);
        let target = process.line("its address", address);
        Self { _process: process, target }
    }

    /// Sends a form (or nothing) with the visitor's cookie.
    fn ask(&self, method: &str, path: &str, cookie: &str, form: &str) -> sessionmesh_testkit::Answer {
        let headers = [("cookie", cookie), ("content-type", "application/x-www-form-urlencoded")];
        self.target
            .request(method, path, &headers, form.as_bytes())
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    fn log_in(&self, old: &str) -> String {
        let answer = self.ask("POST", "/login", old, "user=ada");
        assert_eq!(answer.status, 200, "{answer:?}");
        new_cookie(&answer)
    }

    fn rotate(&self, old: &str) -> String {
        let answer = self.ask("POST", "/rotate", old, "");
        assert_eq!(answer.status, 200, "{answer:?}");
        new_cookie(&answer)
    }

    fn cart(&self, cookie: &str) -> sessionmesh_testkit::Answer {
        self.ask("GET", "/cart", cookie, "")
    }
}

/// The cookie that an answer sets, as the browser sends it back.
fn new_cookie(answer: &sessionmesh_testkit::Answer) -> String {
    let line = answer.head.lines().find(|l| l.to_lowercase().starts_with("set-cookie: sid="));
    let line = line.unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax"), "{line}");
    line["set-cookie: ".len()..].split(';').next().unwrap_or_default().to_owned()
}

/// Whether `words` succeed in the examples' folder.
fn installed(language: &str, words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(EXAMPLES).stdout(Stdio::null()).stderr(Stdio::null());
    let there = command.status().is_ok_and(|status| status.success());
    if !there {
        eprintln!("skipped: {language}: `{}` fails", words.join(" "));
    }
    there
}

fn flask() -> Option<&'static [&'static str]> {
    installed("flask", &["python3", "-c", "import flask"]).then_some(&["python3", "flask_app.py"])
}

fn express() -> Option<&'static [&'static str]> {
    installed("express", &["node", "--input-type=module", "-e", "import 'express'"])
        .then_some(&["node", "express_app.mjs"])
}

/// One visitor who meets two shops in turn.
fn visit(one: &Shop, two: &Shop) {
    assert_eq!(one.cart("").status, 401, "a stranger");
    assert_eq!(two.cart("sid=00112233445566778899aabbccddeeff").status, 401, "an id alone");
    assert_eq!(two.cart(&format!("sid={}", "a7".repeat(32))).status, 401, "a made-up ticket");
    assert_eq!(two.cart("sid=nonsense").status, 401);
    let planted = one.log_in("");
    let logged_in = two.log_in(&planted);
    assert_ne!(logged_in[..36], planted[..36], "a log-in is a new session");
    eventually("the old ticket is dead everywhere", || (one.cart(&planted).status == 401).then_some(()));
    let cookie = one.rotate(&logged_in);
    assert!(cookie != logged_in && cookie[..36] == logged_in[..36], "another key");
    assert_eq!(two.cart(&logged_in).status, 200, "for requests under way");
    for (shop, form) in
        [(one, "sku=tea&count=2"), (two, "sku=cup"), (one, "sku=pot"), (two, "sku=pot&count=0")]
    {
        let put = shop.ask("POST", "/cart", &cookie, form);
        assert_eq!((put.status, &put.body["replicated"]), (200, &json!(true)), "{form}: {put:?}");
    }
    for shop in [one, two] {
        let cart = shop.cart(&cookie);
        assert_eq!(cart.body, json!({ "user": "ada", "cart": { "tea": 2, "cup": 1 } }), "{cart:?}");
    }
    // With the ticket of before the rotation: whoever is logged out, is.
    assert_eq!(one.ask("POST", "/logout", &logged_in, "").status, 200);
    eventually("logged out everywhere", || (two.cart(&cookie).status == 401).then_some(()));
    assert_eq!(two.ask("POST", "/logout", &cookie, "").status, 200, "nobody has it");
}

#[test]
fn a_visitor_may_meet_shops_in_any_language() {
    let agent = Agent::start("a", &[]);
    let other = Agent::launch("b").seeds([&agent]).start();
    other.ready();
    agent.linked_to(&[&other]);
    other.linked_to(&[&agent]);
    let (flask, express) = (flask(), express());
    for (first, second) in [(flask, flask), (express, express), (flask, express), (express, flask)] {
        if let (Some(first), Some(second)) = (first, second) {
            visit(&Shop::start("first", first, &agent), &Shop::start("second", second, &other));
        }
    }
}

#[test]
fn a_logout_that_the_agent_cannot_do_is_told() {
    let Some((flask, mut agent)) = flask().map(|words| (words, Agent::start("a", &[]))) else { return };
    agent.ready();
    let shop = Shop::start("flask", flask, &agent);
    let cookie = shop.log_in("");
    agent.child.kill();
    let answer = shop.ask("POST", "/logout", &cookie, "");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        !answer.head.to_lowercase().contains("set-cookie"),
        "the cookie stays, to be tried again: {answer:?}"
    );
}
