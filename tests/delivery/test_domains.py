"""S91: a domain that takes no mail is found before sending; a DNS server that is silent is no reason."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from flask import Flask

from preference_center.campaigns.models import CampaignState
from preference_center.delivery import queries, sending
from preference_center.delivery.pace.domains import Domains, Standing
from tests.support.campaigns import filled
from tests.support.relay import FakeRelay

ANSWERS = {
    "null.shop": "0 .",
    "fine.shop": "10 mail.fine.shop.",
    "two.shop": "0 . 10 mail.two.shop.",
}


@contextmanager
def name_server(*, silent: bool = False) -> Iterator[tuple[Domains, list[str]]]:
    """A real name server on a socket of ours."""
    asked: list[str] = []
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                data, sender = sock.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            name = query.question[0].name.to_text().rstrip(".")
            asked.append(name)
            if silent:
                continue
            answer = dns.message.make_response(query)
            if name in ANSWERS:
                words = ANSWERS[name].split()
                records = [" ".join(words[at : at + 2]) for at in range(0, len(words), 2)]
                answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "MX", *records))
            elif name.startswith("gone"):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            elif name.startswith("broken"):
                answer.set_rcode(dns.rcode.SERVFAIL)
            sock.sendto(answer.to_wire(), sender)

    threading.Thread(target=serve, daemon=True).start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], sock.getsockname()[1], 1.0
    domains = Domains(resolver)
    try:
        yield domains, asked
    finally:
        domains.close()
        sock.close()


@pytest.mark.parametrize(
    ("domain", "standing"),
    [
        ("null.shop", Standing.null_mx),
        ("gone.shop", Standing.unknown_domain),
        ("fine.shop", Standing.fine),
        ("two.shop", Standing.fine),
        ("no-mx.shop", Standing.fine),
        ("broken.shop", Standing.fine),
    ],
)
def test_what_the_name_server_says_decides(domain: str, standing: Standing) -> None:  # S91
    with name_server() as (domains, _):
        domains.look_up([domain], patience=3)
        assert domains.standing(domain) is standing


def test_a_silent_name_server_is_no_reason_and_keeps_a_chunk_for_a_moment_only() -> None:  # S91
    with name_server(silent=True) as (domains, asked):
        begun = time.monotonic()
        names = [f"gone{number}.shop" for number in range(50)]
        domains.look_up(names, patience=0.2)
        assert time.monotonic() - begun < 1
        assert {domains.standing(name) for name in names} == {Standing.fine}
        assert asked


def test_an_answer_is_kept_and_a_late_one_serves_the_next_chunk() -> None:
    with name_server() as (domains, asked):
        for _ in range(3):
            domains.look_up(["null.shop", "fine.shop"], patience=3)
        assert sorted(asked) == ["fine.shop", "null.shop"]


@pytest.mark.both_databases
def test_a_contact_at_a_domain_that_takes_no_mail_is_skipped_and_the_relay_never_hears_of_it(  # S91
    app: Flask,
) -> None:
    with FakeRelay() as relay, name_server() as (domains, _):
        app.extensions["settings"] = replace(app.extensions["settings"], relay_url=relay.url)
        app.extensions["domains"] = domains
        campaign = filled(["anna@null.shop", "ben@gone.shop", "cora@fine.shop"])
        sending.run(campaign.id, seconds=20)
        assert [message.recipient for message in relay.messages] == ["cora@fine.shop"]
    figures = queries.figures(campaign)
    assert (figures.sent, figures.skipped) == (1, {"null_mx": 1, "invalid_address": 1})
    assert campaign.state is CampaignState.sent


def test_names_for_examples_are_never_asked_for() -> None:
    with name_server() as (domains, asked):
        domains.look_up(["example.org", "shop.example", "a.example.com", "x.test"], patience=0.2)
        assert asked == []
