"""S90: SPF as RFC 7208 has it, of a real name server: who passes, what is counted, and what spoils a record."""

import ipaddress

import pytest

from preference_center.mail.preflight import spf
from preference_center.mail.preflight.findings import Finding, Standing
from preference_center.mail.preflight.records import Records
from tests.support.name_server import Zone, name_server

HOSTS: Zone = {
    "shop.pl A": ["192.0.2.1"],
    "shop.pl AAAA": ["2001:db8::1"],
    "shop.pl MX": ["10 in.shop.pl."],
    "in.shop.pl A": ["192.0.2.2"],
    "yes.pl TXT": ['"v=spf1 ip4:192.0.2.77 -all"'],
    "else.pl TXT": ['"v=spf1 ip4:192.0.2.78 ?all"'],
    "9.2.0.192.in-addr._spf.shop.pl A": ["127.0.0.2"],
    "1.2.0.192.in-addr.arpa PTR": ["mail.shop.pl."],
    "mail.shop.pl A": ["192.0.2.1"],
    "6.2.0.192.in-addr.arpa PTR": ["mail.shop.pl."],
    "many.pl MX": [f"10 in{number}.shop.pl." for number in range(11)],
    "loop.pl TXT": ['"v=spf1 include:loop.pl -all"'],
}


def looked(record: str | list[str] | None, *addresses: str, rewritten: bool = False) -> Finding:
    records = [record] if isinstance(record, str) else record
    zone = {**HOSTS, **({"shop.pl TXT": [f'"{one}"' for one in records]} if records else {})}
    with name_server(zone) as (resolver, _):
        given = [ipaddress.ip_address(one) for one in addresses]
        return spf.look(Records(3, resolver), "shop.pl", given, rewritten=rewritten)


@pytest.mark.parametrize(
    ("record", "address", "result"),
    [
        ("v=spf1 ip4:192.0.2.5 -all", "192.0.2.5", None),
        ("v=spf1 ip4:192.0.2.5 -all", "192.0.2.6", "(fail)"),
        ("v=spf1 ip4:192.0.2.5 ~all", "192.0.2.6", "(softfail)"),
        ("v=spf1 ip4:192.0.2.5", "192.0.2.6", "(neutral)"),
        ("v=spf1 -ip4:192.0.2.5 +all", "192.0.2.5", "(fail)"),
        ("v=spf1 ip4:192.0.2.0/29 -all", "192.0.2.6", None),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::5", None),
        ("v=spf1 ip6:2001:db8::/32 -all", "192.0.2.5", "(fail)"),
        ("v=spf1 a -all", "192.0.2.1", None),
        ("v=spf1 a -all", "2001:db8::1", None),
        ("v=spf1 a/24//32 -all", "192.0.2.200", None),
        ("v=spf1 a/24//32 -all", "2001:db8:1::1", None),
        ("v=spf1 a:in.shop.pl -all", "192.0.2.1", "(fail)"),
        ("v=spf1 mx -all", "192.0.2.2", None),
        ("v=spf1 mx -all", "192.0.2.1", "(fail)"),
        ("v=spf1 include:yes.pl -all", "192.0.2.77", None),
        ("v=spf1 include:yes.pl -all", "192.0.2.76", "(fail)"),
        ("v=spf1 redirect=else.pl", "192.0.2.78", None),
        ("v=spf1 redirect=else.pl", "192.0.2.1", "(neutral)"),
        ("v=spf1 exists:%{ir}.%{v}._spf.%{d} -all", "192.0.2.9", None),
        ("v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all", "192.0.2.8", "(fail)"),
        ("v=spf1 ptr -all", "192.0.2.1", None),
        ("v=spf1 ptr -all", "192.0.2.6", "(fail)"),
        ("V=SPF1 IP4:192.0.2.5 -ALL", "192.0.2.5", None),
        ("v=spf1 ip4:192.0.2.5 exp=why.shop.pl unknown=thing -all", "192.0.2.5", None),
    ],
)
def test_the_record_decides_about_an_address(record: str, address: str, result: str | None) -> None:  # S90
    found = looked(record, address)
    if result is None:
        assert found.standing is Standing.ok and address in found.words, found
    else:
        assert found.standing is Standing.failed and result in found.words and "Remedy: add it" in found.words, found


def test_every_address_must_pass() -> None:  # S90
    found = looked("v=spf1 ip4:192.0.2.5 -all", "192.0.2.5", "192.0.2.6")
    assert found.standing is Standing.failed and found.words.startswith("192.0.2.6")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "no record"),
        ("v=spf10 -all", "no record"),
        (["v=spf1 -all", "v=spf1 +all"], "2 SPF records"),
        ("v=spf1 ipv4:192.0.2.5 -all", "cannot be read"),
        ("v=spf1 ip4:192.0.2.500 -all", "cannot be read"),
        ("v=spf1 ip4:2001:db8::1 -all", "cannot be read"),
        ("v=spf1 a/33 -all", "cannot be read"),
        ("v=spf1 include -all", "cannot be read"),
        ("v=spf1 all:shop.pl", "cannot be read"),
        ("v=spf1 exists:%{q}.shop.pl -all", "cannot be read"),
        ("v=spf1 include:in.shop.pl -all", "leads to no SPF record"),
        ("v=spf1 redirect=in.shop.pl", "leads to no SPF record"),
        ("v=spf1 redirect=yes.pl redirect=else.pl", "more than one redirect"),
        ("v=spf1 include:loop.pl -all", "includes itself"),
        ("v=spf1 mx:many.pl -all", "more than 10 names"),
        ("v=spf1 a:x.pl a:y.pl a:z.pl -all", "lead to nothing"),
        (f"v=spf1 {'a ' * 11}-all", "more than 10 look-ups"),
        (f"v=spf1 {'a ' * 10}redirect=yes.pl", "more than 10 look-ups"),
    ],
)
def test_a_record_that_receivers_give_up_on_fails_without_any_address(  # S90
    record: str | list[str] | None, words: str
) -> None:
    found = looked(record)
    assert found.standing is Standing.failed and words in found.words and "Remedy:" in found.words, found


@pytest.mark.parametrize(
    ("rest", "note"),
    [("a " * 11, "more than 10 look-ups"), ("a:x.pl a:y.pl a:z.pl ", "lead to nothing"), ("include:broken.pl ", "")],
)
def test_what_stands_behind_the_match_of_our_addresses_is_a_note_and_stops_nothing(  # S90
    rest: str, note: str
) -> None:
    record = f"v=spf1 ip4:192.0.2.5 {rest}-all"
    found = looked(record, "192.0.2.5")
    assert found.standing is Standing.ok and note in found.words and "passes for 192.0.2.5" in found.words, found
    assert looked(record).standing is not Standing.ok
    assert looked(record, "192.0.2.5", "192.0.2.6").standing is not Standing.ok, "this one comes to it"


def test_ten_look_ups_are_allowed_and_counted_through_what_is_included() -> None:  # S90
    found = looked(f"v=spf1 {'a ' * 7}mx include:yes.pl exists:%{{i}}.shop.pl ?all ptr")
    assert found.standing is Standing.ok and "10 of 10 look-ups" in found.words
    assert "PREFERENCE_CENTER_SENDING_ADDRESSES" in found.words


def test_two_names_that_lead_to_nothing_are_allowed() -> None:  # S90
    assert looked("v=spf1 a:x.pl a:y.pl -all").standing is Standing.ok


def test_a_name_server_that_fails_proves_nothing() -> None:  # S90
    assert looked("v=spf1 include:broken.pl -all").standing is Standing.not_known


def test_a_missing_record_proves_nothing_where_a_provider_puts_its_own_return_path() -> None:  # S90
    assert looked(None, rewritten=True).standing is Standing.not_known
    assert looked("v=spf1 nonsense", rewritten=True).standing is Standing.failed
