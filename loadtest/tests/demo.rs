//! The demo: what a newcomer sees.

#[expect(unreachable_pub, dead_code, reason = "shared by several test programs")]
mod common;

use common::loadtest;

#[test]
fn the_demo_says_what_it_does_loads_its_own_server_and_explains_the_result() {
    let run = loadtest("demo -c 50 -d 300ms --warmup 50ms");
    run.assert_code(0);
    let at = |part: &str| {
        let found = run.stdout.find(part);
        found.unwrap_or_else(|| panic!("no {part:?} in {run:?}"))
    };
    let address = run.json["options"]["address"].as_str().expect("an address");
    let introduced = at(&format!("listens at\nhttp://{address}/plaintext"));
    let measured = at("since sent");
    let explained = at("How to read it: one server thread answered 50 clients");
    assert!(introduced < measured && measured < explained, "{run:?}");
    assert!(run.number("/requests/answered") > 0, "{run:?}");
    assert_eq!(
        run.number("/statuses/200"),
        run.number("/requests/answered")
    );
    assert_eq!(run.number("/requests/failed"), 0, "{run:?}");
    assert_eq!(run.number("/requests/in_flight"), 50, "{run:?}");
}

#[test]
fn the_demo_takes_the_options_of_any_run() {
    let run = loadtest("demo -c 5 --rate 200 -n 40");
    run.assert_code(0);
    assert_eq!(run.number("/requests/answered"), 40);
    assert_eq!(run.number("/latency/since_due/count"), 40);
    assert!(run.stdout.contains("In the row \"since due\""), "{run:?}");
}
