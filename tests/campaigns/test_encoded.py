"""The mail that is sent is the mail that was previewed: slots filled as quoted-printable decode to the very same text."""

import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from preference_center.campaigns.rendering import content, sandbox, values
from preference_center.campaigns.rendering.slots import Slots, Source
from tests.campaigns.conftest import WHY, imprint, version

PIECES = st.sampled_from(
    [
        "{{ name }}",
        "{{ why }}{{ email|upper }}",
        "{% if language == 'pl' and why|has_value %}{{ organisation|escape }}{{ language }}{% endif %}",
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
    number=st.sampled_from(["", "2", "501", "1e3", "many", 2, 2.0, 501.5, 1, True, False, None, ["a", "b"]]),
    day=st.sampled_from(["", "2026-11-22", "x"]),
    autoescape=st.booleans(),
)
def test_filled_slots_decode_to_the_rendered_text(
    pieces: list[str], name: str, number: object, day: str, autoescape: bool
) -> None:
    source = "".join(pieces)
    fixed = {"language": "pl", "organisation": "Smith & Søn <b>"}
    known = {"name": name, "number": number, "day": day}
    ours = {"why": name, "email": f"{name}@example.org"}  # these stand as they are
    said = {key: values.line(value) for key, value in known.items()} | ours | fixed
    plain, other = (sandbox.load(source, autoescape=html).render(said) for html in (autoescape, not autoescape))
    slots = Slots(Source(source, autoescape), Source(source, not autoescape), fixed=fixed)
    encoded, beside = slots.fill(known | ours)
    assert slots.fill(known | ours) == [encoded, beside]
    assert quopri.decodestring(beside).decode() == other.replace("\n", "\r\n")
    as_it_reads = Slots(Source(source, autoescape), fixed=fixed, encoded=False)
    assert as_it_reads.fill(known | ours) == [plain.encode()]
    assert quopri.decodestring(encoded).decode() == plain.replace("\n", "\r\n")
    lines = encoded.split(b"\r\n")
    assert max(map(len, lines)) <= 76  # RFC 2045 6.7 (5)
    assert not any(line.startswith((b".", b"From ")) for line in lines)
    assert encoded.isascii()


HOSTILE = [
    True, 1, 1.0, "1", False, 0, None, "", "True", "Anna", " Anna ", "Zoë\r\nBcc: x", "Acme <Ltd> & \"Söhne\"", "50 % %b",
    ".", "From here", "=?utf-8?q?a?=", "a" * 300, "\u202eanna", "{{ city }}", ["x", "y"],
]  # fmt: skip


@pytest.mark.usefixtures("declared")
def test_the_mails_of_many_contacts_say_what_each_preview_says() -> None:
    made = version(
        '<p>{{ city|default("nowhere") }}: {{ points }}{% if vip %} <b>{{ first_name }}</b>{% endif %}</p>{{ subject }}',
        format="html",
        subject="{{ first_name }}, {{ points }} points{% if vip %} for you{% endif %}",
        preheader="News from {{ city }} for {{ email }}",
    )
    renderer = content.renderer(made)
    spoken = renderer.spoken("en", imprint())
    for number in range(4 * len(HOSTILE)):
        names = zip((1, 2, 4, 7), ("first_name", "city", "points", "vip"), strict=True)
        attributes = {name: HOSTILE[number // step % len(HOSTILE)] for step, name in names}
        own = content.own_fields(
            email=f"anna{number}@example.org",
            why=WHY,
            unsubscribe_url=f"https://mail.example.com/u/1.{'a' * number}.b",
            preferences_url=f"https://mail.example.com/p/{number}?a=1&b='x'",
            browser_url="",
        )
        fields = content.fields_for(language="en", attributes=attributes, imprint=imprint(), **own)
        shown, sent = renderer.render(fields, "en"), spoken.encode(attributes, own)
        read = [quopri.decodestring(part).decode().replace("\r\n", "\n") for part in (sent.html, sent.text)]
        assert [sent.subject, *read] == [shown.subject, shown.html, shown.text]


def test_values_that_are_equal_but_written_otherwise_are_not_mixed_up() -> None:
    slots = Slots(Source("{{ number }};", autoescape=False), fixed={})
    given = [True, 1, 1.0, "1", False, 0, None, "", "True"]
    assert [slots.fill({"number": one})[0] for one in given] == [
        b"yes=\r\n;", *[b"1=\r\n;"] * 3, b"=\r\n;", b"0=\r\n;", *[b"=\r\n;"] * 2, b"True=\r\n;"
    ]  # fmt: skip


def test_what_is_remembered_of_a_field_stays_within_bounds() -> None:
    slots = Slots(Source("{{ name }};{{ email }};", autoescape=True), fixed={})
    for number in range(2_500):
        written = slots.fill({"name": f"n{number}", "email": f"e{number}"})
        assert quopri.decodestring(written[0]) == f"n{number};e{number};".encode()
    kept = {name: getattr(write, "__self__", ()) for name, write in slots._slots}
    assert 0 < len(kept["name"]) <= 1_000 and not kept["email"]


@pytest.mark.parametrize("source", ["{{ x() }}", "{% for a in b %}{% endfor %}", "{{ a[0] }}"])
def test_an_unchecked_template_is_refused_in_this_form_too(source: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        Slots(Source(source, autoescape=True), fixed={})


def test_an_expression_that_compares_two_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="one field"):
        Slots(Source("{% if a == b %}x{% endif %}", autoescape=True), fixed={})


def test_a_text_names_the_fields_it_speaks_of() -> None:
    source = "{% if city %}{{ name|upper }}{% endif %}{{ day|date('long') }}{{ topic }}"
    slots = Slots(Source(source, autoescape=False), Source("{{ why }}", autoescape=True), fixed={"topic": "News"})
    assert slots.names == {"city", "name", "day", "why"}


def test_each_outcome_of_many_conditions_is_right_though_not_all_are_kept() -> None:
    source = "".join(f"{{% if f{number} %}}{number}{{% else %}}-{{% endif %}}" for number in range(10))
    slots = Slots(Source(source, autoescape=False), fixed={}, encoded=False)
    for outcome in range(1024):
        wanted = "".join(str(number) if outcome >> number & 1 else "-" for number in range(10))
        given = {f"f{number}": "x" * (outcome >> number & 1) for number in range(10)}
        assert slots.fill(given) == [wanted.encode()]


@pytest.mark.parametrize("length", [74, 75, 76, 149, 150, 151, 300, 1000, 1001])
@pytest.mark.parametrize("filling", ["a", ".b", "..", "c.", "?d=1&e", "é"])
def test_a_link_is_cut_where_no_line_begins_with_a_dot_and_is_escaped_in_html_alone(length: int, filling: str) -> None:
    link = ("https://" + filling * length)[:length]
    source = "{{ unsubscribe_url }}"
    html, text = Slots(Source(source, autoescape=True), Source(source, autoescape=False), fixed={}).fill(
        {"unsubscribe_url": link}
    )
    assert quopri.decodestring(html).decode() == escape(link)
    assert quopri.decodestring(text).decode() == link
    lines = (html + b"\r\n" + text).split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith(b".") for line in lines)
