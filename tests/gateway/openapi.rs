//! The API's own description held to the API: its routes, its codes, its fields, and each example in it, sent and
//! compared with the answer that the document gives beside it.

use crate::stage::{Stage, open};
use isthmus::client::Client;
use isthmus::edge::{Code, OPENAPI, VERSIONS, paths};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

fn members(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("an object, not {value}"))
}

/// What a reference stands for, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere"),
        None => value,
    }
}

/// Each operation with its path and method.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let of_path = |(path, resource): (&String, &'_ Value)| {
        let methods: Vec<_> = members(resource).keys().cloned().collect();
        methods.into_iter().map(|method| (path.clone(), method)).collect::<Vec<_>>()
    };
    let named: Vec<_> = members(&document["paths"]).iter().flat_map(of_path).collect();
    named
        .into_iter()
        .map(|(path, method)| {
            let operation = &document["paths"][&path][&method];
            (path, method, operation)
        })
        .collect()
}

#[test]
fn paths_codes_and_versions_are_those_of_the_code() {
    let document = document();
    let described: BTreeSet<&str> = members(&document["paths"]).keys().map(String::as_str).collect();
    assert_eq!(described, paths().into_iter().collect());
    let codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    let described: BTreeSet<&str> = codes.iter().map(|code| code.as_str().unwrap()).collect();
    // Those of the framed door are told in frames alone.
    let framed = [Code::EnvelopeInvalid, Code::OperationUnknown];
    let of_http = Code::ALL.iter().filter(|code| !framed.contains(code));
    assert_eq!(described, of_http.clone().map(|code| code.name()).collect());
    let statuses: BTreeSet<String> = of_http.map(|code| code.status().to_string()).collect();
    let responses =
        operations(&document).into_iter().flat_map(|(_, _, operation)| members(&operation["responses"]).keys());
    let responses: BTreeSet<String> = responses.cloned().collect();
    let of_any_route = ["405".to_owned()];
    let told: BTreeSet<String> = statuses.into_iter().filter(|status| !of_any_route.contains(status)).collect();
    let expected: BTreeSet<String> = ["200", "201", "202"].map(str::to_owned).into_iter().chain(told).collect();
    assert_eq!(responses, expected);
    assert_eq!(document["info"]["version"], *VERSIONS.last().unwrap());
    let version = &document["components"]["parameters"]["Version"]["schema"]["enum"];
    assert_eq!(*version, serde_json::json!(VERSIONS));
}

#[tokio::test]
async fn the_methods_are_those_of_the_routes() {
    let document = document();
    let stage = open().await;
    let mut client = stage.client();
    for (path, resource) in members(&document["paths"]) {
        for method in ["get", "post", "put", "patch", "delete"] {
            let request = client.request(method.to_uppercase().parse().unwrap(), &path.replace("{id}", "x"));
            let trip = client.send(request, Default::default()).await.unwrap();
            let is_known = trip.status != 405;
            assert_eq!(is_known, resource.get(method).is_some(), "{method} {path}: {}", trip.body);
            assert_eq!(trip.headers["isthmus-version"], VERSIONS[0]);
            if !is_known {
                let allowed = trip.headers["allow"].to_str().unwrap().to_lowercase();
                assert!(members(resource).keys().all(|method| allowed.contains(method)), "{path}: {allowed}");
            }
        }
    }
}

#[tokio::test]
async fn document_and_page_are_served_to_anyone() {
    let stage = open().await;
    let mut client = stage.client_with_key(None);
    let served = client.get("/v1/openapi.json").await.unwrap();
    assert_eq!((served.status.as_u16(), &served.body), (200, &document()));
    let request = client.request("GET".parse().unwrap(), "/v1/docs");
    let page = client.send(request, Default::default()).await.unwrap();
    assert_eq!(page.headers["content-security-policy"], "default-src 'none'; style-src 'unsafe-inline'");
    let page = std::str::from_utf8(&page.received).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("/v1/payments/{id}/captures"));
}

#[tokio::test]
async fn another_version_is_refused() {
    let stage = open().await;
    let mut client = stage.client();
    for (version, status) in [(VERSIONS[0], 200), ("2020-01-01", 400), ("", 400)] {
        let request = client.request("GET".parse().unwrap(), "/v1/payments").header("isthmus-version", version);
        let trip = client.send(request, Default::default()).await.unwrap();
        assert_eq!(trip.status, status, "{version}");
        assert_eq!(trip.headers["isthmus-version"], VERSIONS[0]);
        if status == 400 {
            assert_eq!(trip.body["code"], "version_unknown");
        }
    }
}

/// In the order in which the examples follow one another, and the example whose payment each of them is about.
const STORY: &[(&str, &str, &str)] = &[
    ("/v1/tokens", "token", ""),
    ("/v1/payments", "by_token", "token"),
    ("/v1/payments", "sale", ""),
    ("/v1/payments", "authorisation", ""),
    ("/v1/payments", "declined", ""),
    ("/v1/payments", "unknown", ""),
    ("/v1/payments", "authenticated", ""),
    ("/v1/payments", "recurring", ""),
    ("/v1/payments", "stay", ""),
    ("/v1/payments/{id}/increments", "more", "stay"),
    ("/v1/payments/{id}/captures", "part", "authorisation"),
    ("/v1/payments/{id}/captures", "rest", "authorisation"),
    ("/v1/payments/{id}/refunds", "part", "authorisation"),
    ("/v1/payments/{id}/refunds", "rest", "authorisation"),
    ("/v1/payments/{id}/voids", "void", "sale"),
    ("/v1/verifications", "verification", ""),
    ("/v1/balance-inquiries", "balance_inquiry", ""),
];

#[tokio::test]
async fn every_example_is_answered_as_the_document_says() {
    let document = document();
    let mut told: BTreeSet<(String, String)> = BTreeSet::new();
    for (path, _, operation) in operations(&document) {
        let examples = &operation["requestBody"]["content"]["application/json"]["examples"];
        told.extend(examples.as_object().into_iter().flat_map(Map::keys).map(|name| (path.clone(), name.clone())));
    }
    let story = STORY.iter().map(|(path, name, _)| ((*path).to_owned(), (*name).to_owned()));
    assert_eq!(told, story.collect(), "each example has its place in the story");
    let stage = open().await;
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    for (path, name, about) in STORY {
        let id = begun.get(about).cloned().unwrap_or_default();
        let answer = Example { document: &document, path, name }.run(&stage, &id).await;
        begun.entry(*name).or_insert_with(|| answer["id"].as_str().unwrap().to_owned());
    }
}

struct Example<'a> {
    document: &'a Value,
    path: &'a str,
    name: &'a str,
}

impl Example<'_> {
    /// Sends it, compares the answer, and reads that again where it has a place of its own.
    async fn run(&self, stage: &Stage, id: &str) -> Value {
        let operation = &self.document["paths"][self.path]["post"];
        let body = &operation["requestBody"]["content"]["application/json"];
        let mut request = body["examples"][self.name]["value"].clone();
        self.must_fit(&body["schema"], &request);
        if let Some(token) = request.get_mut("token") {
            token["id"] = id.into();
        }
        let mut client = stage.client();
        let key = format!("{}-{}", self.path, self.name);
        let trip = client.post(&self.path.replace("{id}", id), &key, &request).await.unwrap();
        let response = &operation["responses"][trip.status.as_str()]["content"]["application/json"];
        let expected = &response["examples"][self.name]["value"];
        self.must_fit(&response["schema"], &trip.body);
        self.must_fit(&response["schema"], expected);
        let named = trip.body["id"].as_str().unwrap().split_once('_').unwrap().1.to_owned();
        let wanted = expected["id"].as_str().expect("an answer for the example").split_once('_').unwrap().1;
        let comparable = trip.body.to_string().replace(&named, wanted);
        let mut comparable: Value = serde_json::from_str(&comparable).unwrap();
        if self.path == "/v1/tokens" {
            // Made by the door, which has a clock of its own.
            comparable["created_at"] = expected["created_at"].clone();
        }
        assert_eq!(comparable, *expected, "{} {}", self.path, self.name);
        self.read_again(&mut client, &trip.body).await;
        trip.body
    }

    async fn read_again(&self, client: &mut Client, told: &Value) {
        let collection = self.path.split("/{id}").next().unwrap();
        let path = format!("{collection}/{}", told["id"].as_str().unwrap());
        let read = client.get(&path).await.unwrap();
        assert_eq!((read.status.as_u16(), &read.body), (200, told));
        let described = &self.document["paths"][format!("{collection}/{{id}}")]["get"]["responses"]["200"];
        self.must_fit(&described["content"]["application/json"]["schema"], &read.body);
    }

    fn must_fit(&self, schema: &Value, value: &Value) {
        if let Err(why) = fits(self.document, schema, value, "") {
            panic!("{} {}: {why} of {value:#}", self.path, self.name);
        }
    }
}

#[tokio::test]
async fn problems_and_pages_fit_their_shapes() {
    let document = document();
    let stage = open().await;
    let mut client = stage.client();
    client.post("/v1/payments", "k1", &crate::stage::sale(1000)).await.unwrap();
    let page = client.get("/v1/payments").await.unwrap();
    fits(&document, &serde_json::json!({"$ref": "#/components/schemas/PaymentPage"}), &page.body, "").unwrap();
    let problem = serde_json::json!({"$ref": "#/components/schemas/Problem"});
    let body = serde_json::json!({"reference": 1});
    for trip in [client.get("/v1/payments?limit=0").await, client.post("/v1/payments", "k2", &body).await] {
        fits(&document, &problem, &trip.unwrap().body, "").unwrap();
    }
    let wrong = serde_json::json!({"title": "t", "status": 399, "code": "none", "more": 1});
    assert!(fits(&document, &problem, &wrong, "").is_err(), "the comparison sees what does not fit");
}

/// Whether a value has a shape, as far as the document's shapes go (JSON Schema 2020-12).
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolved(document, schema);
    if let Some(shapes) = schema["anyOf"].as_array() {
        let fits_one = shapes.iter().any(|shape| fits(document, shape, value, at).is_ok());
        return fits_one.then_some(()).ok_or_else(|| format!("{at}: {value} fits none of the shapes"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return Err(format!("{at}: no type in {schema}")),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.contains(&kind) {
        return Err(format!("{at}: {kind} for {kinds:?}"));
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return Err(format!("{at}: {value} is none of the values"));
    }
    let beyond = |limit: &str, over: fn(i64, i64) -> bool| {
        schema[limit].as_i64().zip(value.as_i64()).is_some_and(|(limit, value)| over(value, limit))
    };
    if beyond("minimum", |value, limit| value < limit) || beyond("maximum", |value, limit| value > limit) {
        return Err(format!("{at}: out of bounds"));
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(place, item)| fits(document, &schema["items"], item, &format!("{at}/{place}"))),
        Value::Object(members) => members_fit(document, schema, members, at),
        _ => Ok(()),
    }
}

fn members_fit(document: &Value, schema: &Value, members: &Map<String, Value>, at: &str) -> Result<(), String> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|name| !members.contains_key(*name)) {
        return Err(format!("{at}: {missing} is missing"));
    }
    members.iter().try_for_each(|(name, value)| match schema["properties"].get(name) {
        Some(property) => fits(document, property, value, &format!("{at}/{name}")),
        None if schema["additionalProperties"] == false => Err(format!("{at}: {name} is not described")),
        None => Ok(()),
    })
}
