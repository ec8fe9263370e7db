//! `cargo xtask permissions`: the command line, and nothing else; see `scenarios::permissions`.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use scenarios::permissions::{PermissionError, Permissions, full_stack, template, usage};

fn main() -> ExitCode {
    let said = |text: &str| io::stderr().lock().write_all(text.as_bytes());
    let compared = compare();
    let code = match &compared {
        Ok((_, findings)) if findings.is_empty() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    };
    let told = match compared {
        Ok((table, findings)) => io::stdout()
            .lock()
            .write_all(table.as_bytes())
            .and_then(|()| findings.iter().try_for_each(|finding| said(&format!("permissions: {finding}\n")))),
        Err(error) => said(&format!("permissions: {error}\n")),
    };
    // Where nobody listens any more, the exit code still tells.
    if told.is_err() { ExitCode::FAILURE } else { code }
}

/// The table, and what is not as it must be.
fn compare() -> Result<(String, Vec<String>), PermissionError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("template.yaml");
    let text = std::fs::read_to_string(&path).map_err(|source| PermissionError::File { path, source })?;
    let permissions = Permissions::read(&full_stack(&template::read(&text)?)?, &root)?;
    let calls = usage::all()?;
    Ok((permissions.table(&calls), permissions.findings(&calls)))
}
