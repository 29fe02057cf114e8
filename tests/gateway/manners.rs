//! What a request says beside what it asks for: its name and its trace.

use crate::stage::{open, sale};
use serde_json::{Value, json};

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

#[tokio::test]
async fn each_request_has_a_line_without_secrets() {
    let stage = open().await;
    let mut client = stage.client();
    let path = "/v1/payments?reference=4111111111111111&idempotency_key=secret-key";
    let request = client.request("GET".parse().unwrap(), path);
    let request = request.header("x-request-id", "r-1").header("traceparent", TRACE);
    let listed = client.send(request, Vec::new().into()).await.unwrap();
    assert_eq!(listed.status, 200);
    let paid = client.post("/v1/payments", "secret-key", &sale(1000)).await.unwrap();
    let id = paid.body["id"].as_str().unwrap().to_owned();
    assert_eq!(client.get(&format!("/v1/payments/{id}")).await.unwrap().status, 200);
    assert_eq!(client.get("/v1/4111111111111111").await.unwrap().status, 404);
    let mut stranger = stage.client_with_key(Some("isk_nobody"));
    assert_eq!(stranger.get("/v1/payments").await.unwrap().status, 401);
    let path = stage.vault.join("access.jsonl");
    stage.doors.drain().await;
    let text = std::fs::read_to_string(&path).unwrap();
    for secret in ["41111", "secret-key", "isk_", id.as_str(), "reference"] {
        assert!(!text.contains(secret), "{secret} stands in\n{text}");
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(told("merchant"), [json!("acme"), json!("acme"), json!("acme"), json!(null), json!(null)]);
    assert_eq!(told("method"), ["GET", "POST", "GET", "GET", "GET"]);
    let routes = ["/v1/payments", "/v1/payments", "/v1/payments/{id}", "none", "/v1/payments"];
    assert_eq!(told("route"), routes);
    assert_eq!(told("status"), [200, 201, 200, 404, 401]);
    assert_eq!((&lines[3]["code"], &lines[4]["code"]), (&json!("not_found"), &json!("unauthenticated")));
    assert_eq!((&lines[0]["request_id"], &lines[0]["trace_id"]), (&json!("r-1"), &json!(&TRACE[3..35])));
    assert_eq!(lines[1]["bytes_in"], sale(1000).to_string().len());
    assert_eq!(lines[1]["bytes_out"], paid.received.len());
    assert_eq!(lines[1]["address"], "127.0.0.1");
    assert!(lines.iter().all(|line| line["duration_us"].as_u64().is_some_and(|took| took > 0)));
}

#[tokio::test]
async fn who_hangs_up_has_a_line_without_a_status() {
    let mut stage = open().await;
    let mut client = stage.client();
    let waiting = tokio::spawn(async move { client.post("/v1/payments", "k", &sale(1098)).await });
    assert!(stage.seen.recv().await.is_some());
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let path = stage.vault.join("access.jsonl");
    let mut text = String::new();
    while !text.ends_with('\n') {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        text = std::fs::read_to_string(&path).unwrap();
    }
    let line: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!((&line["merchant"], &line["status"]), (&json!("acme"), &Value::Null));
}
