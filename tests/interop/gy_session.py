#!/usr/bin/env python3
"""An independent Gy client plays a whole session against a Tollgate server with the demo configuration.

    gy_session.py HOST:PORT [--grpc HOST:PORT] [--subscriber N] [--origin-host NAME]

What is checked: capabilities exchange, watchdog, a session with two rating groups, a retransmission, an SMS, an unknown
subscriber, an unknown session, disconnect. Numbers are compared with arithmetic done here. With --grpc the account's
balance is read through the API as well and must have moved by exactly what was used.

Standard output has a JSON line for every message: {"direction", "name", "hex"}. Standard error tells the story.
Exit status: 0 all as expected, 1 something was not (said in the last line), 2 wrong arguments or no connection.
"""

import argparse
import sys
from decimal import Decimal

from diameter.message.avp.grouped import (
    MultipleServicesCreditControl,
    PsInformation,
    RecipientAddress,
    RecipientInfo,
    RequestedServiceUnit,
    ServiceInformation,
    SmsInformation,
    UsedServiceUnit,
)

from admin import Admin
from gateway import E164, EVENT, IMSI, INITIAL, TERMINATION, UPDATE, Gateway
from link import SUCCESS, Failed, Link, expect, expect_equal, retransmitted, say

# What config/demo/ fixes.
FIRST_MSISDN, FIRST_IMSI = 8613900000000, 460000000000000
MB = 1_000_000
# Rating group: (price of a block, octets of a block, octets of the first grant). Group 1 is 0.01 CNY per MB.
DATA = {1: (Decimal("0.01"), MB, 10 * MB), 2: (Decimal("0.0005"), 100_000, 50 * MB)}
SMS_PRICE = Decimal("0.10")
DATA_CONTEXT, SMS_CONTEXT = "32251@3gpp.org", "32274@3gpp.org"

UNKNOWN_SESSION, USER_UNKNOWN = 5002, 5030


def price(rating_group, octets):
    """The price of a session's cumulative usage: whole blocks, rounded up once."""
    per_block, block, _ = DATA[rating_group]
    return per_block * -(-octets // block)


class Client(Gateway):
    """A client of a demo subscriber, asking for data in two rating groups."""

    def data_request(self, session_id, type_, number, used=None, reason=None):
        """A CCR about both rating groups; every group but a final one asks for more, leaving the size to the server."""
        ccr = self.request(session_id, DATA_CONTEXT, type_, number)
        ccr.multiple_services_indicator = 1
        for group in DATA:
            mscc = MultipleServicesCreditControl(rating_group=group)
            if type_ != TERMINATION:
                mscc.requested_service_unit = RequestedServiceUnit()
            if used:
                octets = used[group]
                half = octets // 2
                mscc.used_service_unit = [
                    UsedServiceUnit(cc_total_octets=octets, cc_input_octets=half, cc_output_octets=octets - half)
                ]
                mscc.reporting_reason = [reason]
            ccr.multiple_services_credit_control.append(mscc)
        ccr.service_information = ServiceInformation(
            ps_information=PsInformation(tgpp_charging_id=b"\x00\x00\x00\x2a", called_station_id="internet")
        )
        if type_ == TERMINATION:
            ccr.termination_cause = 1
        return ccr

    def check_grants(self, name, answer, exact):
        groups = answer.multiple_services_credit_control
        expect_equal([g.rating_group for g in groups], list(DATA), f"{name}: rating groups")
        for mscc in groups:
            what = f"{name}: rating group {mscc.rating_group}"
            expect_equal(mscc.result_code, SUCCESS, f"{what}: Result-Code")
            expect(mscc.granted_service_unit is not None, f"{what}: no Granted-Service-Unit beside 2001")
            grant = mscc.granted_service_unit.cc_total_octets
            expect(grant, f"{what}: no CC-Total-Octets in the grant")
            if exact:
                expect_equal(grant, DATA[mscc.rating_group][2], f"{what}: granted octets")
            expect(mscc.final_unit_indication is None, f"{what}: final units although there is money")
            validity, threshold = mscc.validity_time, mscc.volume_quota_threshold
            expect(validity is None or validity > 0, f"{what}: Validity-Time {validity}")
            expect(threshold is None or 0 < threshold < grant, f"{what}: threshold {threshold} of {grant}")
            say(f"{what}: granted {grant} octets, validity {validity} s")


def check_cost(name, answer, expected):
    """Cost-Information is optional; when there, it must be what the session cost so far."""
    if answer.cost_information is None:
        return
    value = answer.cost_information.unit_value
    cost = Decimal(value.value_digits).scaleb(value.exponent or 0)
    expect_equal(answer.cost_information.currency_code, 156, f"{name}: currency of the cost (CNY)")
    expect_equal(cost, expected, f"{name}: cost")


def data_session(client):
    """I, U, U, retransmitted U, T over two rating groups; returns what it costs."""
    session_id = client.session_id()
    total = dict.fromkeys(DATA, 0)

    answer, _, _ = client.ask("CCR-I", client.data_request(session_id, INITIAL, 0))
    client.check_grants("CCR-I", answer, exact=True)

    # Parts of blocks, so that rounding each report would give another sum than rounding the session.
    reports = [{1: 3_500_000, 2: 250_000}, {1: 2_500_000, 2: 150_000}]
    for number, used in enumerate(reports, start=1):
        name = f"CCR-U {number}"
        answer, sent, received = client.ask(name, client.data_request(session_id, UPDATE, number, used, reason=3))
        client.check_grants(name, answer, exact=False)
        total = {group: total[group] + used[group] for group in DATA}
    check_cost(name, answer, sum(price(g, octets) for g, octets in total.items()))

    repeated = client.link.ask_octets(f"{name} again", retransmitted(sent))
    expect_equal(repeated.hex(), received.hex(), "answer to the retransmission")
    # As after a failover: another hop-by-hop id, all else the same.
    repeated = client.link.ask_octets(f"{name} by another way", retransmitted(sent, hop_by_hop=0x7FEDCBA9))
    expect_equal(repeated[16:].hex(), received[16:].hex(), "answer to the retransmission by another way")
    say(f"{name}: both retransmissions got the same answer")

    used = {1: 4_000_000, 2: 600_000}
    total = {group: total[group] + used[group] for group in DATA}
    cost = sum(price(group, octets) for group, octets in total.items())
    answer, _, _ = client.ask("CCR-T", client.data_request(session_id, TERMINATION, len(reports) + 1, used, reason=2))
    expect(not answer.multiple_services_credit_control, "CCR-T: the answer grants something")
    check_cost("CCR-T", answer, cost)
    say(f"session: {total} octets cost {cost} CNY")
    return cost


def sms(client):
    """A short message, debited directly; returns what it costs."""
    ccr = client.request(client.session_id("sms"), SMS_CONTEXT, EVENT, 0)
    ccr.requested_action = 0
    ccr.requested_service_unit = RequestedServiceUnit(cc_service_specific_units=1)
    recipient = RecipientAddress(address_type=1, address_data="8613800000002")
    ccr.service_information = ServiceInformation(
        sms_information=SmsInformation(
            sms_node=3, sm_message_type=0, recipient_info=[RecipientInfo(recipient_address=[recipient])]
        )
    )
    answer, _, _ = client.ask("CCR-E", ccr)
    expect(answer.granted_service_unit is not None, "CCR-E: no Granted-Service-Unit")
    expect_equal(answer.granted_service_unit.cc_service_specific_units, 1, "CCR-E: granted messages")
    check_cost("CCR-E", answer, SMS_PRICE)
    return SMS_PRICE


def strangers(client):
    unknown = [(E164, "999990009"), (IMSI, "999990000000009")]
    stranger = client.request(client.session_id(), DATA_CONTEXT, INITIAL, 0, subscriber=unknown)
    stranger.multiple_services_indicator = 1
    stranger.multiple_services_credit_control.append(
        MultipleServicesCreditControl(rating_group=1, requested_service_unit=RequestedServiceUnit())
    )
    client.ask("CCR-I of an unknown subscriber", stranger, result=USER_UNKNOWN)
    nowhere = client.data_request(client.session_id(), UPDATE, 1, {1: MB, 2: MB}, reason=3)
    client.ask("CCR-U of an unknown session", nowhere, result=UNKNOWN_SESSION)


def play(arguments):
    host, port = arguments.address.rsplit(":", 1)
    msisdn, imsi = str(FIRST_MSISDN + arguments.subscriber), str(FIRST_IMSI + arguments.subscriber)
    subscriber = [(E164, msisdn), (IMSI, imsi)]
    client = Client(Link.to((host, int(port)), arguments.origin_host, "client.example"), subscriber)
    admin = Admin(arguments.grpc) if arguments.grpc else None
    before = admin.money(msisdn) if admin else None

    client.connect_to_server()
    client.watchdog()
    cost = data_session(client) + sms(client)
    strangers(client)
    client.disconnect()

    if admin:
        after, reserved, _ = admin.money(msisdn)
        expect_equal(after, before[0] - cost, "balance afterwards")
        expect_equal(reserved, before[1], "reserved money afterwards")
        say(f"balance: {before[0]} - {cost} = {after} CNY")
    say(f"ok: all as expected, {cost} CNY in all")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="HOST:PORT of the Diameter listener")
    parser.add_argument("--grpc", help="HOST:PORT of the gRPC API: check the balance too")
    parser.add_argument("--subscriber", type=int, default=1, help="number of the demo subscriber (default 1)")
    parser.add_argument("--origin-host", default="gy-session.client.example")
    arguments = parser.parse_args()
    try:
        play(arguments)
    except Failed as failure:
        say(f"FAILED: {failure}")
        return 1
    except (OSError, ValueError) as error:
        say(f"cannot run: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
