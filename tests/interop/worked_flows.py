#!/usr/bin/env python3
"""The worked flows of the credit-control reference (C-F1 to C-F12), number for number, against a running server.

    worked_flows.py HOST:PORT --grpc HOST:PORT [--relay] [--switch UNIX_SECONDS] FLOW...

Every flow has an account of its own, made over gRPC, in the currency EUR; the prices are the caller's to provide (see
tests/it/worked_flows.rs). B, R and A of the tables (balance, reserved, available) are read over gRPC after each step.

With --relay every connection of the client leads to a freeDiameter of its own, which relays to the server and must
understand all that the server says; requests carry Proxy-Info then.

Standard output has a JSON line for every message: {"direction", "name", "hex"}. Standard error tells the story.
Exit status: 0 all as expected, 1 something was not (expected and got are in the last line), 2 cannot run.
"""

import argparse
import datetime
import socket
import sys
from decimal import Decimal

from diameter.message import Message
from diameter.message.avp.grouped import (
    MultipleServicesCreditControl,
    RequestedServiceUnit,
    UsedServiceUnit,
)
from diameter.message.commands import AbortSessionRequest, ReAuthRequest

from admin import Admin
from freediameter import SERVER, FreeDiameter
from gateway import E164, EVENT, INITIAL, TERMINATION, UPDATE, Gateway
from link import SUCCESS, TIMEOUT_SECONDS, Failed, Link, expect, expect_equal, retransmitted, say

DATA, SMS = "32251@3gpp.org", "32274@3gpp.org"
CLIENT, REALM = "flows.client.example", "client.example"
# As if two proxies stood between the user and this client.
PROXIES = [(b"edge.client.example", b"\x00state\xff"), (b"core.client.example", b"")]
EUR = 978
MIB = 1_048_576
SLICE = 10 * MIB
DIRECT_DEBITING, REFUND_ACCOUNT, CHECK_BALANCE, PRICE_ENQUIRY = range(4)
LIMITED_SUCCESS, CREDIT_LIMIT_REACHED = 2002, 4012
AUTHORIZE_ONLY = 0
BEFORE, AFTER, INDETERMINATE = range(3)
TOP_UP_PAGE = "redirect 2 http://topup.example"
G_S_U_TARIFF_TIME_CHANGE = (456, 0), (431, 0), (451, 0)


def used(octets=None, seconds=None, events=None, tariff=None):
    """A Used-Service-Unit."""
    unit = UsedServiceUnit(cc_total_octets=octets, cc_time=seconds, cc_service_specific_units=events)
    unit.tariff_change_usage = tariff
    return unit


def units(seconds=None, events=None):
    """A Requested-Service-Unit; without an amount the server chooses."""
    return RequestedServiceUnit(cc_time=seconds, cc_service_specific_units=events)


def service(group, want=None, *reports, identifier=None):
    """The MSCC of a request; `want` = its Requested-Service-Unit."""
    mscc = MultipleServicesCreditControl(rating_group=group, requested_service_unit=want)
    mscc.used_service_unit = list(reports)
    mscc.service_identifier = [] if identifier is None else [identifier]
    return mscc


def granted(group, valid=3600, **facts):
    """What an answer says of a service that is served."""
    return {"group": group, "valid": valid, "result": SUCCESS} | facts


def refused(group, result):
    return {"group": group, "result": result}


def told(mscc):
    """What an answer says of a service; what is absent is left out."""
    unit, final = mscc.granted_service_unit, mscc.final_unit_indication
    facts = {
        "group": mscc.rating_group,
        "identifier": (mscc.service_identifier or [None])[0],
        "octets": unit and unit.cc_total_octets,
        "seconds": unit and unit.cc_time,
        "events": unit and unit.cc_service_specific_units,
        "valid": mscc.validity_time,
        "final": final and final_action(final),
        "result": mscc.result_code,
    }
    for threshold, amount in ((mscc.volume_quota_threshold, "octets"), (mscc.time_quota_threshold, "seconds")):
        if threshold is not None:
            expect(facts[amount] and threshold < facts[amount], f"threshold {threshold} of a grant: {facts} (I-5)")
    return {name: fact for name, fact in facts.items() if fact is not None}


def final_action(indication):
    action = {0: "terminate", 1: "redirect", 2: "restrict"}[indication.final_unit_action]
    server = indication.redirect_server
    return f"{action} {server.redirect_address_type} {server.redirect_server_address}" if server else action


def cost_of(answer):
    cost = answer.cost_information
    if cost is None:
        return None
    expect_equal(cost.currency_code, EUR, "Currency-Code of the cost")
    return Decimal(cost.unit_value.value_digits).scaleb(cost.unit_value.exponent or 0)


class Direct:
    """Connections straight to the server."""

    def __init__(self, address):
        self.address = address

    def connection(self, subscriber):
        gateway = Gateway(Link.to(self.address, CLIENT, REALM), subscriber)
        gateway.connect_to_server()
        return gateway

    def end(self):
        """All went well."""

    def kill(self):
        """Nothing may go on, whatever happened."""


class Relayed:
    """Connections through relays, a relay for each: relay1.relay.example, relay2.relay.example, ..."""

    def __init__(self, address):
        self.port, self.relays, self.gateways = address[1], [], []

    def connection(self, subscriber):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(TIMEOUT_SECONDS)
            host = f"relay{len(self.relays) + 1}.relay.example"
            peers = [(SERVER, self.port), (CLIENT, listener.getsockname()[1])]
            relay = FreeDiameter(host, peers)
            self.relays.append(relay)
            connected, _ = listener.accept()
        gateway = Gateway(Link(connected, CLIENT, REALM), subscriber, PROXIES)
        expect_equal(gateway.accept(), host.encode(), "Origin-Host of the relay")
        relay.wait_open(SERVER)
        relay.wait_open(CLIENT)
        self.gateways.append(gateway)
        return gateway

    def end(self):
        for gateway in self.gateways:
            if not gateway.link.is_broken:
                gateway.disconnect()
        for relay in self.relays:
            relay.stop()

    def kill(self):
        for relay in self.relays:
            relay.kill()


class Play:
    """What a flow plays with: an account and a connection."""

    accounts = 0

    def __init__(self, ways, admin, switch):
        self.ways, self.admin, self.switch = ways, admin, switch
        Play.accounts += 1
        self.msisdn = str(491700000000 + Play.accounts)
        self.gateway = self.connection()

    def connection(self):
        """A connection of the one client."""
        return self.ways.connection([(E164, self.msisdn)])

    def account(self, balance):
        self.admin.create(Play.accounts, "EUR", balance, self.msisdn)
        self.money(balance, "0")

    def money(self, balance, reserved, available=None):
        """B, R and A of the tables."""
        expected = (Decimal(balance), Decimal(reserved), Decimal(available or Decimal(balance) - Decimal(reserved)))
        got = self.admin.money(self.msisdn)
        text = [" ".join(f"{name} {amount:.2f}" for name, amount in zip("BRA", money)) for money in (expected, got)]
        expect(expected == got, f"money: expected {text[0]}, got {text[1]}")
        say(f"    {text[1]}")

    def session(self):
        return Session(self)

    def event(self, action, events, result=SUCCESS):
        """A one-time event about short messages; returns the answer."""
        ccr = self.gateway.request(self.gateway.session_id("sms"), SMS, EVENT, 0)
        ccr.requested_action, ccr.requested_service_unit = action, units(events=events)
        answer, _, _ = self.gateway.ask(f"CCR-E action {action}", ccr, result)
        return answer


class Session:
    def __init__(self, play):
        self.play, self.id = play, play.gateway.session_id()

    def request(self, type_, number, services, gateway=None, at=None):
        ccr = (gateway or self.play.gateway).request(self.id, DATA, type_, number, at)
        ccr.multiple_services_indicator = 1
        ccr.multiple_services_credit_control = list(services)
        if type_ == TERMINATION:
            ccr.termination_cause = 1
        return ccr

    def ask(self, type_, number, services, expected, cost=None, at=None):
        """Sends a CCR and compares what the answer says of its services, and what the session cost so far."""
        name, ccr = self.name(type_, number), self.request(type_, number, services, at=at)
        answer, sent, octets = self.play.gateway.ask(name, ccr)
        self.compare(name, answer, expected, cost)
        return answer, sent, octets

    @staticmethod
    def name(type_, number):
        return f"CCR-{'IUT'[type_ - 1]} #{number}"

    @staticmethod
    def compare(name, answer, expected, cost=None):
        expect_equal([told(mscc) for mscc in answer.multiple_services_credit_control], list(expected), name)
        if cost is not None:
            expect_equal(cost_of(answer), Decimal(cost), f"{name}: cost")

    def initial(self, services, expected, **more):
        return self.ask(INITIAL, 0, services, expected, **more)

    def update(self, number, services, expected, **more):
        return self.ask(UPDATE, number, services, expected, **more)

    def terminate(self, number, services, **more):
        return self.ask(TERMINATION, number, services, [], **more)


FLOWS = {}


def flow(name):
    def register(function):
        FLOWS[name] = function
        return function

    return register


@flow("C-F1")
def volume_session(play):
    play.account("10.00")
    session = play.session()
    session.initial([service(10, units())], [granted(10, octets=SLICE)])
    play.money("10.00", "1.00", "9.00")
    session.update(1, [service(10, units(), used(SLICE))], [granted(10, octets=SLICE)], cost="1.00")
    play.money("9.00", "1.00", "8.00")
    session.terminate(2, [service(10, None, used(3 * MIB))], cost="1.30")
    play.money("8.70", "0", "8.70")


@flow("C-F2")
def one_of_two_is_refused(play):
    play.account("0.50")
    session = play.session()
    expected = [granted(10, octets=5 * MIB, final="terminate"), refused(20, CREDIT_LIMIT_REACHED)]
    session.initial([service(10, units()), service(20, units())], expected)
    play.money("0.50", "0.50", "0.00")
    session.terminate(1, [service(10, None, used(2 * MIB))], cost="0.20")
    play.money("0.30", "0")


def redirected(play):
    """C-F3 up to the redirect: the final units are used up."""
    play.account("0.75")
    session = play.session()
    final = 7_864_320
    session.initial([service(10, units())], [granted(10, octets=final, final=TOP_UP_PAGE)])
    play.money("0.75", "0.75")
    # No units: our form of that is the zero grant (C-83, C-85).
    restricted = granted(10, valid=300, octets=0, final=TOP_UP_PAGE)
    session.update(1, [service(10, None, used(final))], [restricted], cost="0.75")
    play.money("0.00", "0")
    return session, restricted


@flow("C-F3")
def redirect_and_top_up(play):
    session, _ = redirected(play)
    play.admin.top_up(play.msisdn, "EUR", "5.00", "pay1")
    link = play.gateway.link
    rar = link.request(ReAuthRequest)
    expect_equal(rar.session_id, session.id, "RAR: Session-Id")
    expect_equal(rar.re_auth_request_type, AUTHORIZE_ONLY, "RAR: Re-Auth-Request-Type")
    expect_equal(rar.auth_application_id, 4, "RAR: Auth-Application-Id")
    expect_equal((rar.destination_host, rar.destination_realm), (link.host, link.realm), "RAR: where it goes")
    link.reply("RAA", rar, LIMITED_SUCCESS)
    play.money("5.00", "0")
    session.update(2, [service(10, units())], [granted(10, octets=SLICE)])
    play.money("5.00", "1.00")


@flow("C-F3-without-top-up")
def redirect_and_nothing(play):
    session, restricted = redirected(play)
    session.update(2, [service(10, units())], [restricted])
    play.money("0.00", "0")


@flow("C-F4")
def nothing_left_with_redirect(play):
    play.account("0")
    play.session().initial([service(10, units())], [granted(10, valid=300, octets=0, final=TOP_UP_PAGE)])
    play.money("0", "0")


@flow("C-F4-terminate")
def nothing_left_without_redirect(play):
    play.account("0")
    play.session().initial([service(10, units())], [refused(10, CREDIT_LIMIT_REACHED)])
    play.money("0", "0")


def tariff_change(play, before, after, more, debited):
    """19:50 and 20:10 of the flow lie around a switch that is some minutes ago: requests are rated by their own time."""
    play.account("1.00" if not more else "1.20")
    session, switch = play.session(), datetime.datetime.fromtimestamp(play.switch, datetime.timezone.utc)
    minutes = datetime.timedelta(minutes=1)
    first = 5 * MIB if not more else 6 * MIB
    ccr = session.request(INITIAL, 0, [service(10, units())], at=switch - 10 * minutes)
    answer, _, octets = play.gateway.ask("CCR-I #0", ccr)
    facts = [{name: fact for name, fact in told(mscc).items() if name != "valid"} for mscc in
             answer.multiple_services_credit_control]
    expect_equal([(fact["group"], fact["octets"]) for fact in facts], [(10, first)], "CCR-I #0: by the dearer price")
    changes = [avp.value for avp in Message.from_bytes(octets, plain_msg=True).find_avps(*G_S_U_TARIFF_TIME_CHANGE)]
    changes = [change.replace(tzinfo=datetime.timezone.utc) for change in changes]
    expect_equal(changes, [switch], "CCR-I #0: Tariff-Time-Change")
    whole = "1.00" if not more else "1.20"
    play.money(whole, whole)
    reports = [used(before, tariff=BEFORE), used(after, tariff=AFTER)]
    reports += [used(more, tariff=INDETERMINATE)] if more else []
    ccr = session.request(UPDATE, 1, [service(10, units(), *reports)], at=switch + 5 * minutes)
    answer, _, _ = play.gateway.ask("CCR-U #1", ccr)
    expect_equal(cost_of(answer), Decimal(debited), "CCR-U #1: cost")
    fact = told(answer.multiple_services_credit_control[0])
    expect_equal((fact["octets"], fact["final"]), (MIB, "terminate"), "CCR-U #1: the last MiB")
    play.money("0.20", "0.20")


@flow("C-F5")
def tariff_change_is_split(play):
    tariff_change(play, 2 * MIB, 3 * MIB, None, "0.80")


@flow("C-F5-indeterminate")
def tariff_change_with_a_straddling_part(play):
    tariff_change(play, 2 * MIB, 3 * MIB, MIB, "1.00")


def two_messages(play):
    """C-F6 up to the refusal of the third message."""
    play.account("0.20")
    for balance in ("0.11", "0.02"):
        answer = play.event(DIRECT_DEBITING, 1)
        expect_equal(answer.granted_service_unit.cc_service_specific_units, 1, "debit: Granted-Service-Unit")
        expect_equal(cost_of(answer), Decimal("0.09"), "debit: cost")
        play.money(balance, "0")
    answer = play.event(DIRECT_DEBITING, 1, CREDIT_LIMIT_REACHED)
    expect(answer.granted_service_unit is None, "refused debit: it has a Granted-Service-Unit")
    play.money("0.02", "0")


def asked_only(play, balance):
    """C-F6 after the refund: neither leaves a trace."""
    answer = play.event(CHECK_BALANCE, 2)
    expect_equal(answer.check_balance_result, 1, "balance check for two: NO_CREDIT")
    expect(answer.granted_service_unit is None, "balance check: it has a Granted-Service-Unit")
    play.money(balance, "0")
    answer = play.event(PRICE_ENQUIRY, 3)
    expect_equal(cost_of(answer), Decimal("0.27"), "price enquiry: cost")
    expect(answer.granted_service_unit is None, "price enquiry: it has a Granted-Service-Unit")
    play.money(balance, "0")


@flow("C-F6")
def events(play):
    two_messages(play)
    answer = play.event(REFUND_ACCOUNT, 1)
    expect_equal(answer.granted_service_unit.cc_service_specific_units, 1, "refund: Granted-Service-Unit")
    play.money("0.11", "0")
    asked_only(play, "0.11")


@flow("C-F6-without-refund")
def events_without_refund(play):
    two_messages(play)
    asked_only(play, "0.02")
    play.admin.top_up(play.msisdn, "EUR", "0.16", "pay1")
    answer = play.event(CHECK_BALANCE, 2)
    expect_equal(answer.check_balance_result, 0, "balance check for two of 0.18: ENOUGH_CREDIT")


def interrupted(play):
    """C-F7 up to where the answer to CCR-U #1 is lost; the request is not sent yet."""
    play.account("10.00")
    session, gateway = play.session(), play.gateway
    session.initial([service(10, units())], [granted(10, octets=SLICE)])
    update = session.request(UPDATE, 1, [service(10, units(), used(SLICE))], gateway)
    update.header.hop_by_hop_identifier = update.header.end_to_end_identifier = 0x00ABCDEF
    return session, update, update.as_bytes()


def other_way(play, session, update, octets):
    """The copy on another connection: T set, its own hop-by-hop id. Returns the answer's octets."""
    other = play.connection()
    name = "CCR-U #1 by another way"
    answer = other.link.ask_octets(name, retransmitted(octets, hop_by_hop=0x00123456))
    message = Message.from_bytes(answer)
    other.check(name, update, message, answer)
    session.compare(name, message, [granted(10, octets=SLICE)], cost="1.00")
    play.money("9.00", "1.00")
    return answer


@flow("C-F7")
def the_answer_is_lost(play):
    session, update, octets = interrupted(play)
    play.gateway.link.start_octets("CCR-U #1", octets)
    play.gateway.link.break_off()
    other_way(play, session, update, octets)


@flow("C-F7-original-answered")
def the_copy_comes_after_the_answer(play):
    session, update, octets = interrupted(play)
    first = play.gateway.link.ask_octets("CCR-U #1", octets)
    again = other_way(play, session, update, octets)
    expect_equal(again[16:].hex(), first[16:].hex(), "answer to the copy, but for the hop-by-hop id")


@flow("C-F7-copy-first")
def the_copy_comes_first(play):
    session, update, octets = interrupted(play)
    first = other_way(play, session, update, octets)
    late = play.gateway.link.ask_octets("CCR-U #1, late", octets)
    expect_equal(late[16:].hex(), first[16:].hex(), "answer to the original, but for the hop-by-hop id")
    play.money("9.00", "1.00")


@flow("C-F8")
def voice(play):
    play.account("10.00")
    balance = Decimal("10.00")
    minute = granted(50, seconds=60)
    # Reported first, reported last, cost then, cost in the end.
    for first, last, sofar, total in ((60, 15, "0.12", "0.24"), (50, 25, "0.12", "0.24"), (50, 20, "0.12", "0.24"),
                                      (20, 20, "0.12", "0.12")):
        say(f"  {first} s and {last} s")
        session = play.session()
        session.initial([service(50, units(seconds=60))], [minute])
        play.money(balance, "0.12")
        session.update(1, [service(50, units(seconds=60), used(seconds=first))], [minute], cost=sofar)
        session.terminate(2, [service(50, None, used(seconds=last))], cost=total)
        balance -= Decimal(total)
        play.money(balance, "0")


def pool_of(mscc):
    """Of a service in a pool: the pool, what is granted, and what that is in units of the pool."""
    expect_equal(len(mscc.g_s_u_pool_reference), 1, "G-S-U-Pool-References of a grant")
    reference, unit = mscc.g_s_u_pool_reference[0], mscc.granted_service_unit
    amount = {0: unit.cc_time, 2: unit.cc_total_octets}[reference.cc_unit_type]
    value = reference.unit_value
    return reference.g_s_u_pool_identifier, amount, amount * Decimal(value.value_digits).scaleb(value.exponent or 0)


@flow("C-F9")
def pools(play):
    """The RFC's dollars are euros here. Its account is never short of money: that a service is the last one or goes on free
    is another flow's."""
    mb = 1_000_000
    play.account("100.00")
    session, gateway = play.session(), play.gateway

    def asked(type_, number, *services):
        answer, _, _ = gateway.ask(session.name(type_, number), session.request(type_, number, services))
        expect_equal([mscc.result_code for mscc in answer.multiple_services_credit_control], [SUCCESS] * len(services),
                     f"#{number}: Result-Codes of the services")
        return [pool_of(mscc) for mscc in answer.multiple_services_credit_control]

    [(pool1, amount, access)] = asked(INITIAL, 0, service(100, units()))
    expect_equal(amount, 5 * mb, "access: granted octets")
    play.money("100.00", "5.00")
    [(pool, amount, minutes)] = asked(UPDATE, 1, service(1, units()))
    expect_equal((pool, amount), (pool1, 50 * 60), "rating group 1: pool and granted seconds")
    expect_equal(minutes, access, "rating group 1 has as much of the pool as access: 5.00 each")
    play.money("100.00", "10.00")
    (pool2, amount3, share3), (pool, amount4, share4) = asked(
        UPDATE, 2, service(None, units(), identifier=3), service(None, units(), identifier=4)
    )
    expect_equal((pool, amount3, amount4), (pool2, 12_500_000, 5 * mb), "services 3 and 4: pool and granted octets")
    expect(pool2 != pool1, "two pools have one identifier")
    expect_equal(share3, share4, "services 3 and 4 have as much of their pool: 2.50 each")
    play.money("100.00", "15.00")
    [(pool, amount, _)] = asked(UPDATE, 3, service(100, units(), used(4 * mb)))
    expect_equal((pool, amount), (pool1, 5 * mb), "access again: pool and granted octets")
    play.money("96.00", "16.00")
    # The pool is used up by service 3 alone: its report exceeds its own grant and is covered (C-175).
    session.terminate(4, [service(None, None, used(25 * mb), identifier=3)])
    play.money("91.00", "0")


@flow("C-F10")
def overuse(play):
    play.account("5.00")
    session = play.session()
    session.initial([service(10, units())], [granted(10, octets=SLICE)])
    session.update(1, [service(10, units(), used(11 * MIB))], [granted(10, octets=SLICE)], cost="1.10")
    play.money("3.90", "1.00")


@flow("C-F11")
def concurrent_sessions(play):
    play.account("1.50")
    link, sessions = play.gateway.link, [play.session(), play.session()]
    requests = [session.request(INITIAL, 0, [service(10, units())]) for session in sessions]
    pending = [link.start("CCR-I #0", request) for request in requests]
    answers = [link.answer_octets(each) for each in pending]
    facts = []
    for request, octets in zip(requests, answers):
        message = Message.from_bytes(octets)
        play.gateway.check("CCR-I #0", request, message, octets)
        facts += [told(mscc) for mscc in message.multiple_services_credit_control]
    grants = sorted((fact.get("octets"), fact.get("final")) for fact in facts)
    expect_equal(grants, [(5 * MIB, None), (SLICE, None)], "grants of both sessions, none of them final")
    play.money("1.50", "1.50", "0.00")


@flow("C-F12")
def parallel_updates(play):
    play.account("10.00")
    session, link = play.session(), play.gateway.link
    piece = granted(20, events=1)
    session.initial([service(10, units()), service(20, units())], [granted(10, octets=SLICE), piece])
    play.money("10.00", "2.00")
    # #2 arrives first, and both are on their way together.
    parts = {
        2: (service(20, units(), used(events=1)), piece),
        1: (service(10, units(), used(SLICE)), granted(10, octets=SLICE)),
    }
    requests = {number: session.request(UPDATE, number, [part]) for number, (part, _) in parts.items()}
    pending = {number: link.start(f"CCR-U #{number}", request) for number, request in requests.items()}
    for number, (_, expected) in parts.items():
        octets, name = link.answer_octets(pending[number]), f"CCR-U #{number}"
        message = Message.from_bytes(octets)
        play.gateway.check(name, requests[number], message, octets)
        session.compare(name, message, [expected])
    play.money("8.00", "2.00")


@flow("abort")
def aborted_by_an_operator(play):
    """Not one of the reference's flows: it is for what stands between the client and the server."""
    play.account("10.00")
    session, link = play.session(), play.gateway.link
    session.initial([service(10, units())], [granted(10, octets=SLICE)])
    play.admin.terminate(session.id)
    asr = link.request(AbortSessionRequest)
    expect_equal(asr.session_id, session.id, "ASR: Session-Id")
    expect_equal(asr.auth_application_id, 4, "ASR: Auth-Application-Id")
    expect_equal((asr.destination_host, asr.destination_realm), (link.host, link.realm), "ASR: where it goes")
    link.reply("ASA", asr, SUCCESS)
    session.terminate(1, [service(10, None, used(MIB))], cost="0.10")
    play.money("9.90", "0")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="HOST:PORT of the Diameter listener")
    parser.add_argument("--grpc", required=True, help="HOST:PORT of the gRPC API")
    parser.add_argument("--relay", action="store_true", help="through freeDiameter")
    parser.add_argument("--switch", type=int, help="when the price of C-F5 changed, unix time in seconds")
    parser.add_argument("flows", nargs="+", choices=FLOWS, metavar="FLOW", help=", ".join(FLOWS))
    arguments = parser.parse_args()
    host, port = arguments.address.rsplit(":", 1)
    failures = []
    try:
        admin = Admin(arguments.grpc)
        for name in arguments.flows:
            say(f"{name}: {FLOWS[name].__name__.replace('_', ' ')}")
            ways = (Relayed if arguments.relay else Direct)((host, int(port)))
            try:
                FLOWS[name](Play(ways, admin, arguments.switch))
                ways.end()
            except Failed as failure:
                failures.append(f"{name} FAILED: {failure}")
            finally:
                ways.kill()
    except (OSError, ValueError) as error:
        say(f"cannot run: {error}")
        return 2
    say("\n".join(failures or [f"ok: {', '.join(arguments.flows)} as expected"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
