//! The thread that fills the views behind the journal. Where they fail it tries again; nothing is passed over.

use super::JournalError;
use super::log::Log;
use super::measure;
use super::tail::{Noted, Tail};
use super::views::Views;
use std::sync::Arc;
use std::time::Duration;

/// Rows in one transaction of the views.
pub(super) const BATCH: usize = 8192;

/// How long rows are gathered for one transaction. Readers find them in the tail meanwhile; what a transaction costs by
/// itself, and a page that many rows touch, is then paid once.
const GATHERING: Duration = Duration::from_millis(50);

const RETRY: Duration = Duration::from_millis(200);

/// The views' writer.
pub(super) struct Filler {
    pub(super) tail: Arc<Tail>,
    pub(super) views: Views,
    pub(super) log: Log,
}

impl Filler {
    /// Works until the tail is closed and empty, or closed and the views fail.
    pub(super) fn run(mut self) {
        while let Some(rows) = self.tail.oldest(BATCH, GATHERING) {
            match self.take(&rows) {
                Ok(cursor) => self.tail.trim(cursor),
                Err(error) => {
                    tracing::error!(code = error.code(), %error, "the views cannot be filled");
                    if self.tail.views_fail(RETRY) {
                        return;
                    }
                }
            }
            metrics::gauge!(measure::VIEW_LAG_RECORDS).set(self.tail.len() as f64);
        }
    }

    fn take(&mut self, rows: &[Noted]) -> Result<i64, JournalError> {
        self.views.take(rows.iter().map(|noted| &*noted.row), &self.log)
    }
}
