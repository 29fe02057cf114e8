//! `isthmus iso encode`: JSON to bytes.

use std::io::{self, Write};

use serde_json::json;

use super::failure::Failure;
use super::{dialect, input};
use crate::iso8583::to_hex;
use crate::iso8583::view::MessageJson;

/// Write messages: the JSON that decode prints (with --unmasked), to hexadecimal, a line each.
///
/// A composite element may be given in parts or as one undivided value; values shorter than a fixed
/// length are filled as the dialect says. The bitmap is made from the elements.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Encode {
    /// A built-in dialect, or a dialect file
    #[arg(long, value_name = "NAME_OR_FILE")]
    spec: String,
    /// A file of JSON objects, or - for stdin
    #[arg(default_value = "-")]
    file: String,
}

const EXAMPLES: &str = "Example:
  echo '{\"mti\":\"0800\",\"fields\":{\"7\":\"0420090613\",\"11\":\"900001\",\"70\":\"301\"}}' |
    isthmus iso encode --spec iso8583-1987-ascii";

impl Encode {
    pub(super) fn run(self) -> Result<(), Failure> {
        let spec = dialect::find(&self.spec)?;
        let text = input::text_of(&self.file)?;
        let mut out = io::stdout().lock();
        let objects = serde_json::Deserializer::from_str(&text).into_iter::<MessageJson>();
        for object in objects {
            let builder = object.map_err(refused)?.into_builder(&spec)?;
            writeln!(out, "{}", to_hex(&spec.encode_to_bytes(&builder)?))?;
        }
        Ok(())
    }
}

fn refused(error: serde_json::Error) -> Failure {
    Failure::Told(vec![json!({
        "error": error.to_string(),
        "code": "json",
        "line": error.line(),
        "column": error.column(),
    })])
}
