//! The demo, as a newcomer starts it.

use std::process::Command;

#[test]
fn the_story_is_as_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate")).args(["demo", "--once", "--any-port"]).output().unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{errors}");
    for step in ["CREDIT STOP", "RECONNECT", "RAR", "CREDIT_LIMIT_REACHED", "the last units", "Every step was as told"]
    {
        assert!(told.contains(step), "`{step}` is missing in\n{told}");
    }
}
