#!/usr/bin/env python3
"""Lets tshark judge recorded Diameter messages.

    tshark_check.py [--received-only] [--pcap FILE] FILE...

A file holds one message a line: hex (lines that begin with # are comments), or JSON objects with "hex" and "direction"
as gy_session.py prints them. The messages become a pcap on TCP port 3868, which tshark dissects; a message that it
calls malformed, of wrong length, or that has an AVP, vendor, command or application it does not know, fails.

Exit status: 0 all well, 1 something is wrong, 2 wrong arguments or tools missing.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PORT = 3868
# What must not be in a dissection, and what it means.
FAULTS = {
    "_ws.malformed": "malformed",
    "diameter.avp.code.unknown": "unknown AVP",
    "diameter.avp.unknown": "unknown AVP",
    "diameter.unknown_vendor": "unknown vendor",
    "diameter.cmd.code.unknown": "unknown command",
    "diameter.applicationId.unknown": "unknown application",
    "diameter.avp.invalid-data": "AVP with invalid data",
    "diameter.avp.invalid-len": "AVP of wrong length",
    "diameter.invalid_avp_len": "AVP of wrong length",
    "diameter.version.unknown": "unknown version",
}
# Any other remark of the dissectors counts from this severity on. Warnings do not: an empty AVP is legal and has one.
SEVERITY = "_ws.expert.severity"
ERROR = 0x800000


def messages(path, received_only):
    """(name, octets) of each message of a file."""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, text = f"{path.name}:{number}", line
        if line.startswith("{"):
            entry = json.loads(line)
            if received_only and entry["direction"] != "received":
                continue
            name, text = f"{name} ({entry['name']})", entry["hex"]
        yield name, bytes.fromhex(text)


def make_pcap(octets_list, pcap):
    """text2pcap gives every message a TCP segment to or from the Diameter port."""
    dump = []
    for octets in octets_list:
        dump.append("I" if octets[4] & 0x80 else "O")
        dump += [f"{at:06x} {octets[at:at + 16].hex(' ')}" for at in range(0, len(octets), 16)]
        dump.append("")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write("\n".join(dump))
        text.flush()
        command = ["text2pcap", "-q", "-D", "-T", f"40000,{PORT}", text.name, str(pcap)]
        subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)


def tshark(pcap, *options):
    command = ["tshark", "-n", "-r", str(pcap), "-o", "tcp.analyze_sequence_numbers:FALSE", *options]
    command += ["-d", f"tcp.port=={PORT},diameter"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check(named, pcap):
    """A line for each fault."""
    make_pcap([octets for _, octets in named], pcap)
    fields = [option for field in ["diameter.length", SEVERITY, *FAULTS] for option in ("-e", field)]
    lines = tshark(pcap, "-T", "fields", "-E", "occurrence=a", *fields).splitlines()
    if len(lines) != len(named):
        yield f"{len(named)} messages became {len(lines)} packets"
        return
    for index, ((name, octets), line) in enumerate(zip(named, lines), start=1):
        length, severity, *found = line.split("\t")
        lengths = [int(part) for part in length.split(",") if part]
        if sum(lengths) != len(octets):
            yield f"{name}: tshark sees lengths {lengths}, the message has {len(octets)} octets"
        faults = sorted({meaning for meaning, value in zip(FAULTS.values(), found) if value})
        if not faults and any(int(part, 0) >= ERROR for part in severity.split(",") if part):
            faults = ["expert error"]
        if faults:
            detail = tshark(pcap, "-Y", f"frame.number == {index}", "-V")
            hints = re.findall(r"\[Expert Info \((?:Warning|Error).*", detail)
            yield f"{name}: {', '.join(faults)}\n    " + "\n    ".join(hints[:8])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--received-only", action="store_true", help="judge only what the server sent")
    parser.add_argument("--pcap", type=Path, help="keep the pcap here")
    arguments = parser.parse_args()
    missing = [tool for tool in ("tshark", "text2pcap") if not shutil.which(tool)]
    if missing:
        print(f"missing: {', '.join(missing)}", file=sys.stderr)
        return 2
    try:
        named = [each for path in arguments.files for each in messages(path, arguments.received_only)]
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot read: {error}", file=sys.stderr)
        return 2
    if not named:
        print("no message to check", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        faults = list(check(named, arguments.pcap or Path(directory) / "messages.pcap"))
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(named)} messages checked by tshark, {len(faults)} wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
