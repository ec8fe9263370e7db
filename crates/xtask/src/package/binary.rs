//! What a built program must fulfil before it is packed: it is for the right processor, it starts with the C library of
//! Lambda's runtime, and it names no directory of the machine that built it.

use object::elf::{EM_AARCH64, EM_X86_64};
use object::read::elf::{ElfFile64, FileHeader};
use object::{Endianness, FileKind};
use thiserror::Error;

use super::Architecture;

/// The version of glibc in `provided.al2023`, major and minor.
pub(super) const RUNTIME_GLIBC: (u32, u32) = (2, 34);

/// Why a program is not packed.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum BinaryError {
    /// It is no 64-bit ELF file, or a broken one.
    #[error("the program is no ELF file that can be read: {0}")]
    NoElf(String),
    /// It is for another processor.
    #[error("the program is for another processor (ELF machine {found}), not for {expected}")]
    Processor {
        /// The machine in its header.
        found: u16,
        /// What it was built for.
        expected: Architecture,
    },
    /// It would not start on Lambda.
    #[error("the program needs {symbols}, and glibc of Lambda's runtime is {}.{}", limit.0, limit.1)]
    Glibc {
        /// The symbol versions that are too new.
        symbols: String,
        /// The newest that the runtime has.
        limit: (u32, u32),
    },
    /// Built elsewhere it would be other bytes.
    #[error("the program names a directory of this machine ({0}): built elsewhere it would be other bytes")]
    Directory(String),
}

/// Checks it. `directories` are those that must not occur in it.
pub(super) fn check(program: &[u8], architecture: Architecture, directories: &[String]) -> Result<(), BinaryError> {
    let found = machine(program)?;
    let expected = match architecture {
        Architecture::Arm64 => EM_AARCH64,
        Architecture::X86_64 => EM_X86_64,
    };
    if found != expected {
        return Err(BinaryError::Processor { found, expected: architecture });
    }
    if let Some(directory) = directories.iter().find(|directory| contains(program, directory.as_bytes())) {
        return Err(BinaryError::Directory(directory.clone()));
    }
    check_glibc(program, RUNTIME_GLIBC)
}

fn check_glibc(program: &[u8], limit: (u32, u32)) -> Result<(), BinaryError> {
    let mut too_new: Vec<String> = needed_versions(program)?
        .into_iter()
        .filter(|name| glibc(name).is_some_and(|version| version > limit))
        .collect();
    too_new.sort();
    if too_new.is_empty() { Ok(()) } else { Err(BinaryError::Glibc { symbols: too_new.join(", "), limit }) }
}

/// The version in a name such as `GLIBC_2.34`; a third part does not count. None for other libraries' names, and for
/// `GLIBC_PRIVATE` and the like, which have no number.
fn glibc(name: &str) -> Option<(u32, u32)> {
    let mut parts = name.strip_prefix("GLIBC_")?.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

fn elf(program: &[u8]) -> Result<ElfFile64<'_, Endianness>, BinaryError> {
    match FileKind::parse(program) {
        Ok(FileKind::Elf64) => ElfFile64::parse(program).map_err(unreadable),
        Ok(_) => Err(BinaryError::NoElf("it is of another kind".to_owned())),
        Err(error) => Err(unreadable(error)),
    }
}

fn machine(program: &[u8]) -> Result<u16, BinaryError> {
    let elf = elf(program)?;
    Ok(elf.elf_header().e_machine(elf.endian()))
}

/// The names of all symbol versions that it needs of its shared libraries.
fn needed_versions(program: &[u8]) -> Result<Vec<String>, BinaryError> {
    let elf = elf(program)?;
    let endian = elf.endian();
    let sections = elf.elf_section_table();
    let mut names = Vec::new();
    let Some((mut libraries, link)) = sections.gnu_verneed(endian, program).map_err(unreadable)? else {
        return Ok(names);
    };
    let strings = sections.strings(endian, program, link).map_err(unreadable)?;
    while let Some((_, mut versions)) = libraries.next().map_err(unreadable)? {
        while let Some(version) = versions.next().map_err(unreadable)? {
            let name = version.name(endian, strings).map_err(unreadable)?;
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(names)
}

fn unreadable(error: object::Error) -> BinaryError {
    BinaryError::NoElf(error.to_string())
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && content.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own program stands for a Lambda: it is linked with the machine's own C library.
    #[cfg(target_os = "linux")]
    fn own_program() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn versions_of_glibc_are_compared_as_numbers() {
        for (name, expected) in [
            ("GLIBC_2.34", Some((2, 34))),
            ("GLIBC_2.4", Some((2, 4))),
            ("GLIBC_2.2.5", Some((2, 2))),
            ("GLIBC_PRIVATE", None),
            ("GCC_3.0", None),
        ] {
            assert_eq!(glibc(name), expected, "{name}");
        }
        assert!(glibc("GLIBC_2.4") < glibc("GLIBC_2.34"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_that_needs_a_newer_glibc_is_refused_by_the_symbols_name() {
        let program = own_program();
        let newest = needed_versions(&program).unwrap().iter().filter_map(|name| glibc(name)).max().unwrap();
        assert_eq!(check_glibc(&program, newest), Ok(()));
        let limit = (newest.0, newest.1 - 1);
        let refused = check_glibc(&program, limit).unwrap_err().to_string();
        assert!(refused.contains(&format!("GLIBC_{}.{}", newest.0, newest.1)), "{refused}");
        assert!(refused.ends_with(&format!("glibc of Lambda's runtime is {}.{}", limit.0, limit.1)), "{refused}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_for_another_processor_is_refused() {
        let (own, other) = if cfg!(target_arch = "aarch64") {
            (Architecture::Arm64, Architecture::X86_64)
        } else {
            (Architecture::X86_64, Architecture::Arm64)
        };
        let program = own_program();
        assert!(!matches!(check(&program, own, &[]), Err(BinaryError::Processor { .. })));
        assert!(
            matches!(check(&program, other, &[]), Err(BinaryError::Processor { expected, .. }) if expected == other)
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_that_names_a_directory_of_this_machine_is_refused() {
        let own = if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 };
        let named = crate::workspace::Workspace::here().root().display().to_string();
        assert_eq!(check(&own_program(), own, std::slice::from_ref(&named)), Err(BinaryError::Directory(named)));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for content in [&b""[..], b"#!/bin/sh\necho a script that is long enough for a header of any kind\n"] {
            assert!(matches!(check(content, Architecture::Arm64, &[]), Err(BinaryError::NoElf(_))));
        }
    }

    #[test]
    fn a_directory_is_found_wherever_it_stands() {
        assert!(contains(b"\0/somewhere/project/src/main.rs\0", b"/somewhere/project"));
        assert!(!contains(b"\0/source/src/main.rs\0", b"/somewhere/project"));
        assert!(!contains(b"short", b"longer than it"));
        assert!(!contains(b"anything", b""));
    }
}
