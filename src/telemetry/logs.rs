//! Logs: lines on standard error, text or JSON.
//!
//! No line holds a subscriber's number in full: log `Identity::masked()` or `ids::mask(..)`, never the number.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The level is neither a level nor directives.
    #[error("log level: {0}")]
    Level(#[from] ParseError),
    /// The process logs already.
    #[error("logs are set up already")]
    Twice,
}

/// Sets up logs of the process. `level` is a level, or directives such as `info,tollgate::server=debug`.
///
/// # Errors
///
/// The level cannot be read, or logs are set up already.
pub fn init(format: Format, level: &str) -> Result<(), InitError> {
    let filter = EnvFilter::builder().parse(level)?;
    // Colours are for people at a terminal, not for files.
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let done = match format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| InitError::Twice)
}
