//! The example `events`.

use crate::example::Server;

#[test]
fn events_come_one_by_one_and_go_on_where_the_page_was() {
    let server = Server::start("events", &[]);
    let mut client = server.connect();
    client.ask("/events", "");
    let head = client.head();
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    let first = client.chunk().unwrap();
    assert!(first.starts_with("data: {\"number\":0,"), "{first}");
    assert!(first.ends_with("event: reading\nid: 0\n\n"), "{first}");

    let mut again = server.connect();
    again.ask("/events", "last-event-id: 41\r\n");
    again.head();
    let next = again.chunk().unwrap();
    assert!(next.starts_with("data: {\"number\":42,"), "{next}");
}

#[test]
fn the_page_is_there_and_open_streams_do_not_hold_up_the_end() {
    let server = Server::start("events", &[]);
    let (head, page) = server.connect().get("/");
    assert_eq!(head.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.contains("new EventSource(\"/events\")"), "{page}");
    let mut client = server.connect();
    client.ask("/events", "");
    client.head();
    server.ask_to_end();
    let told = client.chunks().concat();
    assert!(told.ends_with("retry: 2000\n\n"), "{told}");
    assert!(client.is_closed());
}
