"""TLS and login: nothing leaves in clear, and a relay that does not trust us is our trouble, not the recipients' (M9, M13)."""

from typing import Any

import pytest

from preference_center.mail.smtp import Outcome, Phase, Relay, TroubleKind, send_one
from tests.mail.conftest import Authority
from tests.mail.handing import hand, quick, send, to
from tests.support.relay import FakeRelay


def secure(relay: FakeRelay, authority: Authority, **options: Any) -> Relay:
    settings: dict[str, Any] = {"tls": "starttls", "ca_file": authority.file, **options}
    return Relay("localhost", relay.port, **settings)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_messages_travel_through_tls(tls: str, authority: Authority) -> None:
    options = {"offer_starttls": tls == "starttls", "implicit_tls": tls == "implicit"}
    with FakeRelay(certificate=authority.issue(), **options) as relay:
        text = "long line of text\n" * 20_000
        results, courier = send(secure(relay, authority, tls=tls), "anna", "ben", "cora", text=text)
        assert [result.outcome for result in results] == [Outcome.accepted] * 3
        assert courier.trouble is None
        assert all(message.secure for message in relay.messages)
        assert relay.messages[0].data == to("anna", text=text)[0].data
        assert [entry["secure"] for entry in relay.events("ehlo")][-1] is True


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ({"expired": True}, "expired"),
        ({"host": "other.example"}, "mismatch"),
        ({"self_signed": True}, "self-signed"),
    ],
    ids=["expired", "wrong name", "self-signed"],
)
def test_a_certificate_that_does_not_hold_stops_everything(
    certificate: dict[str, Any], reason: str, tls: str, authority: Authority
) -> None:  # M9, S88
    options = {"offer_starttls": tls == "starttls", "implicit_tls": tls == "implicit"}
    with FakeRelay(certificate=authority.issue(**certificate), **options) as relay:
        results, courier = send(secure(relay, authority, tls=tls), "anna", "ben", connections=2)
        assert {result.outcome for result in results} == {Outcome.not_sent}
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.tls
        assert reason in courier.trouble.text
        assert not relay.events("mail") and not relay.messages


def test_an_unchecked_certificate_is_only_accepted_when_asked_for(authority: Authority) -> None:
    with FakeRelay(certificate=authority.issue(self_signed=True), offer_starttls=True) as relay:
        results, _ = send(secure(relay, authority, verify=False), "anna")
        assert results[0].outcome is Outcome.accepted


def test_without_starttls_on_offer_nothing_is_sent(authority: Authority) -> None:  # M9, S88
    with FakeRelay(require_auth=("user", "secret")) as relay:
        results, courier = send(secure(relay, authority, user="user", password="secret"), "anna")
        assert results[0].outcome is Outcome.not_sent
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.tls
        assert "STARTTLS" in courier.trouble.text
        assert not relay.events("auth") and not relay.events("mail")


def test_a_refused_starttls_and_a_broken_handshake_are_tls_trouble(authority: Authority) -> None:  # M9
    with FakeRelay(offer_starttls=True, replies={"STARTTLS": "454 4.7.0 not now"}) as relay:
        _, courier = send(secure(relay, authority), "anna")
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.tls
    with FakeRelay(offer_starttls=True, certificate=authority.issue(), reset_handshake=True) as relay:
        results, courier = send(secure(relay, authority), "anna")
        assert results[0].outcome is Outcome.not_sent
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.tls


@pytest.mark.parametrize("injected", [b"250 from the wire\r\n", b"250-half a li"])
def test_words_put_in_before_the_handshake_are_not_believed(injected: bytes, authority: Authority) -> None:
    with FakeRelay(
        offer_starttls=True, certificate=authority.issue(), inject_after_starttls=injected, offer_smtputf8=True
    ) as relay:
        results, _ = send(secure(relay, authority), "anna")
        assert results[0].outcome is Outcome.not_sent
        assert not relay.events("mail")


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "CRAM-MD5 PLAIN"])
def test_login_works_both_ways(mechanisms: str, authority: Authority) -> None:
    with FakeRelay(
        offer_starttls=True,
        certificate=authority.issue(),
        require_auth=("zoë@sender.example", "sécret"),
        auth_mechanisms=mechanisms,
    ) as relay:
        results, _ = send(secure(relay, authority, user="zoë@sender.example", password="sécret"), "anna")
        assert results[0].outcome is Outcome.accepted
        assert relay.messages[0].user == "zoë@sender.example"
        assert all(entry["secure"] for entry in relay.events("auth"))


@pytest.mark.parametrize("connections", [1, 4])
def test_a_wrong_password_stops_everything_and_fails_nobody(connections: int) -> None:  # M13
    with FakeRelay(require_auth=("user", "right")) as relay:
        login = Relay("127.0.0.1", relay.port, "user", "wrong", tls="none")
        results, courier = send(login, *["anna"] * 10, connections=connections)
        assert {(result.outcome, result.phase) for result in results} == {(Outcome.not_sent, Phase.not_started)}
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.login_refused
        assert courier.trouble.code == 535
        assert "wrong" not in courier.trouble.text
        assert len(relay.events("auth")) <= connections


def test_a_password_revoked_on_the_way_stops_the_rest_and_fails_nobody() -> None:  # M13
    with FakeRelay(require_auth=("user", "secret"), revoke_auth_after=3) as relay:
        login = Relay("127.0.0.1", relay.port, "user", "secret", tls="none")
        results, courier = send(login, *["anna"] * 8)
        assert [result.outcome for result in results] == [Outcome.accepted] * 3 + [Outcome.not_sent] * 5
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.login_refused
        assert len(relay.messages) == 3


def test_a_login_that_cannot_be_checked_now_is_not_a_refused_one() -> None:
    with FakeRelay(require_auth=("u", "p"), replies={"AUTH": "454 4.7.0 database down"}) as relay:
        _, courier = send(Relay("127.0.0.1", relay.port, "u", "p", tls="none"), "anna")
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.unreachable


def test_a_relay_without_a_login_we_know_is_refused() -> None:
    with FakeRelay(require_auth=("u", "p"), auth_mechanisms="CRAM-MD5") as relay:
        _, courier = send(Relay("127.0.0.1", relay.port, "u", "p", tls="none"), "anna")
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.login_refused


def test_one_notice_goes_through_tls_and_login(authority: Authority) -> None:
    with FakeRelay(offer_starttls=True, certificate=authority.issue(), require_auth=("u", "p")) as relay:
        result = send_one(secure(relay, authority, user="u", password="p"), to("anna")[0])
        assert result.outcome is Outcome.accepted
        wrong = send_one(secure(relay, authority, user="u", password="x"), to("anna")[0])
        assert wrong.outcome is Outcome.not_sent and "login" in wrong.text
        assert len(relay.wait_for(1)) == 1


def test_kept_tls_connections_are_used_again(authority: Authority) -> None:
    with (
        FakeRelay(offer_starttls=True, certificate=authority.issue()) as relay,
        quick(secure(relay, authority)) as courier,
    ):
        for _ in range(3):
            assert hand(courier, to("anna"))[0].outcome is Outcome.accepted
        assert len(relay.events("secured")) == 1
