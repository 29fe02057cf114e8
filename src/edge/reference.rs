//! `/v1/openapi.json` and `/v1/docs`: the description of this API, for machines and for people.
//!
//! The document lies in `specs/openapi.json` and is part of the binary; tests hold it to the code, and send every
//! example in it. The page is drawn from it on the first request: plain HTML of our own, which loads nothing.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Html;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::sync::LazyLock;

/// The document.
pub const OPENAPI: &str = include_str!("../../specs/openapi.json");

/// A page of one's own that nothing from elsewhere may enter.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::from_str(OPENAPI).expect("specs/openapi.json is JSON, which a test holds");
    Drawing::of(&document)
});

/// Answers the document.
pub(super) async fn openapi() -> ([(HeaderName, &'static str); 2], &'static str) {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, OPENAPI)
}

/// Answers the page.
pub(super) async fn page() -> ([(HeaderName, HeaderValue); 1], Html<&'static str>) {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE.as_str()))
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.8rem;overflow:auto}\
h2{border-top:1px solid #ccc;padding-top:1.5rem;margin-top:2.5rem}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #eee}\
summary{cursor:pointer}@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}pre{background:#262626}\
a{color:#8bf}td,th{border-color:#333}}";

/// The page as far as it is drawn.
struct Drawing<'a> {
    document: &'a Value,
    html: String,
}

impl<'a> Drawing<'a> {
    fn of(document: &'a Value) -> String {
        let mut drawing = Drawing { document, html: String::with_capacity(64 * 1024) };
        let info = &document["info"];
        let title = text(&info["title"]);
        let _ = write!(
            drawing.html,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
             <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{}</p>\
             <p>Version {}. For machines: <a href=openapi.json>openapi.json</a>.</p>",
            text(&info["description"]),
            text(&info["version"]),
        );
        drawing.contents();
        for (path, resource) in entries(&document["paths"]) {
            entries(resource).for_each(|(method, operation)| drawing.operation(method, path, operation));
        }
        drawing.html.push_str("<h2 id=shapes>Shapes</h2>");
        let schemas = &document["components"]["schemas"];
        entries(schemas).for_each(|(name, schema)| drawing.shape(name, schema));
        drawing.html.push_str("</html>\n");
        drawing.html
    }

    fn contents(&mut self) {
        self.html.push_str("<ul>");
        for (path, resource) in entries(&self.document["paths"]) {
            for (method, operation) in entries(resource) {
                let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
                let method = method.to_uppercase();
                let path = escaped(path);
                let _ = write!(self.html, "<li><a href='#{id}'><code>{method} {path}</code></a> {summary}");
            }
        }
        self.html.push_str("<li><a href='#shapes'>Shapes</a></ul>");
    }

    fn operation(&mut self, method: &str, path: &str, operation: &Value) {
        let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
        let (method, path, what) = (method.to_uppercase(), escaped(path), text(&operation["description"]));
        let _ =
            write!(self.html, "<h2 id='{id}'>{summary}</h2><p><code>{method} {path}</code></p><p>{what}</p><table>");
        for parameter in items(&operation["parameters"]) {
            let parameter = self.resolved(parameter);
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let need = if parameter["required"] == true { ", required" } else { "" };
            let what = text(&parameter["description"]);
            let _ = write!(self.html, "<tr><td><code>{name}</code><td>{place}{need}<td>{what}");
        }
        self.html.push_str("</table>");
        if let Some(body) = operation.get("requestBody") {
            self.content("Body", &body["content"]);
        }
        for (status, response) in entries(&operation["responses"]) {
            let response = self.resolved(response);
            self.content(&format!("{status}: {}", text(&response["description"])), &response["content"]);
        }
    }

    /// A body: its shape, and its examples folded away.
    fn content(&mut self, title: &str, content: &Value) {
        for (media_type, content) in entries(content) {
            let shape = self.shape_name(&content["schema"]);
            let _ = write!(self.html, "<p><b>{title}</b> {shape} <small>{}</small></p>", escaped(media_type));
            for (name, example) in entries(&content["examples"]) {
                let json = serde_json::to_string_pretty(&example["value"]).unwrap_or_default();
                let summary = example.get("summary").map_or_else(|| escaped(name), text);
                let json = escaped(&json);
                let _ = write!(self.html, "<details><summary>{summary}</summary><pre>{json}</pre></details>");
            }
        }
    }

    fn shape(&mut self, name: &str, schema: &Value) {
        let what = text(&schema["description"]);
        let _ = write!(self.html, "<h3 id='shape-{0}'>{0}</h3><p>{what}</p>", escaped(name));
        let Some(properties) = schema["properties"].as_object() else {
            let values = self.values(schema);
            let _ = write!(self.html, "<p>{values}</p>");
            return;
        };
        self.html.push_str("<table>");
        for (field, property) in properties {
            let need = if items(&schema["required"]).any(|required| required == field) { "required" } else { "" };
            let (kind, values, what) =
                (self.shape_name(property), self.values(property), text(&property["description"]));
            let _ = write!(self.html, "<tr><td><code>{}</code><td>{kind}<td>{need}<td>{what} {values}", escaped(field));
        }
        self.html.push_str("</table>");
    }

    fn values(&self, schema: &Value) -> String {
        let values: Vec<String> = items(&schema["enum"]).map(|value| format!("<code>{}</code>", text(value))).collect();
        values.join(" ")
    }

    /// A link to a shape of the document, or the plain type.
    fn shape_name(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            return format!("<a href='#shape-{0}'>{0}</a>", escaped(name));
        }
        match &schema["type"] {
            Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
            kind if kind == "array" => format!("list of {}", self.shape_name(&schema["items"])),
            kind => text(kind),
        }
    }

    /// What a reference within the document stands for.
    fn resolved(&self, value: &'a Value) -> &'a Value {
        let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| self.document.pointer(pointer)).unwrap_or(value)
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_resource_and_loads_nothing() {
        let document: Value = serde_json::from_str(OPENAPI).expect("specs/openapi.json is JSON");
        for (path, resource) in entries(&document["paths"]) {
            for (method, _) in entries(resource) {
                let heading = format!("<code>{} {path}</code>", method.to_uppercase());
                assert!(PAGE.contains(&heading), "{heading}");
            }
        }
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("<script"));
        assert_eq!(escaped("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }
}
