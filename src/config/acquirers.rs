//! The `[[acquirers]]` tables: doors of `edge`, each with its dialect read.

use super::dialect_layers;
use super::hosts::dialect;
use super::mistake::Mistake;
use crate::edge::{AcquirerDoor, AcquirerSettings};
use crate::framing::Framing;
use crate::link::Network;
use std::path::Path;
use std::sync::Arc;

/// Checks the tables and reads their dialects: all mistakes at once. Files are looked for from `folder`.
pub(super) fn build(
    acquirers: &[AcquirerSettings],
    folder: &Path,
    path: &Path,
) -> Result<Vec<AcquirerDoor>, Vec<Mistake>> {
    let (mut doors, mut mistakes) = (Vec::new(), Vec::new());
    for (number, settings) in acquirers.iter().enumerate() {
        let key = |key: &str| format!("acquirers[{number}].{key}");
        if acquirers[..number].iter().any(|other| other.name == settings.name) {
            mistakes.push(Mistake::in_file(path, &key("name"), &format!("{:?} once only", settings.name)));
        }
        match door(settings, folder, path) {
            Ok(door) => doors.push(door),
            Err(found) => {
                mistakes.extend(found.into_iter().map(|mistake| match mistake.key.strip_prefix("acquirers.") {
                    Some(wrong) => Mistake { key: key(wrong), ..mistake },
                    None => mistake,
                }))
            }
        }
    }
    if mistakes.is_empty() { Ok(doors) } else { Err(mistakes) }
}

fn door(settings: &AcquirerSettings, folder: &Path, path: &Path) -> Result<AcquirerDoor, Vec<Mistake>> {
    let wrong = |key: &str, expected: &str| Mistake::in_file(path, &format!("acquirers.{key}"), expected);
    let found: Vec<Mistake> = settings.mistakes().into_iter().map(|(key, expected)| wrong(key, expected)).collect();
    if !found.is_empty() {
        return Err(found);
    }
    let framing = Framing::new(&settings.framing)
        .map_err(|error| vec![wrong(&format!("framing.{}", error.key), &error.expected)])?;
    let layers = dialect_layers(&settings.dialect, folder)?;
    let (translation, session) = dialect(&settings.dialect, &layers)?;
    if !translation.answers_acquirers() {
        return Err(vec![wrong("dialect", "a dialect with mapping.inbound.codes: how acquirers are answered")]);
    }
    Ok(AcquirerDoor {
        settings: settings.clone(),
        translation: Arc::new(translation),
        network: Network::new(session.network),
        framing,
        pins: settings.pins().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn built(text: &str) -> Result<Vec<AcquirerDoor>, Vec<String>> {
        #[derive(serde::Deserialize)]
        struct File {
            acquirers: Vec<AcquirerSettings>,
        }
        let file: File = toml::from_str(text).unwrap();
        let built = build(&file.acquirers, Path::new("."), Path::new("isthmus.toml"));
        built.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    const POS: &str = "[[acquirers]]\nname = 'pos'\nlisten = '127.0.0.1:0'\nmerchants = ['acme']\ndialect = ";

    #[test]
    fn every_built_in_dialect_of_the_first_two_editions_can_be_spoken_at_a_door() {
        for dialect in ["iso8583-1987-ascii", "iso8583-1987-bcd", "iso8583-1993-ascii", "iso8583-1993-bcd"] {
            assert_eq!(built(&format!("{POS}'{dialect}'")).unwrap().len(), 1, "{dialect}");
        }
    }

    #[test]
    fn mistakes_name_their_table_and_key() {
        let told = |text: &str| built(text).unwrap_err().join("\n");
        assert!(told(&format!("{POS}'nowhere.toml'")).contains("nowhere.toml"));
        let two = format!("{POS}'iso8583-1987-bcd'\n{POS}'iso8583-1987-bcd'\nacquirer_ids = ['x']\n");
        let told = told(&two);
        assert!(told.contains("acquirers[1].name") && told.contains("acquirers[1].acquirer_ids"), "{told}");
    }
}
