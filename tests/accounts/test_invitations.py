"""Invitations: one link, once, for 48 hours."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.accounts import invitations, queries, sessions, signing_in, two_factor
from preference_center.accounts.audit import AuditEntry
from preference_center.accounts.models import Invitation
from preference_center.accounts.permissions import Role
from preference_center.db import db, transaction
from preference_center.errors import Invalid, NotFound
from tests.support.staff import PASSWORD, user


def _token(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.mark.both_databases
def test_an_invitation_lets_one_choose_a_password_once(app: Flask) -> None:  # V6.4.1
    with transaction():
        invited = invitations.invite("Maria@Example.com", "marketer")
    token = _token(invited.url)
    assert invited.url.startswith("https://mail.example.com/admin/invitation/")
    with transaction():
        assert invitations.accept(token, PASSWORD).email == "maria@example.com"
    with pytest.raises(NotFound), transaction():
        invitations.accept(token, PASSWORD)


def test_the_link_is_kept_only_as_a_hash(app: Flask) -> None:
    with transaction():
        invited = invitations.invite("maria@example.com", Role.owner)
    kept = db.session.query(Invitation).one()
    assert _token(invited.url).encode() not in kept.token_hash
    assert len(kept.token_hash) == 32


def test_after_48_hours_it_is_over(app: Flask) -> None:
    with transaction():
        invited = invitations.invite("maria@example.com", Role.owner)
    assert invitations.read(_token(invited.url))
    with time_machine.travel(clock.now() + timedelta(hours=48, seconds=1)), pytest.raises(NotFound):
        invitations.read(_token(invited.url))


def test_a_fresh_link_ends_the_older_one_and_keeps_the_second_factor(app: Flask) -> None:  # V6.4.3
    with transaction():
        secret = user().tf_totp_secret
        first = invitations.invite("maria@example.com", Role.owner)
        second = invitations.invite("maria@example.com", Role.owner)
    with pytest.raises(NotFound):
        invitations.read(_token(first.url))
    with transaction():
        assert invitations.accept(_token(second.url), "wholly other words here").tf_totp_secret == secret


def test_a_new_password_ends_every_session(app: Flask) -> None:  # V7.4.3
    with transaction():
        person = user()
        token = sessions.open_for(person, "Firefox")
        invited = invitations.invite(person.email, person.role)
    assert sessions.standing(token, clock.now())
    with transaction():
        invitations.accept(_token(invited.url), "wholly other words here")
    assert sessions.standing(token, clock.now()) is None


def test_a_guessable_password_leaves_the_link_unused(app: Flask) -> None:
    with transaction():
        invited = invitations.invite("maria@example.com", Role.owner)
    with pytest.raises(Invalid), transaction():
        invitations.accept(_token(invited.url), "123456789012")
    assert invitations.read(_token(invited.url))
    assert queries.everyone()[0].password is None


@pytest.mark.parametrize("email", ["", "maria", "maria@", "maria@example.com\nBcc: x@y.z", "a b@example.com"])
def test_only_an_address_is_invited(app: Flask, email: str) -> None:
    with pytest.raises(Invalid), transaction():
        invitations.invite(email, Role.owner)


def test_only_a_known_role_is_given(app: Flask) -> None:
    with pytest.raises(Invalid) as fault, transaction():
        invitations.invite("maria@example.com", "root")
    assert "role" in fault.value.faults


@pytest.mark.both_databases
def test_who_lost_the_phone_starts_over_and_nothing_of_before_opens_the_door(app: Flask) -> None:
    with transaction():
        person = user()
        two_factor.new_recovery_codes(person)
        token, browser = sessions.open_for(person, "Firefox"), person.fs_uniquifier
    with transaction():
        link = invitations.start_over(" Maria@example.com ", actor="cli").url
    assert sessions.standing(token, clock.now()) is None and person.fs_uniquifier != browser
    assert not person.has_second_factor and person.recovery_codes == []
    assert signing_in.check_password(person.email, PASSWORD, "") is None, "who knows the old password is not first"
    assert person.role is Role.owner
    [entry] = db.session.query(AuditEntry).filter_by(action="user.second_factor_reset")
    assert (entry.actor, entry.object_id) == ("cli", person.public_id)
    with transaction():
        assert invitations.accept(_token(link), "wholly other words here").must_set_up_second_factor


def test_nobody_starts_over_who_is_not_there_or_was_shut_out(app: Flask) -> None:
    with transaction():
        user().active = False
    for email in ("maria@example.com", "nobody@example.com"):
        with pytest.raises(NotFound), transaction():
            invitations.start_over(email)
