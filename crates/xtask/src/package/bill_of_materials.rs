//! The software bill of materials of one Lambda, in the JSON format `CycloneDX` 1.6: the crates that are linked into it,
//! with licences, checksums and who uses whom, and what built it.
//!
//! It is written here and not by cargo-cyclonedx because that tool resolves features for the whole workspace at once,
//! and so lists crates that are not in the program; its documents also differ from run to run.

use serde_json::{Map, Value, json};

use super::Architecture;
use super::inventory::{Crate, Inventory, Linked, Name};

/// What a bill says beside the crates.
#[derive(Debug, Clone)]
pub(super) struct Build<'build> {
    pub(super) lambda: &'build Name,
    pub(super) architecture: Architecture,
    /// SHA-256 of the program, in hexadecimal.
    pub(super) program_digest: &'build str,
    /// The commit it was built from, with a mark if files were changed since.
    pub(super) commit: &'build str,
    /// The commit's time, `YYYY-MM-DDThh:mm:ssZ`.
    pub(super) time: &'build str,
    /// The compiler's version, such as `1.95.0`.
    pub(super) compiler: &'build str,
}

/// The bill, as the file's text.
pub(super) fn bill(inventory: &Inventory, linked: &Linked, build: &Build<'_>) -> String {
    let mut components: Vec<Value> = linked
        .keys()
        .filter(|name| *name != build.lambda)
        .map(|name| component("library", name, inventory.known(name)))
        .collect();
    components.push(standard_library(build.compiler));
    let dependencies: Vec<Value> = linked
        .iter()
        .map(|(user, used)| {
            let reference = |name| reference(name, inventory.known(name));
            json!({ "ref": reference(user), "dependsOn": used.iter().map(reference).collect::<Vec<_>>() })
        })
        .collect();
    let mut program = component("application", build.lambda, inventory.known(build.lambda));
    program["hashes"] = json!([{ "alg": "SHA-256", "content": build.program_digest }]);
    // No serial number: the format wants a new one for each document, and the same commit is to give the same bytes.
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": build.time,
            "lifecycles": [{ "phase": "build" }],
            "tools": { "components": [{ "type": "application", "name": "rustc", "version": build.compiler }] },
            "component": program,
            "properties": [
                { "name": "commit", "value": build.commit },
                { "name": "target", "value": build.architecture.target() },
            ],
        },
        "components": components,
        "dependencies": dependencies,
    });
    format!("{document:#}\n")
}

fn component(kind: &str, name: &Name, known: &Crate) -> Value {
    let mut component = Map::new();
    let mut put = |field: &str, value: Value| component.insert(field.to_owned(), value);
    put("type", json!(kind));
    put("bom-ref", json!(reference(name, known)));
    put("name", json!(name.name));
    put("version", json!(name.version));
    if known.is_published {
        put("purl", json!(package_url(name)));
    }
    if let Some(description) = &known.description {
        put("description", json!(description));
    }
    if let Some(licence) = &known.licence {
        put("licenses", json!([{ "expression": licence }]));
    }
    if let Some(checksum) = &known.checksum {
        put("hashes", json!([{ "alg": "SHA-256", "content": checksum }]));
    }
    if let Some(repository) = &known.repository {
        put("externalReferences", json!([{ "type": "vcs", "url": repository }]));
    }
    Value::Object(component)
}

/// It is linked in like any crate, though no lock file names it.
fn standard_library(compiler: &str) -> Value {
    json!({
        "type": "library",
        "bom-ref": format!("rust-standard-library@{compiler}"),
        "name": "rust-standard-library",
        "version": compiler,
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
    })
}

/// How the document names a crate. Our own have no package URL: it would name a stranger's crate that happens to be
/// called the same.
fn reference(name: &Name, known: &Crate) -> String {
    if known.is_published { package_url(name) } else { format!("{}@{}", name.name, name.version) }
}

fn package_url(name: &Name) -> String {
    // A version's build metadata begins with a plus, which a package URL has to encode.
    format!("pkg:cargo/{}@{}", name.name, name.version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workspace::Workspace;

    fn bill_of(lambda: &str) -> (Value, Linked, String) {
        let inventory = Inventory::read(Workspace::here().root()).unwrap();
        let linked = inventory.linked(lambda, Architecture::Arm64).unwrap();
        let build = Build {
            lambda: inventory.lambda(lambda).unwrap(),
            architecture: Architecture::Arm64,
            program_digest: "ab12",
            commit: "c0ffee",
            time: "2026-11-20T09:51:28Z",
            compiler: "1.95.0",
        };
        let text = bill(&inventory, &linked, &build);
        assert_eq!(bill(&inventory, &linked, &build), text, "the same build has another bill");
        (serde_json::from_str(&text).unwrap(), linked, text)
    }

    fn list(value: &Value) -> &Vec<Value> {
        value.as_array().unwrap()
    }

    #[test]
    fn every_linked_crate_is_listed_once_with_its_licence_and_checksum() {
        let (bill, linked, _) = bill_of("notify");
        let components = list(&bill["components"]);
        let names: BTreeSet<(&str, &str)> = components
            .iter()
            .map(|component| (component["name"].as_str().unwrap(), component["version"].as_str().unwrap()))
            .collect();
        assert_eq!(names.len(), components.len(), "a crate is listed twice");
        let mut expected: BTreeSet<(&str, &str)> =
            linked.keys().map(|name| (name.name.as_str(), name.version.as_str())).collect();
        expected.retain(|(name, _)| *name != "notify");
        expected.insert(("rust-standard-library", "1.95.0"));
        assert_eq!(names, expected);

        for component in components {
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        }
        let tokio = components.iter().find(|component| component["name"] == "tokio").unwrap();
        assert_eq!(tokio["licenses"], json!([{ "expression": "MIT" }]));
        assert_eq!(tokio["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert_eq!(tokio["purl"], format!("pkg:cargo/tokio@{}", tokio["version"].as_str().unwrap()));
    }

    #[test]
    fn our_own_crates_have_no_package_url() {
        let (bill, _, _) = bill_of("notify");
        let own = list(&bill["components"]).iter().find(|component| component["name"] == "lifecycle").unwrap();
        assert_eq!(own["bom-ref"], "lifecycle@0.1.0");
        assert_eq!((own.get("purl"), own.get("hashes")), (None, None));
    }

    #[test]
    fn the_program_and_its_build_are_named() {
        let (bill, _, _) = bill_of("notify");
        let program = &bill["metadata"]["component"];
        assert_eq!((&program["type"], &program["name"]), (&json!("application"), &json!("notify")));
        assert_eq!(program["hashes"], json!([{ "alg": "SHA-256", "content": "ab12" }]));
        assert_eq!(bill["metadata"]["timestamp"], "2026-11-20T09:51:28Z");
        let properties = &bill["metadata"]["properties"];
        assert_eq!(properties[0], json!({ "name": "commit", "value": "c0ffee" }));
        assert_eq!(properties[1], json!({ "name": "target", "value": "aarch64-unknown-linux-gnu" }));
    }

    #[test]
    fn who_uses_whom_is_told_among_the_listed_alone() {
        let (bill, _, _) = bill_of("notify");
        let mut references: Vec<&Value> =
            list(&bill["components"]).iter().map(|component| &component["bom-ref"]).collect();
        references.push(&bill["metadata"]["component"]["bom-ref"]);
        let dependencies = list(&bill["dependencies"]);
        for dependency in dependencies {
            assert!(references.contains(&&dependency["ref"]), "{dependency}");
            for used in list(&dependency["dependsOn"]) {
                assert!(references.contains(&used), "{used}");
            }
        }
        let own = dependencies.iter().find(|dependency| dependency["ref"] == "notify@0.1.0").unwrap();
        assert!(list(&own["dependsOn"]).contains(&json!("lifecycle@0.1.0")), "{own}");
    }

    #[test]
    fn nothing_of_this_machine_is_in_it() {
        let (_, _, text) = bill_of("notify");
        let root = Workspace::here().root().display().to_string();
        assert!(!text.contains(&root));
    }

    #[test]
    fn a_plus_in_a_version_is_encoded() {
        let name = Name { name: "toml".to_owned(), version: "1.2.1+spec-1.1.0".to_owned() };
        assert_eq!(package_url(&name), "pkg:cargo/toml@1.2.1%2Bspec-1.1.0");
    }
}
