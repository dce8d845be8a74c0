"""Columns are known by their names in four languages; what a person says wins."""

import pytest

from preference_center.contacts import mapping
from preference_center.errors import Invalid


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        pytest.param(
            ["E-mail", "First Name", "Last Name", "Country", "Opt-in date", "Status"],
            ["email", "first_name", "last_name", "country", "consented_at", "status"],
            id="English",
        ),
        pytest.param(
            ["Adres e-mail", "Imię", "Nazwisko", "Miasto", "Język", "Data zgody", "Zgoda"],
            ["email", "first_name", "last_name", "city", "language", "consented_at", "status"],
            id="Polish",
        ),
        pytest.param(
            ["Correo electrónico", "Nombre", "Apellidos", "País", "Zona horaria", "Fecha de alta", "Estado"],
            ["email", "first_name", "last_name", "country", "time_zone", "consented_at", "status"],
            id="Spanish",
        ),
        pytest.param(
            ["Endereço de e-mail", "Primeiro nome", "Sobrenome", "Cidade", "Idioma", "Data de inscrição", "Situação"],
            ["email", "first_name", "last_name", "city", "language", "consented_at", "status"],
            id="Portuguese",
        ),
        pytest.param(
            ["Email Address", "FNAME", "LNAME", "OPTIN_TIME", "CC", "TIMEZONE", "MEMBER_RATING"],
            ["email", "first_name", "last_name", "consented_at", "country", "time_zone"],
            id="a Mailchimp export",
        ),
    ],
)
def test_columns_are_known_by_name(columns: list[str], found: list[str]) -> None:
    assert list(mapping.guess(columns, {})) == found


def test_a_declared_attribute_is_known_by_key_and_by_name() -> None:
    assert mapping.guess(["Loyalty points"], {"points": "Loyalty points"}) == {"points": "Loyalty points"}
    assert mapping.guess(["POINTS"], {"points": "Loyalty points"}) == {"points": "POINTS"}


def test_what_a_person_says_wins_and_may_leave_a_field_out() -> None:
    columns = ("email", "work mail", "name", "city", "points")
    said = {"email": "Work Mail", "first_name": "name", "city": "", "attribute:points": "points"}
    assert mapping.agreed(columns, said, {}) == {"email": "work mail", "first_name": "name", "points": "points"}


def test_a_column_that_was_given_away_is_not_guessed_for_another_field() -> None:
    assert mapping.agreed(("email", "status"), {"loyalty": "status"}, {}) == {"email": "email", "loyalty": "status"}


def test_all_faults_of_a_mapping_are_named_at_once() -> None:
    said = {"email": "nope", "1x": "a", "topic": "a", "city": "name"}
    with pytest.raises(Invalid) as refused:
        mapping.agreed(("a", "name (column 2)", "name (column 3)"), said, {})
    assert set(refused.value.faults) == {"email", "1x", "topic", "city"}
    assert "name (column 2) or name (column 3)" in refused.value.faults["city"]


def test_a_file_without_an_address_column_says_what_it_has() -> None:
    with pytest.raises(Invalid, match="phone, fax"):
        mapping.agreed(("phone", "fax"), {}, {})
