#!/usr/bin/env python3
"""freeDiameter connects to a server, stays for a watchdog exchange, and leaves.

    freediameter_peer.py HOST:PORT --watchdog SECONDS --asks client|server

`--asks` says whose Device-Watchdog-Request is waited for, and whose Disconnect-Peer-Request. Exit status: 0 all as expected, 1 something was not.
"""

import argparse
import re
import sys

from freediameter import SERVER, FreeDiameter
from link import Failed, expect, say


def play(daemon, asks):
    daemon.wait_open()
    say("open")
    direction = {"client": "received", "server": "sent"}[asks]

    def heard(answer):
        return lambda _: any(way == direction and answer in text for way, text in daemon.messages())

    daemon.wait_for(f"answer to the watchdog of the {asks}", heard("Device-Watchdog-Answer"))
    say(f"watchdog of the {asks}: answered")
    if asks == "server":
        daemon.wait_for("answer to the disconnection of the server", heard("Disconnect-Peer-Answer"))
    daemon.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="HOST:PORT of the Diameter listener")
    parser.add_argument("--watchdog", type=int, required=True, help="freeDiameter's Tw in seconds")
    parser.add_argument("--asks", choices=["client", "server"], required=True)
    arguments = parser.parse_args()
    port = int(arguments.address.rsplit(":", 1)[1])
    daemon = FreeDiameter("peer.freediameter.example", [(SERVER, port)], arguments.watchdog)
    try:
        play(daemon, arguments.asks)
    except Failed as failure:
        say(f"FAILED: {failure}")
        return 1
    finally:
        daemon.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
