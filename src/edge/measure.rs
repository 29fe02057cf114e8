//! The door's metrics: every name in one list, in base units, as Prometheus asks for.

use metrics::{describe_gauge, describe_histogram};

/// Open connections, handshakes included.
pub const OPEN_CONNECTIONS: &str = "isthmus_edge_open_connections";
/// Connections that ended without a handshake, by `reason`.
pub const HANDSHAKES_FAILED: &str = "isthmus_edge_handshakes_failed_total";
/// Requests, by `route`, `status` and `code` (of the problem, empty where there is none).
pub const REQUESTS: &str = "isthmus_edge_requests_total";
/// From the end of a request's headers to the beginning of its answer, by `route`.
pub const REQUEST_SECONDS: &str = "isthmus_edge_request_seconds";
/// Opening a sealed payload, the wait for a thread included, by `outcome` (`opened` or `unreadable`).
pub const ENVELOPE_OPEN_SECONDS: &str = "isthmus_edge_envelope_open_seconds";
/// Sealing an answer.
pub const ENVELOPE_SEAL_SECONDS: &str = "isthmus_edge_envelope_seal_seconds";

/// Messages of acquirers, by `door`, `class` of the message type and `outcome`: a result, or why there is none.
pub const ACQUIRER_MESSAGES: &str = "isthmus_edge_acquirer_messages_total";
/// From a message of an acquirer to its answer, by `door`.
pub const ACQUIRER_SECONDS: &str = "isthmus_edge_acquirer_message_seconds";
/// Connections that acquirers were refused, by `door` and `reason`.
pub const ACQUIRER_REFUSED: &str = "isthmus_edge_acquirer_connections_refused_total";
/// Lines of the access log that could not be written, or found no room to wait.
pub const ACCESS_LINES_LOST: &str = "isthmus_edge_access_lines_lost_total";

/// Tells the recorder what the names mean. Once a process, before the door opens.
pub fn describe() {
    use metrics::{Unit, describe_counter};
    describe_gauge!(OPEN_CONNECTIONS, "Open connections of merchants, handshakes included");
    describe_counter!(HANDSHAKES_FAILED, "Connections of merchants that ended without a handshake");
    describe_counter!(REQUESTS, "Requests of merchants");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "From a request's headers to the beginning of its answer");
    describe_counter!(ACQUIRER_MESSAGES, "Messages of acquirers");
    describe_histogram!(ACQUIRER_SECONDS, Unit::Seconds, "From a message of an acquirer to its answer");
    describe_counter!(ACQUIRER_REFUSED, "Connections that acquirers were refused");
    describe_histogram!(ENVELOPE_OPEN_SECONDS, Unit::Seconds, "Opening a sealed payload");
    describe_counter!(ACCESS_LINES_LOST, "Lines of the access log that were lost");
    describe_histogram!(ENVELOPE_SEAL_SECONDS, Unit::Seconds, "Sealing an answer");
}
