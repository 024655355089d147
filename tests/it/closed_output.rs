//! Whoever reads the output may stop early, as `| head` does: that is no failure and no panic.

use std::process::{Command, Output, Stdio};

use crate::support::TestNode;

/// Runs the binary with outputs that nobody reads.
fn unread(arguments: &[&str]) -> std::process::ExitStatus {
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    Command::new(env!("CARGO_BIN_EXE_tollgate")).args(arguments).stdout(closed()).stderr(closed()).status().unwrap()
}

fn read(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate")).args(arguments).output().unwrap()
}

#[test]
fn check_and_demo_end_well_when_nobody_reads() {
    let directory = env!("CARGO_MANIFEST_DIR");
    let config = format!("{directory}/config/demo/tollgate.toml");
    let code = |arguments: &[&str]| (read(arguments).status.code(), unread(arguments).code());
    let (told, untold) = code(&["check", "--config", &config]);
    assert_eq!(told, untold);
    let (told, untold) = code(&["check", "--json", "--config", "/nowhere/tollgate.toml"]);
    assert_eq!((told, untold), (Some(1), Some(1)));
    assert_eq!(unread(&["check", "--config", "/nowhere/tollgate.toml"]).code(), Some(1));
    // It does not stay up for nobody.
    assert_eq!(unread(&["demo", "--any-port"]).code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn load_ends_well_when_nobody_reads() {
    let node = TestNode::demo().await;
    let target = node.diameter().to_string();
    for more in [&["--json"][..], &[]] {
        let mut arguments = vec!["load", "--target", &target, "--duration", "1.1", "--warmup", "0"];
        arguments.extend(["--subscribers", "10", "--connections", "1", "--in-flight", "2"]);
        arguments.extend(more);
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let ended = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            unread(&arguments)
        });
        assert_eq!(ended.await.unwrap().code(), Some(0));
    }
}
