//! The zip that Lambda takes: one executable named `bootstrap`. The same content and time are the same bytes on every
//! machine.

use std::io::{Cursor, Write};

// Zip compresses with flate2, and we choose its back end: one that is Rust alone and takes no short cut that only some
// processors offer, as the compressed bytes would differ with it.
use flate2 as _;
use thiserror::Error;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// What Lambda's runtime `provided.al2023` starts.
pub(super) const ENTRY: &str = "bootstrap";
const PERMISSIONS: u32 = 0o755;
/// As small as it gets: it is made once and fetched at every cold start.
const COMPRESSION_LEVEL: i64 = 9;

/// Why there is no archive.
#[derive(Debug, Error)]
pub(super) enum ArchiveError {
    /// The time is not `YYYY-MM-DDThh:mm:ssZ`, or lies outside of what a zip can tell, which begins in 1980.
    #[error("{0} is no time that a zip can hold")]
    Time(String),
    /// Zip refused.
    #[error("cannot write the zip")]
    Zip(#[from] zip::result::ZipError),
    /// The content could not be compressed.
    #[error("cannot compress the program")]
    Write(#[from] std::io::Error),
}

/// A zip whose only entry is the program, dated with that time (`YYYY-MM-DDThh:mm:ssZ`).
pub(super) fn archive(program: &[u8], time: &str) -> Result<Vec<u8>, ArchiveError> {
    let options = SimpleFileOptions::DEFAULT
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(COMPRESSION_LEVEL))
        .system(zip::System::Unix)
        .last_modified_time(date_time(time).ok_or_else(|| ArchiveError::Time(time.to_owned()))?)
        .unix_permissions(PERMISSIONS);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(ENTRY, options)?;
    writer.write_all(program)?;
    Ok(writer.finish()?.into_inner())
}

fn date_time(time: &str) -> Option<DateTime> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let mut clock = clock.splitn(3, ':');
    let year = date.next()?.parse().ok()?;
    let two_digits = |part: Option<&str>| part?.parse::<u8>().ok();
    let (month, day) = (two_digits(date.next())?, two_digits(date.next())?);
    let (hour, minute, second) = (two_digits(clock.next())?, two_digits(clock.next())?, two_digits(clock.next())?);
    DateTime::from_date_and_time(year, month, day, hour, minute, second).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use zip::ZipArchive;

    use super::*;

    const TIME: &str = "2026-11-20T09:51:28Z";

    #[test]
    fn the_one_entry_is_an_executable_bootstrap_of_the_commits_time() {
        let program: Vec<u8> = (0..100_000_u32).map(|index| (index / 7 % 251) as u8).collect();
        let bytes = archive(&program, TIME).unwrap();
        assert!(bytes.len() < program.len() / 2, "it is not compressed: {} bytes", bytes.len());

        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), 1);
        let mut entry = archive.by_index(0).unwrap();
        assert_eq!(entry.name().unwrap(), "bootstrap");
        assert_eq!(entry.unix_mode().map(|mode| mode & 0o7777), Some(0o755));
        assert_eq!(entry.last_modified().map(|time| time.to_string()).as_deref(), Some("2026-11-20 09:51:28"));
        let mut unpacked = Vec::new();
        entry.read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, program);
    }

    #[test]
    fn the_bytes_depend_on_the_program_and_the_time_alone() {
        let first = archive(b"program", TIME).unwrap();
        assert_eq!(archive(b"program", TIME).unwrap(), first);
        assert_ne!(archive(b"another", TIME).unwrap(), first);
        assert_ne!(archive(b"program", "2026-11-20T09:51:30Z").unwrap(), first);
    }

    #[test]
    fn a_time_that_a_zip_cannot_hold_is_refused() {
        for time in ["1979-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "2026-11-20", "2026-11-20T09:51:28+01:00", ""] {
            assert!(matches!(archive(b"", time), Err(ArchiveError::Time(_))), "{time}");
        }
    }
}
