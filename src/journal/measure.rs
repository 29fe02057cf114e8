//! Names of the journal's metrics.

/// Records in one commit.
pub const BATCH_RECORDS: &str = "isthmus_journal_batch_records";
/// Time of one commit with its sync.
pub const COMMIT_SECONDS: &str = "isthmus_journal_commit_seconds";
/// Appends by `result`: recorded, key_used, version_taken, unavailable.
pub const APPENDS_TOTAL: &str = "isthmus_journal_appends_total";
/// Records that the views have not taken yet.
pub const VIEW_LAG_RECORDS: &str = "isthmus_journal_view_lag_records";
/// Time in which commits waited for the views.
pub const VIEW_WAIT_SECONDS: &str = "isthmus_journal_view_wait_seconds";
/// 1 while the store takes writes.
pub const WRITABLE: &str = "isthmus_journal_writable";
/// Time of one checkpoint, beside the commits.
pub const CHECKPOINT_SECONDS: &str = "isthmus_journal_checkpoint_seconds";
/// Size of the write-ahead log in use at its last checkpoint.
pub const WAL_BYTES: &str = "isthmus_journal_wal_bytes";
