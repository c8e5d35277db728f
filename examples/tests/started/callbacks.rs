//! The example `callbacks`.

use crate::example::Example;

#[test]
fn what_becomes_ready_in_a_turn_runs_in_the_next() {
    let ended = Example::start("callbacks", &[]).wait();
    let expected = "\
turn 1: main queues first, second and third
turn 2: first
turn 2: second queues fourth
turn 2: third
turn 3: fourth
turn 4: 10 ms later
turn 4: 10 ms later, too
turn 5: 20 ms later
turn 6: main ends
";
    assert_eq!(ended.stdout, expected, "{ended:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
