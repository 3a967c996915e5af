//! Headless Chromium, driven by its debugging protocol over a pipe: no port, no driver, and messages that are NUL-ended
//! JSON. Everything the page logs and every request it makes is kept.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::within;

/// Chromium reads commands from descriptor 3 and writes answers to 4: our ends of its stdin and stdout.
const ON_A_PIPE: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const QUIET: [&str; 10] = [
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
];

fn installed() -> Option<&'static str> {
    let paths = std::env::var_os("PATH")?;
    NAMES.into_iter().find(|name| std::env::split_paths(&paths).any(|dir| dir.join(name).is_file()))
}

/// What answers and events travel over.
struct Wire {
    to: tokio::sync::Mutex<ChildStdin>,
    next: AtomicU64,
    asked: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    /// Events, in the order they came.
    seen: Mutex<Vec<Value>>,
}

impl Wire {
    async fn read(self: Arc<Self>, from: ChildStdout) {
        let mut from = BufReader::new(from);
        let mut message = Vec::new();
        while from.read_until(0, &mut message).await.is_ok_and(|n| n > 0) {
            let Ok(value) = serde_json::from_slice::<Value>(message.strip_suffix(&[0]).unwrap_or(&message))
            else {
                break;
            };
            match value["id"].as_u64().and_then(|id| self.asked.lock().remove(&id)) {
                Some(waiting) => drop(waiting.send(value)),
                None => self.seen.lock().push(value),
            }
            message.clear();
        }
        // Whoever still waits is told by the dropped sender that the browser is gone.
        self.asked.lock().clear();
    }

    async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Relaxed) + 1;
        let (tell, told) = oneshot::channel();
        self.asked.lock().insert(id, tell);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.lock().await.write_all(&bytes).await.unwrap_or_else(|e| panic!("{method}: {e}"));
        let answer = told.await.unwrap_or_else(|_| panic!("{method}: the browser has ended"));
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }
}

/// A browser with a fresh profile; killed when dropped.
pub struct Browser {
    wire: Arc<Wire>,
    process: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one. Without Chromium: `None` and a printed reason, or a failure if it is required here.
    pub async fn start() -> Option<Self> {
        let Some(name) = installed() else {
            let required =
                std::env::var("SESSIONMESH_REQUIRE").is_ok_and(|wanted| wanted.contains("chromium"));
            assert!(!required, "Chromium is required here (SESSIONMESH_REQUIRE) and is not installed");
            println!("skipped: no Chromium (none of {NAMES:?} is in PATH)");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", ON_A_PIPE, "sh", name]).args(QUIET);
        // Chromium's sandbox does not work for root, who runs tests in containers.
        if std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}"));
        let (to, from) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let wire = Arc::new(Wire {
            to: tokio::sync::Mutex::new(to),
            next: AtomicU64::new(0),
            asked: Mutex::default(),
            seen: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&wire).read(from));
        Some(Self { wire, process, _profile: profile })
    }

    /// Opens an address in a new tab.
    pub async fn open(&self, url: &str) -> Page {
        let target = self.wire.call(None, "Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.wire.call(None, "Target.attachToTarget", attach).await;
        let page =
            Page { wire: Arc::clone(&self.wire), session: session["sessionId"].as_str().unwrap().to_owned() };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        let gone = page.call("Page.navigate", json!({ "url": url })).await;
        assert!(gone.get("errorText").is_none(), "{url}: {}", gone["errorText"]);
        page.eval(
            "document.readyState === 'complete' || new Promise(done => addEventListener('load', done))",
        )
        .await;
        page
    }

    /// All cookies of its jar.
    pub async fn cookies(&self) -> Vec<Value> {
        let answer = within("cookies", self.wire.call(None, "Storage.getCookies", json!({}))).await;
        answer["cookies"].as_array().cloned().unwrap_or_default()
    }

    /// Ends it in order.
    pub async fn close(mut self) {
        self.wire.call(None, "Browser.close", json!({})).await;
        within("the browser's end", self.process.wait()).await.unwrap();
    }
}

/// A tab.
pub struct Page {
    wire: Arc<Wire>,
    session: String,
}

impl Page {
    async fn call(&self, method: &str, params: Value) -> Value {
        within(method, self.wire.call(Some(&self.session), method, params)).await
    }

    /// Brings it before the other tabs: those are hidden, and the page draws nothing while it is.
    pub async fn bring_to_front(&self) {
        self.call("Page.bringToFront", json!({})).await;
    }

    /// The value of an expression, awaited if it is a promise.
    pub async fn eval(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true of the page, looking again whenever anything in it changes.
    pub async fn until(&self, what: &str, expression: &str) -> Value {
        let watch = format!(
            "new Promise(done => {{ const look = () => {{ const found = ({expression}); if (found) {{ seen.disconnect(); \
             done(found); }} }}; const seen = new MutationObserver(look); \
             seen.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }}); \
             look(); }})"
        );
        let params = json!({ "expression": watch, "awaitPromise": true, "returnByValue": true });
        let asked = self.wire.call(Some(&self.session), "Runtime.evaluate", params);
        let Ok(answer) = tokio::time::timeout(crate::CEILING, asked).await else {
            panic!("{what}: not on the page, which says: {}", self.text("#top").await);
        };
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The text of an element.
    pub async fn text(&self, selector: &str) -> String {
        let found = self.eval(&format!("document.querySelector({selector:?}).innerText")).await;
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks an element.
    pub async fn click(&self, selector: &str) {
        self.eval(&format!("document.querySelector({selector:?}).click()")).await;
    }

    /// Types a line into an element, as a keyboard does.
    pub async fn enter(&self, selector: &str, line: &str) {
        self.eval(&format!("document.querySelector({selector:?}).focus()")).await;
        self.call("Input.insertText", json!({ "text": line })).await;
        for kind in ["keyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" });
            self.call("Input.dispatchKeyEvent", key).await;
        }
    }

    /// Sets the size of the window (CSS pixels) and the colour scheme the system is said to prefer.
    pub async fn look(&self, width: u32, height: u32, scheme: &str) {
        let mobile = width < 500;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// A picture of the window, or of the whole page.
    pub async fn screenshot(&self, file: &Path, whole: bool) {
        let asked = json!({ "format": "png", "captureBeyondViewport": whole });
        let answer = self.call("Page.captureScreenshot", asked).await;
        use base64::Engine as _;
        let png = base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, png).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }

    fn events<T>(&self, wanted: impl Fn(&str, &Value) -> Option<T>) -> Vec<T> {
        let seen = self.wire.seen.lock();
        let own = seen.iter().filter(|e| e["sessionId"] == *self.session);
        own.filter_map(|e| wanted(e["method"].as_str()?, &e["params"])).collect()
    }

    /// Errors and warnings in the console: the page's own, exceptions, and the browser's about it.
    pub fn complaints(&self) -> Vec<String> {
        self.events(|method, params| match method {
            "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if params["type"] != "log" => Some(params["args"].to_string()),
            "Log.entryAdded" if params["entry"]["level"] != "verbose" => Some(params["entry"].to_string()),
            _ => None,
        })
    }

    /// Addresses of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.events(|method, params| match method {
            "Network.requestWillBeSent" => Some(params["request"]["url"].as_str()?.to_owned()),
            "Network.webSocketCreated" => Some(params["url"].as_str()?.to_owned()),
            _ => None,
        })
    }
}
