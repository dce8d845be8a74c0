"""A domain that has everything right, to be spoilt in one place by each test; and the checks run against it."""

from collections.abc import Mapping
from pathlib import Path

import dns.resolver
import dns.reversename
import pytest

from preference_center.mail import dkim
from preference_center.mail.preflight import report
from preference_center.mail.preflight.findings import Finding
from tests.conftest import make_settings
from tests.support.name_server import Zone, name_server, text

DOMAIN, ADDRESS, ADDRESS6 = "news.kiosk.shop", "192.0.2.25", "2001:db8::25"
RIGHT = {
    "news.kiosk.shop TXT": ['"v=spf1 ip4:192.0.2.0/28 include:_spf.kiosk.shop -all"', '"something else"'],
    "_spf.kiosk.shop TXT": ['"v=spf1 a:out.kiosk.shop -all"'],
    "out.kiosk.shop A": [ADDRESS],
    "out.kiosk.shop AAAA": [ADDRESS6],
    "_dmarc.kiosk.shop TXT": ['"v=DMARC1; p=none"'],
    "news.kiosk.shop MX": ["10 in.kiosk.shop."],
    "in.kiosk.shop A": ["192.0.2.30"],
    "25.2.0.192.in-addr.arpa PTR": ["out.kiosk.shop."],
    f"{dns.reversename.from_address(ADDRESS6).to_text().rstrip('.')} PTR": ["out.kiosk.shop."],
}


def with_keys(folder: Path, zone: Zone, **keys: bytes) -> dict[str, list[str]]:
    """The zone with the records of these keys, whose files are written: s1=…, e1=…."""
    published = dict(zone)
    for selector, pem in keys.items():
        (folder / f"{selector}.pem").write_bytes(pem)
        record = dkim.dns_record(DOMAIN, selector, pem)
        published[f"{record.name} TXT"] = [text(record.value)]
    return published


def spoilt(zone: Zone, changes: Mapping[str, list[str] | None]) -> dict[str, list[str]]:
    """None takes a record away."""
    return {name: records for name, records in {**zone, **changes}.items() if records is not None}


def looked(zone: Zone, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> list[Finding]:
    """The whole report, asked of a real name server."""
    given = {"mail_from": f"Kiosk <hello@{DOMAIN}>", "sending_addresses": (ADDRESS, ADDRESS6)} | settings
    if (folder / "s1.pem").exists():
        given |= {"dkim_selector": "s1", "dkim_key_file": str(folder / "s1.pem")}
    if (folder / "e1.pem").exists():
        given |= {"dkim_ed25519_selector": "e1", "dkim_ed25519_key_file": str(folder / "e1.pem")}
    with name_server(zone) as (resolver, _):
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        return report.look(make_settings(folder, "sqlite://", **given), seconds=3)
