"""Invitations: one link, once, for 48 hours."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.accounts import invitations, queries, sessions
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
