"""What makes a password: length, and that nobody guesses it first."""

import pytest
from flask import Flask

from preference_center.accounts import passwords
from preference_center.db import transaction
from tests.support.staff import user


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("short", id="too short"),
        pytest.param("elevenchars", id="eleven characters"),
        pytest.param("x" * 201, id="too long"),
        pytest.param("qwertyuiop123", id="on the list of leaked ones"),
        pytest.param("QwertyUiop123", id="on the list, in other letters"),
        pytest.param("abababababababab", id="two characters over and over"),
        pytest.param("maria-password1", id="mostly the name and the word password"),
        pytest.param("PreferenceCenter1", id="mostly our name"),
    ],
)
def test_a_guessable_password_is_refused(password: str) -> None:  # V6.2.1, V6.2.4, V6.2.11
    assert passwords.fault_of(password, "maria@example.com")


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("rain on four tin roofs", id="words"),
        pytest.param("zażółć gęślą jaźń", id="Polish letters"),
        pytest.param("卌 пароль из слов ok", id="several scripts"),
        pytest.param("a1b2" * 40 + "wxyz", id="164 characters"),
    ],
)
def test_a_long_password_needs_nothing_else(password: str) -> None:  # V6.2.5, V6.2.9
    assert passwords.fault_of(password, "maria@example.com") is None


def test_it_is_kept_as_argon2id(app: Flask) -> None:
    with transaction():
        assert str(user().password).startswith("$argon2id$")
