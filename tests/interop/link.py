"""One Diameter connection: frames over TCP, every message recorded as a JSON line."""

import json
import logging
import socket
import sys
import time
from dataclasses import dataclass

from diameter.message import Message
from diameter.message.commands import DeviceWatchdogRequest

TIMEOUT_SECONDS = 10
MESSAGE_OCTETS_MAX = 65536
SUCCESS = 2001
T_FLAG = 0x10


class Failed(Exception):
    """The server did something other than what was expected."""


def expect(condition, what):
    if not condition:
        raise Failed(what)


def expect_equal(actual, expected, what):
    expect(actual == expected, f"{what}: expected {expected!r}, got {actual!r}")


class Complaints(logging.Handler):
    """What the library cannot decode it only logs; here that fails the scenario."""

    def emit(self, record):
        raise Failed(f"python-diameter complains: {record.getMessage()}")


logging.getLogger("diameter").addHandler(Complaints(level=logging.WARNING))


@dataclass
class Pending:
    """A request that was sent, and what must be repeated in its answer."""

    name: str
    octets: bytes

    @property
    def hop_by_hop(self):
        return self.octets[12:16]


class Link:
    next_id = 0x10000

    def __init__(self, connected, host, realm):
        self.host, self.realm = host.encode(), realm.encode()
        self.socket = connected
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Answers by hop-by-hop id, and requests in order, that came while something else was waited for.
        self.answers, self.requests = {}, []
        self.is_broken = False

    @classmethod
    def to(cls, address, host, realm):
        return cls(socket.create_connection(address, timeout=TIMEOUT_SECONDS), host, realm)

    def local_address(self):
        return self.socket.getsockname()[0]

    def ask(self, name, request):
        """Sends a request under fresh ids; returns the answer and the octets of both."""
        pending = self.start(name, request)
        octets = self.answer_octets(pending)
        return Message.from_bytes(octets), pending.octets, octets

    def ask_octets(self, name, octets):
        """Sends a request as it stands and returns the answer's octets."""
        return self.answer_octets(self.start_octets(name, octets))

    def start(self, name, request):
        """Sends a request under fresh ids, which no other connection of this process uses; the answer is waited for later."""
        Link.next_id += 1
        request.header.hop_by_hop_identifier = Link.next_id
        request.header.end_to_end_identifier = Link.next_id
        return self.start_octets(name, request.as_bytes())

    def start_octets(self, name, octets):
        self.send(name, octets)
        return Pending(name, octets)

    def answer_octets(self, pending):
        """The octets of the answer to a request that was sent, whatever else comes before it."""
        while pending.hop_by_hop not in self.answers:
            self.receive(f"answer to {pending.name}")
        received, name = self.answers.pop(pending.hop_by_hop), pending.name
        expect_equal(received[5:8], pending.octets[5:8], f"{name}: command code of the answer")
        expect_equal(received[8:20], pending.octets[8:20], f"{name}: application, hop-by-hop and end-to-end ids")
        expect(not received[4] & T_FLAG, f"{name}: the answer has the T flag")
        return received

    def answer(self, pending):
        return Message.from_bytes(self.answer_octets(pending))

    def request(self, kind):
        """The next request of the server, which must be of this class."""
        while not self.requests:
            self.receive(kind.__name__)
        request = self.requests.pop(0)
        expect(isinstance(request, kind), f"expected {kind.__name__}, got command {request.header.command_code}")
        return request

    def reply(self, name, request, result_code):
        """Answers a request of the server."""
        answer = request.to_answer()
        if getattr(request, "session_id", None):
            answer.session_id = request.session_id
        answer.result_code = result_code
        answer.origin_host, answer.origin_realm = self.host, self.realm
        self.send(name, answer.as_bytes())

    def receive(self, awaited):
        """Takes the next message in and puts it where it belongs."""
        octets = self.receive_octets(awaited)
        message = Message.from_bytes(octets)
        if isinstance(message, DeviceWatchdogRequest):
            self.record("received", "DWR", octets)
            self.reply("DWA", message, SUCCESS)
        elif message.header.is_request:
            self.record("received", type(message).__name__, octets)
            self.requests.append(message)
        else:
            self.record("received", f"answer, awaited: {awaited}", octets)
            self.answers[octets[12:16]] = octets

    def send(self, name, octets):
        self.record("sent", name, octets)
        self.socket.sendall(octets)

    def receive_octets(self, awaited):
        deadline = time.monotonic() + TIMEOUT_SECONDS
        head = self.receive_exactly(4, awaited, deadline)
        length = int.from_bytes(head[1:], "big")
        expect(head[0] == 1 and 20 <= length <= MESSAGE_OCTETS_MAX and length % 4 == 0, f"bad frame {head.hex()}")
        return head + self.receive_exactly(length - 4, awaited, deadline)

    def receive_exactly(self, count, awaited, deadline):
        octets = b""
        while len(octets) < count:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                part = self.socket.recv(count - len(octets))
            except TimeoutError:
                raise Failed(f"{awaited}: nothing came within {TIMEOUT_SECONDS} s") from None
            expect(part, f"{awaited}: the server closed the connection")
            octets += part
        return octets

    def expect_closed(self):
        """After DPA the connection is closed, by us at the latest; nothing may come before."""
        self.socket.shutdown(socket.SHUT_WR)
        self.socket.settimeout(TIMEOUT_SECONDS)
        try:
            expect_equal(self.socket.recv(1), b"", "octets after DPA")
        except ConnectionResetError:
            pass
        self.socket.close()

    def break_off(self):
        """The connection is gone, whatever is still on its way."""
        self.is_broken = True
        self.socket.close()

    @staticmethod
    def record(direction, name, octets):
        print(json.dumps({"direction": direction, "name": name, "hex": octets.hex()}), flush=True)


def retransmitted(octets, hop_by_hop=None):
    """The same request sent again: T set, and another hop-by-hop id if it goes another way."""
    octets = octets[:4] + bytes([octets[4] | T_FLAG]) + octets[5:]
    return octets if hop_by_hop is None else octets[:12] + hop_by_hop.to_bytes(4, "big") + octets[16:]


def say(text):
    print(text, file=sys.stderr, flush=True)
