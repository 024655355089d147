"""freeDiameter as a process of its own: a peer of the charging server, and a relay between it and clients.

It opens every connection itself and listens nowhere, so nothing but the loopback interface is used. It loads the
credit-control dictionaries that are packaged with it, and its log has every message as it understands it.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from link import Failed, expect, say

EXTENSIONS = Path("/usr/lib/freeDiameter")
DICTIONARIES = ["dict_nasreq", "dict_dcca", "dict_dcca_3gpp"]
# Also how long it may live at all, whatever becomes of this process.
LIFE_SECONDS = 60
PATIENCE_SECONDS = 20
SERVER = "ocs1.tollgate.example"
# What its log must not have about a message that came from the server: a command or an AVP without a name or a value.
COMPLAINTS = re.compile(r"AVP: [^']|not found in dictionary|not searched|\(not set\)|\[invalid|\(ERROR")
HEADS = {"RCV": "received", "SND": "sent"}


class FreeDiameter:
    """A running daemon; `peers` = pairs of an Origin-Host and a port on the loopback interface."""

    def __init__(self, identity, peers, watchdog_seconds=30):
        self.directory = tempfile.TemporaryDirectory(prefix="tollgate-freediameter-")
        path = Path(self.directory.name)
        lines = [
            f'Identity = "{identity}";',
            f'Realm = "{identity.split(".", 1)[1]}";',
            "Port = 0;",
            "SecPort = 0;",
            "No_SCTP;",
            "No_IPv6;",
            "AppServThreads = 1;",
            "TcTimer = 1;",
            f"TwTimer = {watchdog_seconds};",
            *(f'LoadExtension = "{EXTENSIONS}/{name}.fdx";' for name in DICTIONARIES),
            f'LoadExtension = "{EXTENSIONS}/dbg_msg_dumps.fdx" : "0x0080";',
            *(
                f'ConnectPeer = "{host}" {{ ConnectTo = "127.0.0.1"; No_TLS; No_SCTP; port = {port}; }};'
                for host, port in peers
            ),
        ]
        (path / "freeDiameter.conf").write_text("\n".join(lines) + "\n")
        self.log_path = path / "log"
        command = ["timeout", "--kill-after=5", str(LIFE_SECONDS), "freeDiameterd", "-c", str(path / "freeDiameter.conf")]
        with self.log_path.open("wb") as log:
            # `timeout` leads a group of processes, which is this daemon.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.identity = identity

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for(self, what, done):
        """Waits until its log says so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done(self.log()):
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                reason = f"ended with {self.process.returncode}" if ended else f"in {PATIENCE_SECONDS} s"
                raise Failed(f"{self.identity}: no {what}, {reason}:\n{self.log()[-3000:]}")
            time.sleep(0.02)

    def wait_open(self, host=SERVER):
        self.wait_for(f"open connection to {host}", lambda log: re.search(rf"-> 'STATE_OPEN'\s+'{host}'", log))

    def messages(self, host=SERVER):
        """Messages from and to a peer: pairs of a direction and the text of the log."""
        # A line is a time, a level and a text.
        lines = [line.split(None, 2)[2] if len(line.split(None, 2)) > 2 else "" for line in self.log().splitlines()]
        found = []
        for line in lines:
            head = re.match(r"(RCV|SND) (?:from|to) '([^']+)'", line)
            if head:
                found.append((head[2], HEADS[head[1]], []))
            elif found:
                found[-1][2].append(line)
        return [(direction, "\n".join(text)) for peer, direction, text in found if peer == host]

    def stop(self):
        """Ends it in order. What it received from the server must all have been clear to it."""
        self.process.terminate()
        self.process.wait(LIFE_SECONDS)
        for direction, text in self.messages():
            complaint = COMPLAINTS.search(text) if direction == "received" else None
            expect(not complaint, f"{self.identity} complains about a message of the server:\n{text}")
        self.directory.cleanup()

    def kill(self):
        """Ends it at once; harmless when it has ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.directory.cleanup()
