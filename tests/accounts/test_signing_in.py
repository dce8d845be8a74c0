"""Address, password and role: who belongs here, and what they may."""

import pytest
from flask import Flask

from preference_center.accounts import invitations, signing_in
from preference_center.accounts.permissions import MAY, Permission, Role, may, needs_second_factor, roles_with
from preference_center.db import transaction
from tests.support import staff


def _check(email: str, password: str = staff.PASSWORD) -> bool:
    return signing_in.check_password(email, password, "192.0.2.1") is not None


def test_address_and_password_must_belong_together(app: Flask) -> None:
    with transaction():
        staff.user()
        staff.user("jan@example.com")
        invitations.invite("new@example.com", Role.viewer)
        staff.user("gone@example.com").active = False
    assert _check("maria@example.com")
    assert _check(" MARIA@example.com ")
    assert not _check("maria@example.com", "other words on tin roofs")
    assert not _check("maria@example.com", "")
    assert not _check("nobody@example.com")
    assert not _check("new@example.com"), "without a password nobody signs in"
    assert not _check("gone@example.com"), "a closed account stays closed"


def test_an_unknown_address_costs_a_hash_too(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:  # V6.3.8
    asked = []
    monkeypatch.setattr(signing_in, "verify_password", lambda password, kept: asked.append(kept) or False)
    assert not _check("nobody@example.com")
    assert len(asked) == 1
    assert asked[0].startswith("$argon2id$")


def test_the_table_of_roles() -> None:
    assert MAY[Role.owner] == frozenset(Permission)
    assert not may(Role.marketer, Permission.manage_users)
    assert MAY[Role.viewer] == {Permission.look}
    assert roles_with(Permission.send) == [Role.owner, Role.marketer]
    assert [needs_second_factor(role) for role in Role] == [True, True, False]  # V6.3.3
