"""The mail that is sent is the mail that was previewed: slots filled as quoted-printable decode to the very same text."""

import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.campaigns.rendering import sandbox
from preference_center.campaigns.rendering.slots import Slots

PIECES = st.sampled_from(
    [
        "{{ name }}",
        "{% if name %}yes{% else %}no{% endif %}",
        "{% if name %}{{ name }}{% endif %}",
        "{{ name|upper }}",
        "{{ name|escape|default('n\\'a')|title }}",
        "{{ number|number(2) }} {{ day|date('long') }}",
        "{% if number|as_number > 500 and not name|has_value %}many{% elif day|as_text == 'x' or name|as_text != 'anna' %}"
        "{% if number|as_number <= 3 %}{{ number }}{% endif %}few{% endif %}",
        "{{ '{' }}{{ unknown }}{{ name|truncate(5) }}",
        ".",
        ".hidden dot\n",
        "\n",
        "\n.\n",
        "From here\n",
        " ",
        "trailing \n",
        "a" * 90,
        "ąęć 🎉 ñ",
        "<b>&amp;</b>",
        "= =3D",
        "50 % off, %b %(name)s %%",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=12),
    name=st.one_of(st.just(""), st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200), st.just(".")),
    number=st.sampled_from(["", "2", "501", "1e3", "many"]),
    day=st.sampled_from(["", "2026-11-22", "x"]),
    autoescape=st.booleans(),
)
def test_filled_slots_decode_to_the_rendered_text(
    pieces: list[str], name: str, number: str, day: str, autoescape: bool
) -> None:
    source = "".join(pieces)
    values = {"name": name, "number": number, "day": day, "language": "pl"}
    plain = sandbox.load(source, autoescape=autoescape).render(values)
    slots = Slots(source, autoescape=autoescape)
    encoded = slots.fill(values)
    assert slots.fill(values) == encoded
    assert Slots(source, autoescape=autoescape, encoded=False).fill(values).decode() == plain
    assert quopri.decodestring(encoded).decode() == plain.replace("\n", "\r\n")
    lines = encoded.split(b"\r\n")
    assert max(map(len, lines)) <= 76  # RFC 2045 6.7 (5)
    assert not any(line.startswith((b".", b"From ")) for line in lines)
    assert encoded.isascii()


@pytest.mark.parametrize("source", ["{{ x() }}", "{% for a in b %}{% endfor %}", "{{ a[0] }}"])
def test_an_unchecked_template_is_refused_in_this_form_too(source: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        Slots(source, autoescape=True)


def test_a_text_names_the_fields_it_speaks_of() -> None:
    slots = Slots("{% if city %}{{ name|upper }}{% endif %}{{ day|date('long') }}", autoescape=False)
    assert slots.names == {"city", "name", "day", "language"}


def test_each_outcome_of_many_conditions_is_right_though_not_all_are_kept() -> None:
    source = "".join(f"{{% if f{number} %}}{number}{{% else %}}-{{% endif %}}" for number in range(10))
    slots = Slots(source, autoescape=False, encoded=False)
    for outcome in range(1024):
        wanted = "".join(str(number) if outcome >> number & 1 else "-" for number in range(10))
        values = {f"f{number}": "x" * (outcome >> number & 1) for number in range(10)}
        assert slots.fill(values).decode() == wanted


@pytest.mark.parametrize("length", [74, 75, 76, 149, 150, 151, 300])
@pytest.mark.parametrize("filling", ["a", ".b", "..", "c."])
def test_a_link_is_cut_where_no_line_begins_with_a_dot(length: int, filling: str) -> None:
    link = ("https://" + filling * length)[:length]
    encoded = Slots("{{ link }}", autoescape=True).fill({"link": link})
    assert quopri.decodestring(encoded).decode() == link
    lines = encoded.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith(b".") for line in lines)
