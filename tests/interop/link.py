"""One Diameter connection: frames over TCP, every message recorded as a JSON line."""

import json
import socket
import sys

from diameter.message import Message
from diameter.message.commands import DeviceWatchdogAnswer, DeviceWatchdogRequest

TIMEOUT_SECONDS = 10
MESSAGE_OCTETS_MAX = 65536


class Failed(Exception):
    """The server did something other than what was expected."""


def expect(condition, what):
    if not condition:
        raise Failed(what)


def expect_equal(actual, expected, what):
    expect(actual == expected, f"{what}: expected {expected!r}, got {actual!r}")


class Link:
    def __init__(self, address, host, realm):
        self.host, self.realm = host.encode(), realm.encode()
        self.next_id = 0x10000
        self.socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def local_address(self):
        return self.socket.getsockname()[0]

    def ask(self, name, request):
        """Sends a request under fresh ids; returns the answer and the octets of both."""
        self.next_id += 1
        request.header.hop_by_hop_identifier = self.next_id
        request.header.end_to_end_identifier = self.next_id
        octets = request.as_bytes()
        answer_octets = self.ask_octets(name, octets)
        return Message.from_bytes(answer_octets), octets, answer_octets

    def ask_octets(self, name, octets):
        """Sends a request as it stands and returns the answer's octets."""
        self.send(name, octets)
        while True:
            received = self.receive_octets()
            message = Message.from_bytes(received)
            if isinstance(message, DeviceWatchdogRequest):
                self.record("received", "DWR", received)
                self.answer_watchdog(message)
                continue
            self.record("received", f"answer to {name}", received)
            expect(not message.header.is_request, f"{name}: got request {message.header.command_code} for an answer")
            expect_equal(received[5:8], octets[5:8], f"{name}: command code of the answer")
            expect_equal(received[8:20], octets[8:20], f"{name}: application, hop-by-hop and end-to-end ids")
            expect(not message.header.is_retransmit, f"{name}: the answer has the T flag")
            return received

    def answer_watchdog(self, request):
        answer = request.to_answer()
        assert isinstance(answer, DeviceWatchdogAnswer)
        answer.result_code = 2001
        answer.origin_host, answer.origin_realm = self.host, self.realm
        self.send("DWA", answer.as_bytes())

    def send(self, name, octets):
        self.record("sent", name, octets)
        self.socket.sendall(octets)

    def receive_octets(self):
        head = self.receive_exactly(4)
        length = int.from_bytes(head[1:], "big")
        expect(head[0] == 1 and 20 <= length <= MESSAGE_OCTETS_MAX and length % 4 == 0, f"bad frame {head.hex()}")
        return head + self.receive_exactly(length - 4)

    def receive_exactly(self, count):
        octets = b""
        while len(octets) < count:
            try:
                part = self.socket.recv(count - len(octets))
            except TimeoutError:
                raise Failed(f"no answer within {TIMEOUT_SECONDS} s") from None
            expect(part, "the server closed the connection")
            octets += part
        return octets

    def expect_closed(self):
        """After DPA the connection is closed, by us at the latest; nothing may come before."""
        self.socket.shutdown(socket.SHUT_WR)
        try:
            expect_equal(self.socket.recv(1), b"", "octets after DPA")
        except ConnectionResetError:
            pass
        self.socket.close()

    @staticmethod
    def record(direction, name, octets):
        print(json.dumps({"direction": direction, "name": name, "hex": octets.hex()}), flush=True)


def say(text):
    print(text, file=sys.stderr, flush=True)
