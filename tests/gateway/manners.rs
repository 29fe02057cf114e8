//! What a request says beside what it asks for: its name and its trace.

use crate::stage::{open, sale};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_trace_is_kept_with_the_operation_that_it_began() {
    let mut stage = open().await;
    let mut client = stage.client();
    let mut traces = Vec::new();
    for (key, sent) in [("k1", vec![TRACE]), ("k2", vec!["00-nonsense"]), ("k3", vec![TRACE, TRACE]), ("k4", vec![])] {
        let request = client.request("POST".parse().unwrap(), "/v1/payments").header("idempotency-key", key);
        let request = request.header("content-type", "application/json");
        let request = sent.into_iter().fold(request, |request, trace| request.header("traceparent", trace));
        let trip = client.send(request, sale(1000).to_string().into()).await.unwrap();
        assert_eq!(trip.status, 201, "{key}");
        let submission = stage.seen.recv().await.unwrap();
        traces.push(submission.provenance.and_then(|from| from.trace).map(|trace| trace.to_string()));
    }
    assert_eq!(traces, [Some(TRACE.to_owned()), None, None, None], "one that is written wrong counts as none");
}
