//! The example `web`.

use crate::example::Server;

#[test]
fn a_name_is_remembered_in_a_cookie() {
    let server = Server::start("web", &[]);
    let mut client = server.connect();
    assert_eq!(client.get("/hello").1, "hello stranger\n");
    let form = "name=A+B%3B";
    let length = form.len();
    client.write(format!(
        "POST /name HTTP/1.1\r\nhost: example\r\ncontent-length: {length}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n{form}"
    ));
    let (head, _) = client.response();
    assert_eq!((head.status, head.field("location")), (303, Some("/hello")));
    let cookie = head.field("set-cookie").unwrap();
    assert!(
        cookie.contains("; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap();
    client.ask("/hello", &format!("cookie: {pair}\r\n"));
    assert_eq!(client.response().1, "hello A B;\n");
}

#[test]
fn files_are_weighed() {
    let server = Server::start("web", &[]);
    let mut client = server.connect();
    let form = "--x\r\ncontent-disposition: form-data; name=file; filename=\"../a.txt\"\r\n\r\n\
                12345\r\n--x--\r\n";
    let length = form.len();
    client.write(format!(
        "POST /upload HTTP/1.1\r\nhost: example\r\ncontent-length: {length}\r\n\
         content-type: multipart/form-data; boundary=x\r\n\r\n{form}"
    ));
    let (head, body) = client.response();
    assert_eq!((head.status, body.as_str()), (200, "a.txt: 5 bytes\n"));
    assert_eq!(head.field("x-content-type-options"), Some("nosniff"));
    client.write("POST /upload HTTP/1.1\r\nhost: example\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.response().0.status, 415);
}
