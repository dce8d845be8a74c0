"""S90: DKIM, DMARC, alignment, bounces and names, each right and each spoilt in one place, of a real name server."""

import time
from functools import cache
from pathlib import Path

import dns.resolver
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from preference_center.mail import dkim
from preference_center.mail.preflight import dmarc, report
from preference_center.mail.preflight.findings import Standing
from preference_center.mail.preflight.records import Records
from tests.conftest import make_settings
from tests.mail.preflight.asking import DOMAIN, RIGHT, looked, spoilt, with_keys
from tests.support.name_server import Zone, name_server, text


@cache
def rsa_key(number: int = 0) -> bytes:
    return dkim.generate_key()


@cache
def short_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(kind, form, serialization.NoEncryption())


def test_a_domain_that_has_everything_has_no_other_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = with_keys(tmp_path, RIGHT, s1=rsa_key(), e1=dkim.generate_key("ed25519"))  # S90
    found = looked(zone, tmp_path, monkeypatch)
    assert {one.standing for one in found} == {Standing.ok}, found
    assert [one.what for one in found] == ["SPF", "DKIM", "DKIM", "DMARC", "alignment", "bounces", "PTR", "PTR"]


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"news.kiosk.shop TXT": None}, "SPF", "no record"),
        ({"_spf.kiosk.shop TXT": ['"v=spf1 -all"']}, "SPF", "192.0.2.25 is not allowed"),
        ({"_dmarc.kiosk.shop TXT": None}, "DMARC", "no record here or above"),
        ({"_dmarc.kiosk.shop TXT": ['"v=DMARC1; p=much"']}, "DMARC", "is not one of none"),
        ({"_dmarc.kiosk.shop TXT": ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"']}, "DMARC", "no record here"),
        ({"news.kiosk.shop MX": None}, "bounces", "has no MX and no address"),
        ({"news.kiosk.shop MX": ["0 ."]}, "bounces", "null MX"),
        ({"in.kiosk.shop A": None}, "bounces", "has no address"),
        ({"25.2.0.192.in-addr.arpa PTR": None}, "PTR", "has no name"),
        ({"25.2.0.192.in-addr.arpa PTR": ["in.kiosk.shop."]}, "PTR", "does not lead back"),
    ],
)
def test_each_thing_spoilt_is_found_alone_with_its_remedy(  # S90
    changes: dict[str, list[str] | None], what: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = [one for one in looked(spoilt(RIGHT, changes), tmp_path, monkeypatch) if one.standing is Standing.failed]
    assert {one.what for one in failed} == {what} and words in str(failed[0]) and "Remedy:" in str(failed[0]), failed


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (None, "no key is published"),
        (["v=DKIM1; k=rsa; p="], "taken back"),
        (["v=DKIM1; k=rsa"], "holds no key"),
        (["v=DKIM1; k=ed25519; p=AAAA"], "is no rsa key"),
        (["OTHER"], "another key"),
        (["OURS; h=sha1"], "does not allow sha256"),
        (["OURS; s=web"], "is not for mail"),
        (["OURS", "OTHER"], "2 records"),
    ],
)
def test_the_published_key_must_be_the_one_that_we_sign_with(  # S90
    published: list[str] | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"OURS": rsa_key(), "OTHER": rsa_key(1)}
    values = {name: dkim.dns_record(DOMAIN, "s1", pem).value for name, pem in keys.items()}
    records = [
        values.get(one[:4], values.get(one[:5], one)) + one[4:] * one.startswith("OURS") for one in published or []
    ]
    zone = with_keys(tmp_path, RIGHT, s1=rsa_key())
    zone = spoilt(zone, {f"s1._domainkey.{DOMAIN} TXT": [text(one) for one in records] or None})
    (found,) = (one for one in looked(zone, tmp_path, monkeypatch) if one.what == "DKIM")
    assert found.standing is Standing.failed and words in found.words and "Remedy:" in found.words, found


def test_a_key_below_2048_bits_fails_even_when_it_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = with_keys(tmp_path, RIGHT, s1=short_key())  # S90
    (found,) = (one for one in looked(zone, tmp_path, monkeypatch) if one.what == "DKIM")
    assert found.standing is Standing.failed and "2048 bits" in found.words


def test_a_published_key_may_be_written_with_spaces_and_without_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # S90
    zone = with_keys(tmp_path, RIGHT, s1=rsa_key())
    value = dkim.dns_record(DOMAIN, "s1", rsa_key()).value.replace("v=DKIM1; k=rsa; p=", "p = ")
    zone[f"s1._domainkey.{DOMAIN} TXT"] = [text(f"{value[:100]} {value[100:]};")]
    (found,) = (one for one in looked(zone, tmp_path, monkeypatch) if one.what == "DKIM")
    assert found.standing is Standing.ok


def dmarc_at(*names: str) -> Zone:
    """`shop.pl`, or with tags `shop.pl psd=n`."""
    parts = (name.partition(" ") for name in names)
    return {f"_dmarc.{name} TXT": [f'"v=DMARC1; p=none; {tags}"'] for name, _, tags in parts}


@pytest.mark.parametrize(
    ("zone", "domain", "organisation"),
    [
        (dmarc_at(), "a.shop.pl", "a.shop.pl"),
        (dmarc_at("shop.pl"), "a.b.shop.pl", "shop.pl"),
        (dmarc_at("a.shop.pl", "shop.pl"), "a.shop.pl", "shop.pl"),
        (dmarc_at("a.shop.pl psd=n", "shop.pl"), "b.a.shop.pl", "a.shop.pl"),
        (dmarc_at("com.pl psd=y"), "a.shop.com.pl", "shop.com.pl"),
        (dmarc_at("com.pl psd=y", "pl"), "com.pl", "pl"),
        (dmarc_at("shop.pl"), "1.2.3.4.5.6.7.8.9.shop.pl", "shop.pl"),
    ],
)
def test_the_tree_walk_finds_the_organisation(zone: Zone, domain: str, organisation: str) -> None:  # S90
    with name_server(zone) as (resolver, asked):
        assert dmarc.walk(Records(3, resolver), domain).organisation == organisation
        assert len(asked) <= 8


def test_a_long_name_is_asked_itself_and_then_its_last_seven_labels() -> None:  # S90
    with name_server({}) as (resolver, asked):
        dmarc.walk(Records(3, resolver), "1.2.3.4.5.6.7.8.9.shop.pl")
    assert asked[:2] == ["_dmarc.1.2.3.4.5.6.7.8.9.shop.pl TXT", "_dmarc.5.6.7.8.9.shop.pl TXT"]
    assert len(asked) == 8 and asked[-1] == "_dmarc.pl TXT"


@pytest.mark.parametrize(
    ("record", "return_path", "signing", "standing"),
    [
        ("v=DMARC1; p=none", "bounce.shop.pl", None, Standing.ok),
        ("v=DMARC1; p=none; aspf=s", "bounce.shop.pl", None, Standing.not_known),
        ("v=DMARC1; p=none", "other.pl", None, Standing.not_known),
        ("v=DMARC1; p=none", "other.pl", "mail.shop.pl", Standing.ok),
        ("v=DMARC1; p=none; adkim=s", "other.pl", "mail.shop.pl", Standing.failed),
        ("v=DMARC1; p=none; adkim=s", "other.pl", "shop.pl", Standing.ok),
        ("v=DMARC1; p=none", "other.pl", "another.pl", Standing.failed),
    ],
)
def test_the_return_path_or_the_signature_must_go_with_the_sender(  # S90
    record: str, return_path: str, signing: str | None, standing: Standing
) -> None:
    with name_server({"_dmarc.shop.pl TXT": [f'"{record}"']}) as (resolver, _):
        *_, found = dmarc.look(Records(3, resolver), "shop.pl", return_path, signing)
    assert (found.what, found.standing) == ("alignment", standing)


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_an_address_takes_bounces_where_no_mx_is(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"A": ["192.0.2.30"], "AAAA": ["2001:db8::30"]}  # S90
    zone = spoilt(RIGHT, {"news.kiosk.shop MX": None, f"news.kiosk.shop {kind}": addresses[kind]})
    (found,) = (one for one in looked(zone, tmp_path, monkeypatch) if one.what == "bounces")
    assert found.standing is Standing.ok and "takes its mail itself" in found.words


def test_a_missing_mx_proves_nothing_where_a_provider_puts_its_own_return_path(  # S90
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = spoilt(RIGHT, {"news.kiosk.shop MX": None})
    (found,) = (one for one in looked(zone, tmp_path, monkeypatch, relay_provider="postmark") if one.what == "bounces")
    assert found.standing is Standing.not_known


def test_a_silent_name_server_fails_nothing_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = with_keys(tmp_path, RIGHT, s1=rsa_key())  # S90
    settings = make_settings(
        tmp_path,
        "sqlite://",
        mail_from=f"hello@{DOMAIN}",
        dkim_selector="s1",
        dkim_key_file=str(tmp_path / "s1.pem"),
        sending_addresses=("192.0.2.25",),
    )
    with name_server(zone, silent=True) as (resolver, asked):
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        begun = time.monotonic()
        found = report.look(settings, seconds=0.3)
        assert time.monotonic() - begun < 2 and asked
    assert {one.standing for one in found} == {Standing.not_known}


def test_what_was_not_told_us_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # S90
    found = looked(RIGHT, tmp_path, monkeypatch, sending_addresses=())
    assert {one.what for one in found if one.standing is Standing.not_known} == {"DKIM", "PTR"}
    assert {one.standing for one in found} == {Standing.ok, Standing.not_known}


@pytest.mark.parametrize(
    ("more", "concerned"),
    [
        ({"mail_from": "a@kiosk.shop", "relay_url": "smtp://relay.kiosk.shop"}, True),
        ({"mail_from": "a@kiosk.shop"}, False),  # a relay on this machine
        ({"mail_from": "a@kiosk.shop", "sending_addresses": ("192.0.2.1",)}, True),
        ({"mail_from": "a@kiosk.shop", "relays": ("smtp://relay.kiosk.shop",)}, True),
        ({"mail_from": "a@example.com", "relay_url": "smtp://relay.kiosk.shop"}, False),
        ({"mail_from": "a@shop.test", "sending_addresses": ("192.0.2.1",)}, False),
    ],
)
def test_names_for_examples_and_relays_on_this_machine_are_passed_over(  # S90
    more: dict[str, object], concerned: bool, tmp_path: Path
) -> None:
    assert report.concerns(make_settings(tmp_path, "sqlite://", **more)) is concerned
