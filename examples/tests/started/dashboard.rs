//! The example `dashboard`.

use crate::example::Server;

const PARTS: [&str; 4] = ["visitors", "services", "news", "orders"];

fn start() -> Server {
    Server::start("dashboard", &[])
}

/// The names of the parts in the order in which they come.
fn parts_in(html: &str) -> Vec<&str> {
    let parts = html.split("<div slot=\"").skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

#[test]
fn shell_comes_first_and_each_part_when_it_is_ready() {
    let server = start();
    let mut client = server.connect();
    let mut shell_came_alone = false;
    // On a machine that is busy, parts may have come before the shell is looked at.
    for _ in 0..20 {
        client.ask("/", "");
        let head = client.head();
        assert_eq!(head.field("content-type"), Some("text/html; charset=utf-8"));
        let shell = client.chunk().unwrap();
        shell_came_alone |= client.is_silent();
        assert!(shell.starts_with("<!doctype html>"), "{shell}");
        assert_eq!(parts_in(&shell), [""; 0]);

        let chunks = client.chunks();
        let (end, parts) = chunks.split_last().unwrap();
        let order: Vec<_> = parts.iter().flat_map(|part| parts_in(part)).collect();
        assert_eq!(order, PARTS);
        assert_eq!(parts.len(), PARTS.len(), "each part is a chunk");
        assert!(end.ends_with("</html>\n"), "{end}");
        if shell_came_alone {
            return;
        }
    }
    panic!("the shell never comes before the parts");
}

#[test]
fn sequential_page_is_the_same_in_one_piece() {
    let server = start();
    let mut client = server.connect();
    let (_, streamed) = client.get("/");
    let (head, sequential) = client.get("/sequential");
    assert_eq!(
        head.field("content-length"),
        Some(&*sequential.len().to_string())
    );
    assert_eq!(head.field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(
        parts_in(&sequential),
        ["news", "visitors", "orders", "services"]
    );
    let sorted = |html: &str| {
        let mut lines: Vec<_> = html.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&streamed), sorted(&sequential));
}

#[test]
fn part_that_fails_or_hangs_costs_none_of_the_others() {
    let server = start();
    let mut client = server.connect();
    let (_, good) = client.get("/");
    for target in [
        "/?fail=news",
        "/?hang=news",
        "/sequential?fail=news",
        "/sequential?hang=news",
    ] {
        let (head, page) = client.get(target);
        assert_eq!(head.status, 200, "{target}");
        for part in PARTS {
            let in_page = |html: &str| {
                let at = html.find(&format!("<div slot=\"{part}\"")).unwrap();
                html[at..]
                    .split_inclusive("</script>")
                    .next()
                    .unwrap()
                    .to_owned()
            };
            match part {
                "news" => assert!(in_page(&page).contains("not available"), "{target}"),
                _ => assert_eq!(in_page(&page), in_page(&good), "{target}"),
            }
        }
        let line = server.wait_for_line("a part failed");
        assert!(line.contains("part=news"), "{line}");
    }
}
