"""S91: a domain that takes no mail is found before sending; a DNS server that is silent is no reason."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from flask import Flask

from preference_center.campaigns.models import CampaignState
from preference_center.delivery import queries, sending
from preference_center.delivery.pace.domains import Domains, Standing
from tests.support.campaigns import filled
from tests.support.name_server import name_server
from tests.support.relay import FakeRelay

ZONE = {
    "null.shop MX": ["0 ."],
    "fine.shop MX": ["10 mail.fine.shop."],
    "two.shop MX": ["0 .", "10 mail.two.shop."],
    "no-mx.shop A": ["192.0.2.1"],
}


@contextmanager
def knowing(*, silent: bool = False) -> Iterator[tuple[Domains, list[str]]]:
    with name_server(ZONE, silent=silent) as (resolver, asked):
        domains = Domains(resolver)
        try:
            yield domains, asked
        finally:
            domains.close()


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
    with knowing() as (domains, _):
        domains.look_up([domain], patience=3)
        assert domains.standing(domain) is standing


def test_a_silent_name_server_is_no_reason_and_keeps_a_chunk_for_a_moment_only() -> None:  # S91
    with knowing(silent=True) as (domains, asked):
        begun = time.monotonic()
        names = [f"gone{number}.shop" for number in range(50)]
        domains.look_up(names, patience=0.2)
        assert time.monotonic() - begun < 1
        assert {domains.standing(name) for name in names} == {Standing.fine}
        assert asked


def test_an_answer_is_kept_and_a_late_one_serves_the_next_chunk() -> None:
    with knowing() as (domains, asked):
        for _ in range(3):
            domains.look_up(["null.shop", "fine.shop"], patience=3)
        assert sorted(asked) == ["fine.shop MX", "null.shop MX"]


@pytest.mark.both_databases
def test_a_contact_at_a_domain_that_takes_no_mail_is_skipped_and_the_relay_never_hears_of_it(  # S91
    app: Flask,
) -> None:
    with FakeRelay() as relay, knowing() as (domains, _):
        app.extensions["settings"] = replace(app.extensions["settings"], relay_url=relay.url)
        app.extensions["domains"] = domains
        campaign = filled(["anna@null.shop", "ben@gone.shop", "cora@fine.shop"])
        sending.run(campaign.id, seconds=20)
        assert [message.recipient for message in relay.messages] == ["cora@fine.shop"]
    figures = queries.figures(campaign)
    assert (figures.sent, figures.skipped) == (1, {"null_mx": 1, "invalid_address": 1})
    assert campaign.state is CampaignState.sent


def test_names_for_examples_are_never_asked_for() -> None:
    with knowing() as (domains, asked):
        domains.look_up(["example.org", "shop.example", "a.example.com", "x.test"], patience=0.2)
        assert asked == []
