//! The `[hosts.stand_in]` table: what may be approved in the place of a bank that is down.

use crate::payment::{Brand, CardPrint, Currency, MerchantId, MessageKind};
use crate::switch::{StandInLimit, StandInSettings};
use crate::translation::Translation;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The `[hosts.stand_in]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandInConfig {
    /// The first that is for a payment decides.
    pub limits: Vec<LimitConfig>,
    /// Cards that nothing is promised to: on each line 64 hex digits, the keyed hash of a card number under the key of
    /// `keys.fingerprint_key_file` (`isthmus operator card-hash` prints it); what follows a `#` is a remark.
    pub negative_list_file: Option<PathBuf>,
}

/// One `[[hosts.stand_in.limits]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// For which brands; for all of them if absent.
    #[serde(default)]
    pub brands: Vec<String>,
    /// For which merchants; for all of them if absent.
    #[serde(default)]
    pub merchants: Vec<String>,
    /// For amounts in this currency.
    pub currency: String,
    /// Greatest amount of one payment, in minor units.
    pub amount_max: u64,
    /// Most payments of a card within the window.
    pub count_max: usize,
    /// Greatest sum of a card within the window, in minor units.
    pub sum_max: u64,
    /// How far back is counted.
    pub window_minutes: u64,
}

type Wrong = (&'static str, String);

impl StandInConfig {
    /// Checks it against the dialect, which has to describe the advices. A mistake is a key and what was expected.
    pub(super) fn settings(&self, translation: &Translation, folder: &Path) -> Result<StandInSettings, Wrong> {
        for (kind, name) in
            [(MessageKind::StandInAdvice, "stand_in_advice"), (MessageKind::StandInSale, "stand_in_sale")]
        {
            if translation.head(kind).is_none() {
                return Err(("limits", format!("a dialect whose mapping.messages describes {name}")));
            }
        }
        let limits = self.limits.iter().map(LimitConfig::limit).collect::<Result<Vec<_>, Wrong>>()?;
        if limits.is_empty() {
            return Err(("limits", "at least one [[hosts.stand_in.limits]] table".to_owned()));
        }
        let negative = self.negative_list_file.as_ref().map(|file| negative(&folder.join(file))).transpose()?;
        Ok(StandInSettings { limits, negative: negative.unwrap_or_default() })
    }
}

impl LimitConfig {
    fn limit(&self) -> Result<StandInLimit, Wrong> {
        let wrong = |key, expected: &str| (key, expected.to_owned());
        let brands = self.brands.iter().map(|name| Brand::from_name(name)).collect::<Option<_>>();
        let merchants = self.merchants.iter().map(|id| MerchantId::new(id)).collect::<Option<_>>();
        if self.amount_max == 0 || self.count_max == 0 || self.sum_max < self.amount_max || self.window_minutes == 0 {
            let expected = "amount_max, count_max and window_minutes above zero, and sum_max not below amount_max";
            return Err(wrong("limits", expected));
        }
        Ok(StandInLimit {
            brands: brands.ok_or_else(|| wrong("limits.brands", "visa, mastercard or another brand"))?,
            merchants: merchants.ok_or_else(|| wrong("limits.merchants", "ids of merchants"))?,
            currency: Currency::from_code(&self.currency)
                .ok_or_else(|| wrong("limits.currency", "a code of ISO 4217"))?,
            amount_max: self.amount_max,
            count_max: self.count_max,
            sum_max: self.sum_max,
            window: Duration::from_secs(self.window_minutes.saturating_mul(60)),
        })
    }
}

fn negative(path: &Path) -> Result<BTreeSet<CardPrint>, Wrong> {
    let wrong = |expected: String| ("negative_list_file", expected);
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("a readable file ({error})")))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).zip(1..);
    let print = |(line, number): (&str, u32)| {
        let hash = data_encoding::HEXLOWER_PERMISSIVE.decode(line.as_bytes()).ok();
        let hash: Option<[u8; 32]> = hash.and_then(|hash| hash.try_into().ok());
        hash.map(CardPrint).ok_or_else(|| wrong(format!("64 hex digits on line {number} of the file")))
    };
    lines.filter(|(line, _)| !line.is_empty()).map(print).collect()
}
