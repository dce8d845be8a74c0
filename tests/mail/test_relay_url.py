"""relay.py: what a relay URL means, and what is wrong with a wrong one."""

import pytest

from preference_center.mail.relay import Relay


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.org", Relay("mail.example.org", 25)),
        ("smtp://u:p@mail.example.org", Relay("mail.example.org", 587, "u", "p")),
        ("smtp://mail.example.org:2525", Relay("mail.example.org", 2525)),
        ("smtps://u:p@mail.example.org", Relay("mail.example.org", 465, "u", "p", "implicit")),
        ("smtp://localhost", Relay("localhost", 25, tls="none")),
        ("smtp://127.0.0.1:1025", Relay("127.0.0.1", 1025, tls="none")),
        ("smtp://[::1]:1025", Relay("::1", 1025, tls="none")),
        ("smtp://localhost?tls=starttls", Relay("localhost", 25)),
        ("smtp://mail.example.org?tls=none", Relay("mail.example.org", 25, tls="none")),
        ("smtp://mail.example.org?tls=implicit", Relay("mail.example.org", 465, tls="implicit")),
        ("smtp://us%40er:p%2Fa%23ss@mail.example.org", Relay("mail.example.org", 587, "us@er", "p/a#ss")),
        (
            "smtp://mail.example.org?verify=no&ca_file=/etc/ca.pem&hello=pc.example.org",
            Relay("mail.example.org", 25, verify=False, ca_file="/etc/ca.pem", hello="pc.example.org"),
        ),
    ],
)
def test_a_relay_is_read_from_its_url(url: str, expected: Relay) -> None:
    assert Relay.from_url(url) == expected


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "smtp://"),
        ("mail.example.org:25", "smtp://"),
        ("http://mail.example.org", "smtp://"),
        ("smtp://", "host"),
        ("smtp://mail.example.org:99999", "port"),
        ("smtp://mail.example.org:0", "port"),
        ("smtp://mail.example.org:port", "port"),
        ("smtp://[::1", "host"),
        ("smtp://u@mail.example.org", "password"),
        ("smtp://u:secret/word@mail.example.org", "port"),
        ("smtp://u:p@mail.example.org/path", "percent-encode"),
        ("smtp://mail.example.org?tsl=none", "known: tls"),
        ("smtp://mail.example.org?tls=maybe", "starttls, implicit or none"),
        ("smtp://mail.example.org?verify=perhaps", "yes or no"),
        ("smtps://mail.example.org?tls=none", "smtp://"),
        ("smtp://mail.example.org?hello=a%0d%0ab", "hello="),
        ("smtp://mail.example.org\r\n", "host"),
    ],
)
def test_a_wrong_url_is_refused_with_a_remedy_and_without_the_password(url: str, remedy: str) -> None:
    with pytest.raises(ValueError) as refused:
        Relay.from_url(url)
    assert remedy in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_relay_shows_neither_user_nor_password() -> None:
    shown = repr(Relay.from_url("smtp://someone:secret@mail.example.org"))
    assert "someone" not in shown and "secret" not in shown


def test_the_tls_context_is_made_once() -> None:
    one, two = Relay("a.example", 25), Relay("b.example", 465, tls="implicit")
    assert one.tls_context() is two.tls_context()
    assert one.tls_context() is not Relay("a.example", 25, verify=False).tls_context()
