"""One written form and one hash for an address; the quick way for plain ones gives the library's own answer."""

import pytest
from email_validator import EmailNotValidError, validate_email
from flask import Flask
from hypothesis import HealthCheck, example, given
from hypothesis import settings as tuned
from hypothesis import strategies as some

from preference_center.contacts import addresses
from preference_center.errors import Invalid
from preference_center.mail import mime

_SIGNS = "abzABZ019._+-@!#'\"\\ ()[]<>,:;ąñ\u0301\u200b"
_NEARLY = some.one_of(
    some.from_regex(r"[A-Za-z0-9._+-]{1,70}@[A-Za-z0-9.-]{1,70}(\.[A-Za-z0-9-]{1,20}){0,4}", fullmatch=True),
    some.from_regex(r"[a-z]{1,5}(\.[a-z]{1,3}){0,3}@([a-z0-9-]{1,65}\.){1,5}[a-z0-9]{1,8}", fullmatch=True),
    some.builds("{}@{}.{}".format, some.sampled_from(["info", "WWW", "Abuse", "a"]), some.text("ab-", max_size=4),
                some.sampled_from(["local", "test", "ONION", "example", "x1", "1x", "com", "xn--p1ai", "c"])),
    some.text(_SIGNS, max_size=30),
    some.emails(),
)  # fmt: skip


@tuned(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_NEARLY)
@example("INFO@Example.COM")
@example("a@b--c.com")
@example("a@xn--p1ai.com")
@example("a@" + "a" * 64 + ".com")
@example("a" * 65 + "@example.com")
@example("a@" + "a." * 126 + "co")
def test_the_quick_way_agrees_with_the_library(text: str) -> None:
    quick = addresses._plain(text)
    if quick is None:
        return
    assert quick == validate_email(text, check_deliverability=False, strict=True).normalized


def test_a_plain_address_takes_the_quick_way() -> None:
    assert addresses._plain("Anna.Nowak+news@Mail.Example.org") == "Anna.Nowak+news@mail.example.org"


@pytest.mark.parametrize("text", ["Anna@Example.ORG", " anna@example.org ", "ANNA@example.org"])
def test_two_spellings_of_one_address_have_one_hash(app: Flask, text: str) -> None:
    assert addresses.parse(text).hash == addresses.parse("anna@example.org").hash


def test_an_international_domain_is_one_address_in_both_writings(app: Flask) -> None:
    assert addresses.parse("a@żaba.example").hash == addresses.parse("A@xn--aba-22a.example").hash


@pytest.mark.parametrize(
    "text",
    ["", "a@b", "a b@example.org", "a@example.org\r\nBcc: b@example.org", "a@example.org\0", "a\u202e@example.org",
     "postmaster@[127.0.0.1]", '"a b"@example.org', "a" * 65 + "@example.org", "a@" + "b" * 250 + ".org", "a@x.test"],
)  # fmt: skip
def test_what_cannot_be_written_to_is_refused(app: Flask, text: str) -> None:
    with pytest.raises(Invalid):
        addresses.parse(text)
    with pytest.raises(EmailNotValidError):
        validate_email(text.strip(), check_deliverability=False, strict=True)


@pytest.mark.parametrize("text", ["-anna@example.org", "ü" * 33 + "@example.org"], ids=["hyphen", "65 octets and more"])
def test_what_no_message_can_be_addressed_to_is_refused_though_the_library_takes_it(app: Flask, text: str) -> None:
    validate_email(text, check_deliverability=False, strict=True)
    with pytest.raises(ValueError):
        mime.mailbox("", text)
    with pytest.raises(Invalid):
        addresses.parse(text)
