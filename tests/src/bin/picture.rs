//! `cargo xtask picture`: takes the README's pictures of a deployment's page, one in the light and one in the dark.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flinkctl::html;
use scenarios::browser::{Browser, View};
use scenarios::catalogue::scenario;
use scenarios::pages::executions;
use serde_json::json;

const SCENARIO: &str = "crash-loop-in-open";
const WIDTH: u32 = 1_000;
/// Where the picture ends: what follows tells the same in words.
const BOTTOM: &str = "section[aria-labelledby=decisions]";
/// Larger ones do not belong into a repository.
const MOST_BYTES: usize = 200_000;

fn main() -> ExitCode {
    let (told, code) = match take() {
        Ok(pictures) => {
            let lines: Vec<String> = pictures.iter().map(|path| format!("{}\n", path.display())).collect();
            (io::stdout().lock().write_all(lines.concat().as_bytes()), ExitCode::SUCCESS)
        }
        Err(error) => (io::stderr().lock().write_all(format!("picture: {error}\n").as_bytes()), ExitCode::FAILURE),
    };
    // Where nobody listens any more, the exit code still tells.
    if told.is_err() { ExitCode::FAILURE } else { code }
}

/// Takes the pictures, and says where they are.
fn take() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut scenario = scenario(SCENARIO).ok_or("the scenario is gone")?;
    for planned in &mut scenario.deployments {
        planned.input["reason"] = json!("release 2.0.0");
    }
    let played = executions(&scenario)?;
    let (execution, visits) = played.first().ok_or("the scenario has no deployment")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("deployment.html");
    let now = execution.ended_at.unwrap_or(execution.started_at);
    std::fs::write(&file, html::page(execution, visits, now))?;
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    std::fs::create_dir_all(&images)?;
    let mut browser = Browser::start()?;
    let light = View::of_width(WIDTH);
    let mut pictures = Vec::new();
    for (name, view) in [("deployment-light.png", light), ("deployment-dark.png", light.dark())] {
        let picture = browser.open(&file, view)?.picture(WIDTH, Some(BOTTOM))?;
        if picture.len() > MOST_BYTES {
            return Err(format!("{name} has {} bytes, and may have {MOST_BYTES}", picture.len()).into());
        }
        let path = images.join(name);
        std::fs::write(&path, picture)?;
        pictures.push(path.canonicalize()?);
    }
    Ok(pictures)
}
