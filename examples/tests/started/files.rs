//! The example `files`.

use crate::client::Client;
use crate::example::Server;
use std::fs;
use std::path::PathBuf;

/// A directory that goes with the test.
struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        let name = format!("monoloop-files-{}", std::process::id());
        let root = Root(std::env::temp_dir().join(name));
        fs::create_dir_all(root.0.join("public/sub")).unwrap();
        fs::write(root.0.join("public/index.html"), "<p>hello").unwrap();
        fs::write(root.0.join("public/digits.txt"), "0123456789").unwrap();
        fs::write(root.0.join("secret"), "secret").unwrap();
        root
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn get(client: &mut Client, path: &str, fields: &str) -> (u16, String) {
    client.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let (head, body) = client.response();
    (head.status, body)
}

#[test]
fn files_are_served_whole_and_in_part_and_those_outside_are_not() {
    let root = Root::new();
    let public = root.0.join("public");
    let server = Server::start("files", &["--root", public.to_str().unwrap()]);
    let mut client = server.connect();
    assert_eq!(get(&mut client, "/", ""), (200, "<p>hello".into()));
    let part = get(&mut client, "/digits.txt", "Range: bytes=2-4\r\n");
    assert_eq!(part, (206, "234".into()));
    for outside in ["/../secret", "/%2e%2e/secret", "/sub/..%2f..%2fsecret"] {
        assert_eq!(get(&mut client, outside, "").0, 404, "{outside}");
    }
    server.ask_to_end();
    server.wait_until_stopped();
}
