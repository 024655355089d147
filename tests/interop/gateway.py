"""A network element: a connection to the server, and the credit-control requests that it sends there."""

import datetime
import uuid

from diameter.message.avp.grouped import ProxyInfo, SubscriptionId
from diameter.message.commands import (
    CapabilitiesExchangeRequest,
    CreditControlRequest,
    DeviceWatchdogRequest,
    DisconnectPeerRequest,
)

from link import SUCCESS, Link, expect, expect_equal, say

SERVER_REALM = "tollgate.example"
CREDIT_CONTROL = 4
INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
E164, IMSI = 0, 1


class Gateway:
    """`subscriber` = pairs of Subscription-Id-Type and data, which every request names; `proxies` = pairs of Proxy-Host and
    Proxy-State that every request carries."""

    def __init__(self, link, subscriber=(), proxies=()):
        self.link, self.subscriber = link, subscriber
        self.proxies = [ProxyInfo(proxy_host=host, proxy_state=state) for host, state in proxies]
        # The charging server's; behind a relay it is known from the first answer.
        self.server_host = None

    def session_id(self, tail="app_gy"):
        return f"{self.link.host.decode()};{uuid.uuid4().int >> 96};{uuid.uuid4().int >> 96};{tail}"

    def connect(self):
        """Capabilities exchange; returns the Origin-Host of the other side."""
        cer = CapabilitiesExchangeRequest()
        cer.origin_host, cer.origin_realm = self.link.host, self.link.realm
        cer.host_ip_address = [self.link.local_address()]
        cer.vendor_id, cer.product_name = 0, "python-diameter"
        cer.auth_application_id = [CREDIT_CONTROL]
        cea, _, _ = self.link.ask("CER", cer)
        expect_equal(cea.result_code, SUCCESS, "CER: Result-Code")
        expect(cea.host_ip_address and cea.product_name, "CER: Host-IP-Address and Product-Name are required")
        say(f"CER: connected to {cea.origin_host.decode()}, {cea.product_name}")
        return cea

    def connect_to_server(self):
        """The same, where the other side is the charging server itself."""
        cea = self.connect()
        expect(CREDIT_CONTROL in cea.auth_application_id, f"CER: no application 4 in {cea.auth_application_id}")
        self.server_host = cea.origin_host

    def accept(self):
        """The other side connects: answers its CER; returns its Origin-Host."""
        cer = self.link.request(CapabilitiesExchangeRequest)
        cea = cer.to_answer()
        cea.result_code = SUCCESS
        cea.origin_host, cea.origin_realm = self.link.host, self.link.realm
        cea.host_ip_address = [self.link.local_address()]
        cea.vendor_id, cea.product_name = 0, "python-diameter"
        cea.auth_application_id = [CREDIT_CONTROL]
        self.link.send("CEA", cea.as_bytes())
        return cer.origin_host

    def watchdog(self):
        dwr = DeviceWatchdogRequest()
        dwr.origin_host, dwr.origin_realm = self.link.host, self.link.realm
        dwa, _, _ = self.link.ask("DWR", dwr)
        expect_equal(dwa.result_code, SUCCESS, "DWR: Result-Code")

    def disconnect(self):
        dpr = DisconnectPeerRequest()
        dpr.origin_host, dpr.origin_realm, dpr.disconnect_cause = self.link.host, self.link.realm, 2
        dpa, _, _ = self.link.ask("DPR", dpr)
        expect_equal(dpa.result_code, SUCCESS, "DPR: Result-Code")
        self.link.expect_closed()

    def request(self, session_id, context, type_, number, at=None, subscriber=None):
        """A CCR without services; `at` = its Event-Timestamp, in UTC."""
        ccr = CreditControlRequest()
        # The library sets the AVP and leaves the header's application at 0.
        ccr.header.application_id = CREDIT_CONTROL
        ccr.session_id = session_id
        ccr.origin_host, ccr.origin_realm = self.link.host, self.link.realm
        ccr.destination_realm = SERVER_REALM.encode()
        if self.server_host and type_ != INITIAL:
            ccr.destination_host = self.server_host
        ccr.service_context_id = context
        ccr.cc_request_type, ccr.cc_request_number = type_, number
        at = at or datetime.datetime.now(datetime.timezone.utc)
        ccr.event_timestamp = at.replace(tzinfo=None)
        ccr.subscription_id = [
            SubscriptionId(subscription_id_type=kind, subscription_id_data=data)
            for kind, data in subscriber or self.subscriber
        ]
        ccr.proxy_info = list(self.proxies)
        return ccr

    def ask(self, name, ccr, result=SUCCESS):
        """Sends a CCR and checks what every answer must have; returns the answer and the octets of both."""
        answer, sent, received = self.link.ask(name, ccr)
        self.check(name, ccr, answer, received, result)
        return answer, sent, received

    def check(self, name, ccr, answer, octets, result=SUCCESS):
        """What every answer of the application must have."""
        expect_equal(answer.result_code, result, f"{name}: Result-Code")
        expect_equal(answer.session_id, ccr.session_id, f"{name}: Session-Id")
        first = int.from_bytes(octets[20:24], "big")
        expect_equal(first, 263, f"{name}: first AVP (Session-Id comes first)")
        expect_equal(answer.auth_application_id, CREDIT_CONTROL, f"{name}: Auth-Application-Id")
        expect_equal(answer.cc_request_type, ccr.cc_request_type, f"{name}: CC-Request-Type")
        expect_equal(answer.cc_request_number, ccr.cc_request_number, f"{name}: CC-Request-Number")
        if self.server_host is None:
            self.server_host = answer.origin_host
        else:
            expect_equal(answer.origin_host, self.server_host, f"{name}: Origin-Host")
        expect_equal(answer.origin_realm, SERVER_REALM.encode(), f"{name}: Origin-Realm")
        expect(not answer.header.is_error, f"{name}: E flag on an application answer")
        expect(answer.header.is_proxyable, f"{name}: P flag of the request is not in the answer")
        expect_equal(answer.proxy_info, self.proxies, f"{name}: Proxy-Info")
        say(f"{name}: {answer.result_code}")
