//! What must never be committed: a package registry's host, an absolute path of somebody's machine, a credential. What is
//! looked for is put together from pieces here, so that this file passes its own check.

use std::path::Path;

/// Names that end in a secret's shape but are the documentation's own examples.
const EXAMPLE_KEY_END: &str = "EXAMPLE";

/// One thing that must not be in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What it is, without repeating it.
    pub(crate) what: &'static str,
}

/// What to look for.
#[derive(Debug)]
pub(crate) struct Rules {
    registries: Vec<String>,
    machine_paths: Vec<String>,
    token_starts: Vec<String>,
}

impl Rules {
    /// The rules for a workspace at that path, which is then also a path that must not be committed.
    pub(crate) fn new(root: &Path) -> Self {
        let joined = |pieces: &[[&str; 2]]| pieces.iter().map(|piece| piece.concat()).collect::<Vec<_>>();
        let mut machine_paths =
            joined(&[["/ho", "me/"], ["/Us", "ers/"], ["/ro", "ot/"], ["/wo", "rk/"], ["C:\\Us", "ers\\"]]);
        if let Some(root) = root.to_str().filter(|root| root.matches('/').count() > 1) {
            machine_paths.push(root.to_owned());
        }
        Self {
            registries: joined(&[
                ["npm", "js.org"],
                ["npm", "js.com"],
                ["registry.yarn", "pkg.com"],
                ["py", "pi.org"],
                ["python", "hosted.org"],
                ["crates", ".io"],
                ["deb.deb", "ian.org"],
                ["maven", ".org"],
                ["repo.maven.", "apache.org"],
            ]),
            machine_paths,
            token_starts: joined(&[["gh", "p_"], ["gho", "_"], ["github_", "pat_"], ["xox", "b-"]]),
        }
    }

    /// Everything in the text that must not be there.
    pub(crate) fn findings(&self, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let mut found = |what| findings.push(Finding { line: index + 1, what });
            if self.registries.iter().any(|registry| line.contains(registry.as_str())) {
                found("a package registry's host");
            }
            if self.machine_paths.iter().any(|path| contains_path(line, path)) {
                found("an absolute path of one machine");
            }
            if has_access_key(line)
                || has_private_key(line)
                || has_signature(line)
                || self.token_starts.iter().any(|start| has_token(line, start))
            {
                found("a credential");
            }
        }
        findings
    }
}

/// Whether the path is there and is not the middle of a longer one.
fn contains_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        line[..start].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && !"/._-}~*".contains(before))
    })
}

/// An AWS access key id: four known letters, then sixteen capitals and digits.
fn has_access_key(line: &str) -> bool {
    ["AK", "AS"].iter().any(|start| {
        let start = format!("{start}IA");
        line.match_indices(start.as_str()).any(|(position, _)| {
            let word: String = line[position..]
                .chars()
                .take_while(|character| character.is_ascii_uppercase() || character.is_ascii_digit())
                .collect();
            word.len() == 20 && !word.ends_with(EXAMPLE_KEY_END)
        })
    })
}

fn has_private_key(line: &str) -> bool {
    line.contains(&["-----BEGIN", " "].concat()) && line.contains(&["PRIVATE", " KEY"].concat())
}

/// A presigned URL that still has its signature.
fn has_signature(line: &str) -> bool {
    let start = ["X-Amz-", "Signature="].concat();
    line.match_indices(start.as_str())
        .any(|(position, _)| line[position + start.len()..].chars().take_while(char::is_ascii_hexdigit).count() == 64)
}

fn has_token(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(position, _)| {
        line[position + start.len()..]
            .chars()
            .take_while(|character| character.is_ascii_alphanumeric() || *character == '_')
            .count()
            >= 20
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(line: &str) -> Vec<&'static str> {
        Rules::new(Path::new("/srv/build/here")).findings(line).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn registries_are_found() {
        for host in
            [["https://registry.npm", "js.org/ajv"], ["files.python", "hosted.org"], ["https://static.crates", ".io/x"]]
        {
            assert_eq!(what(&host.concat()), ["a package registry's host"], "{host:?}");
        }
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for path in
            [["see /ho", "me/ann/x"], ["\"/Us", "ers/ann\""], ["/srv/build", "/here/target"], ["cd /wo", "rk/main"]]
        {
            assert_eq!(what(&path.concat()), ["an absolute path of one machine"], "{path:?}");
        }
    }

    #[test]
    fn paths_within_other_paths_are_not() {
        for line in
            [["target/ho", "me/x"], ["https://example.com/wo", "rk/x"], ["${HOME}/wo", "rk/"], ["/var/ta", "sk/"]]
        {
            assert_eq!(what(&line.concat()), Vec::<&str>::new(), "{line:?}");
        }
    }

    #[test]
    fn credentials_are_found() {
        let lines = [
            ["key = AKIA", "Q3EGWV7L5N2PZX4T"].concat(),
            ["-----BEGIN RSA PRIVATE", " KEY-----"].concat(),
            format!("{}{}", ["?X-Amz-", "Signature="].concat(), "0f".repeat(32)),
            ["gh", "p_0123456789abcdefghij0123"].concat(),
        ];
        for line in lines {
            assert_eq!(what(&line), ["a credential"], "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_credential_is_not() {
        for line in [
            ["AKIA", "IOSFODNN7EXAMPLE"].concat(),
            ["AKIA", "SHORT"].concat(),
            ["?X-Amz-", "Signature=REDACTED"].concat(),
            ["-----BEGIN CERTIFICATE", "-----"].concat(),
        ] {
            assert_eq!(what(&line), Vec::<&str>::new(), "{line}");
        }
    }

    #[test]
    fn the_line_is_told() {
        let text = ["one\ntwo\nin /ho", "me/ann\n"].concat();
        assert_eq!(
            Rules::new(Path::new("/srv/build/here")).findings(&text),
            [Finding { line: 3, what: "an absolute path of one machine" }]
        );
    }
}
