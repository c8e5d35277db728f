//! The example `request_id`.

use crate::example::Server;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn every_line_of_a_request_has_its_id_wherever_it_is_logged() {
    let server = Server::start("request_id", &["--log-format", "json"]);
    let (mut given, mut made) = (server.connect(), server.connect());
    // Both are under way at once.
    given.ask("/", "x-request-id: from-a-test\r\n");
    made.ask("/", "");
    let (head, body) = given.response();
    assert_eq!(head.field("x-request-id"), Some("from-a-test"));
    assert_eq!(body, "look for from-a-test in the log\n");
    let (head, body) = made.response();
    let id = head.field("x-request-id").unwrap();
    assert_eq!(body, format!("look for {id} in the log\n"));

    let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..8 {
        let line: Value = serde_json::from_str(&server.wait_for_line("request_id\":")).unwrap();
        let text = |key| line[key].as_str().unwrap().to_owned();
        messages
            .entry(text("request_id"))
            .or_default()
            .push(text("message"));
    }
    for id in ["from-a-test", id] {
        let mut messages = messages.remove(id).unwrap_or_default();
        messages.sort();
        let expected = [
            "asking two tasks and a thread",
            "printed the invoice",
            "read the orders",
            "read the user",
        ];
        assert_eq!(messages, expected, "{id}");
    }
}
