//! Clients that others have made play sessions against the server: python-diameter, and the diameter application of
//! Erlang/OTP. Each is skipped where it is not installed, unless `TOLLGATE_INTEROP=required` says that it must be.

use std::process::{Command, Output};

use crate::{
    support::TestNode,
    tools::{available, interop_file, judged_file},
    wire::{Request, avp, code, hex},
};

/// Runs a client to its end, while the server goes on in this thread. Both clients give up by themselves.
pub(crate) async fn run(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

// tests: I-1 I-2 B-80 B-93 B-140 B-169 B-172 C-57 C-90 C-130
#[tokio::test]
async fn python_diameter_plays_a_session() {
    if !available("python3", &["-c", "import diameter"]) {
        return;
    }
    let node = TestNode::demo().await;
    let mut client = Command::new("python3");
    client.arg(interop_file("gy_session.py")).arg(node.diameter().to_string()).args(["--subscriber", "1"]);
    // Stubs for the API are made on the spot, where the tools for that are there.
    if available("python3", &["-c", "import grpc_tools"]) {
        client.arg("--grpc").arg(node.node.grpc.to_string());
    }
    let output = run(client).await;
    let messages = node.directory.path().join("messages.jsonl");
    std::fs::write(&messages, &output.stdout).unwrap();
    judged_file(&messages, &["--received-only"]);
    // 10 MB at 0.01, ten blocks at 0.0005, a message at 0.10; and a report of a session that was not known.
    assert_eq!(node.balance(2), (100_000_000 - 205_000, 0));
    assert_eq!(node.orphans().len(), 1);
    node.node.store.check().unwrap();
}

// tests: B-24 B-29
#[test]
fn the_judge_of_messages_sees_what_is_wrong_with_them() {
    if !(available("tshark", &["--version"]) && available("python3", &["--version"])) {
        return;
    }
    let dwr = || crate::client::dwr("client.example", 1);
    let judged = |request: Request| {
        let file = tempfile::Builder::new().suffix(".hex").tempfile().unwrap();
        std::fs::write(file.path(), hex(&request.octets())).unwrap();
        let output = Command::new("python3").arg(interop_file("tshark_check.py")).arg(file.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(judged(dwr()), (Some(0), String::new()));
    let wrong = [
        (avp(61_681, &[0; 4]), "unknown AVP"),
        (avp(code::DISCONNECT_CAUSE, &[0; 3]), "malformed"),
        // It says that it is longer than the message.
        ([&[0, 0, 1, 22, 0x40, 0, 0, 200], &[0; 4][..]].concat(), "wrong length"),
    ];
    for (avp, fault) in wrong {
        let (status, told) = judged(dwr().with(avp));
        assert!(status == Some(1) && told.contains(fault), "expected {fault}, got {told}");
    }
}
