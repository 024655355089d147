//! Tools from outside that judge what the server says. Where they are missing a test skips, unless the environment says
//! `TOLLGATE_INTEROP=required`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::wire::{Message, hex};

/// Whether what is missing on this machine fails a test instead of skipping it.
pub(crate) fn required() -> bool {
    std::env::var_os("TOLLGATE_INTEROP").is_some_and(|value| value == "required")
}

/// Whether a command runs and succeeds. If not, and everything is required, the test fails.
pub(crate) fn available(program: &str, arguments: &[&str]) -> bool {
    let found = Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
    assert!(found || !required(), "TOLLGATE_INTEROP=required, but `{program} {}` does not work", arguments.join(" "));
    if !found {
        eprintln!("skipped: `{program} {}` does not work here", arguments.join(" "));
    }
    found
}

/// A file of the clients that these tests start.
pub(crate) fn interop_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// Lets tshark judge messages of the server: none may be malformed or unknown to it. Skipped where there is no tshark.
pub(crate) fn judged_by_tshark<'m>(messages: impl IntoIterator<Item = &'m Message>) {
    let lines: Vec<String> = messages.into_iter().map(|message| hex(&message.0)).collect();
    assert!(!lines.is_empty());
    let file = tempfile::Builder::new().suffix(".hex").tempfile().unwrap();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    judged_file(file.path(), &[]);
}

/// The same for a file of messages.
pub(crate) fn judged_file(messages: &Path, options: &[&str]) {
    // Asked once: tshark takes its time to start.
    static TOOLS: LazyLock<bool> =
        LazyLock::new(|| available("tshark", &["--version"]) && available("python3", &["--version"]));
    if !*TOOLS {
        return;
    }
    let script = interop_file("tshark_check.py");
    let output = Command::new("python3").arg(script).args(options).arg(messages).output().unwrap();
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{wrong}");
}
