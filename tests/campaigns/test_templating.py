"""A marketer's text is data: everything beyond fields, conditions and the listed filters is refused, with its line, at once."""

import time
from collections.abc import Callable

import pytest

from preference_center.campaigns.rendering import sandbox, templating
from preference_center.campaigns.rendering.content import Rendered
from preference_center.errors import Invalid

KNOWN = {"first_name", "last_name", "city", "points", "email", "unsubscribe_url", "footer"}
HOSTILE = {
    # security.md 3.1
    "class walk": "{{ contact.__class__ }}",
    "class walk behind a field": "{{ first_name.__class__.__mro__ }}",
    "class walk by subscript": "{{ first_name['__class__'] }}",
    "cycler": "{{ cycler }}",
    "lipsum": "{{ lipsum() }}",
    "attr chain": "{{ first_name|attr('format') }}",
    "method of a value": "{{ first_name.upper() }}",
    "long text by arithmetic": "{{ 'a' * 200000000 }}",
    "long text by a filter": "{{ first_name|center(500000000) }}",
    "long text by format": "{{ '%0500000000d' % 1 }}",
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "doubling": "{% set x = 'a' %}{% for i in range(99) %}{% set x = x ~ x %}{% endfor %}",
    "wordwrap": "{{ first_name|wordwrap(1) }}",
    "range": "{{ range(10000000) }}",
    "list that holds itself": "{% set x = [] %}{% do x.extend(x) %}",
    "endless macro": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% from 'x' import y %}",
    "extends": "{% extends 'base.html' %}",
    "block": "{% block title %}{% endblock %}",
    "call": "{% call a() %}{% endcall %}",
    "filter block": "{% filter upper %}x{% endfilter %}",
    "autoescape off": "{% autoescape false %}{{ first_name }}{% endautoescape %}",
    "raw": "{% raw %}{{ x }}{% endraw %}",
    "with": "{% with x = 1 %}{% endwith %}",
    # security.md 4
    "unknown field": "{{ shoe_size }}",
    "unclosed field": "{{ first_name",
    "unclosed block": "{% if city",
    "unclosed if": "{% if city %}x",
    "endif alone": "{% endif %}",
    "else alone": "{% else %}",
    "two elses": "{% if city %}{% else %}{% else %}{% endif %}",
    "nested 1,000 deep": "{% if city %}" * 1000 + "{% endif %}" * 1000,
    "parentheses": "{{ " + "(" * 150 + "city" + ")" * 150 + " }}",
    "parentheses never closed": "{{ " + "(" * 100_000,
    "many filters": "{{ city" + "|upper" * 20 + " }}",
    # other ways to say more than a field
    "self": "{{ self }}",
    "loop": "{{ loop }}",
    "arithmetic": "{{ points + 1 }}",
    "minus": "{{ -points }}",
    "joining": "{{ city ~ city }}",
    "inline if": "{{ city if city }}",
    "constant": "{{ 'x' }}",
    "list": "{{ [city] }}",
    "tuple": "{{ city, city }}",
    "dict": "{{ {'a': city} }}",
    "slice": "{{ city[0:5] }}",
    "test": "{{ city is defined }}",
    "test with an argument": "{% if points is divisibleby(3) %}{% endif %}",
    "in": "{% if city in first_name %}{% endif %}",
    "field with field": "{% if city == first_name %}{% endif %}",
    "chained comparison": "{% if 1 < points < 3 %}{% endif %}",
    "safe": "{{ city|safe }}",
    "our own filter": "{{ city|in_address }}",
    "filter with a field": "{{ city|default(first_name) }}",
    "filter with a name": "{{ city|default(value='x') }}",
    "filter with a huge number": "{{ city|truncate(100000) }}",
    "filter without its value": "{{ city|truncate }}",
    "wrong date style": "{{ city|date('%Y' * 99) }}",
    "infinity": "{% if points > 1e999 %}{% endif %}",
    "huge number": "{% if points > " + "9" * 300 + " %}{% endif %}",
    "empty": "{{ }}",
    "footer twice": "{{ footer }}{{ footer }}",
    "footer for some": "{% if city %}{{ footer }}{% endif %}",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_refused_with_its_line_at_once(case: str) -> None:
    started = time.monotonic()
    with pytest.raises(Invalid, match=r"\ASource, line 2: ") as refused:
        templating.read("Hello\n" + HOSTILE[case], KNOWN, "source")
    assert time.monotonic() - started < 2
    assert set(refused.value.faults) == {"source"}


@pytest.mark.parametrize("source", ["x" * 5_000_000, "{{ city }}" * 30_000, "ż" * 150_000, "{{ city }}" * 2001])
def test_too_much_text_is_refused_before_it_is_read(source: str) -> None:
    with pytest.raises(Invalid):
        templating.read(source, KNOWN, "source")


def test_an_unknown_field_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(Invalid, match=r"line 3: There is no field `frist_name`. Did you mean `first_name`\?"):
        templating.read("a\nb\n{{ frist_name }}", KNOWN, "source")


@pytest.mark.parametrize(
    ("source", "compiled"),
    [
        ("Hi {{ first_name }}", "Hi {{ first_name }}"),
        ("Hi {{contact.first_name}}", "Hi {{ first_name }}"),
        ("{{ unsubscribe }}", "{{ unsubscribe_url }}"),
        ("{{ city | default('you') | upper }}", '{{ city|default("you")|upper }}'),
        ("{% if city %}a{% else %}b{% endif %}", "{% if city|has_value %}a{% else %}b{% endif %}"),
        (
            "{% if not city or points > 5 %}a{% endif %}",
            "{% if ((not city|has_value) or points|as_number > 5) %}a{% endif %}",
        ),
        ('{% if city == "Rome" %}a{% endif %}', '{% if city|as_text == "rome" %}a{% endif %}'),
        ("{%- if city -%} a {%- endif -%}", "{% if city|has_value %}a{% endif %}"),
        ("{# a note #}x", "x"),
        ("a { b } {x}", "a {{ '{' }} b } {{ '{' }}x}"),
    ],
)
def test_what_is_allowed_is_written_again_in_our_own_words(source: str, compiled: str) -> None:
    written = templating.joined(templating.read(source, KNOWN, "source"))
    assert written == compiled
    sandbox.load(written, autoescape=True)


def test_a_constant_cannot_leave_its_quotes() -> None:
    written = templating.joined(templating.read("""{{ city|default('"}}{{ x') }}""", KNOWN, "source"))
    assert written == '{{ city|default("\\U00000022\\U0000007d\\U0000007d\\U0000007b\\U0000007b x") }}'
    assert sandbox.load(written, autoescape=False).render() == '"}}{{ x'


@pytest.mark.parametrize(
    "altered",
    ["{{ x.y }}", "{{ f() }}", "{% for a in b %}{% endfor %}", "{% set a = 1 %}", "{{ a + b }}", "{{ a['b'] }}"],
)
def test_a_compiled_template_that_was_tampered_with_is_not_loaded(altered: str) -> None:
    with pytest.raises(ValueError, match="a compiled template holds"):
        sandbox.load(altered, autoescape=True)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ first_name|title }}", "Anna Maria"),
        ("{{ first_name|capitalize }}", "Anna maria"),
        ("{{ first_name|truncate(6) }}", "anna…"),
        ("{{ city|default('you') }}", "you"),
        ("{{ points|number }}", "1,234.5"),
        ("{{ points|number(0) }}", "1,234"),
        ("{{ birthday|date('long') }}", "May 1, 1990"),
        ("{{ city|upper }}{{ city|number }}{{ city|date }}", ""),
        ("{% if points > 1000 %}many{% endif %}", "many"),
        ("{% if city > 1000 %}many{% else %}few{% endif %}", "few"),
        ("{% if first_name == 'ANNA maria' %}you{% endif %}", "you"),
        ("{% if vip == true %}vip{% endif %}{% if vip != false %}!{% endif %}", "vip!"),
        ("{% if city == false %}none{% endif %}", "none"),
        ("{% if birthday %}born{% elif city %}city{% endif %}", "born"),
    ],
)
def test_fields_and_conditions_say(render: Callable[..., Rendered], source: str, said: str) -> None:
    mail = render(
        "x",
        fields={"text_source": f"[{source}]"},
        first_name="anna maria",
        points=1234.5,
        birthday="1990-05-01",
        vip=True,
    )
    assert mail.text.startswith(f"[{said}]")


def test_dates_and_numbers_are_written_in_the_contacts_language(render: Callable[..., Rendered]) -> None:
    source = {"text_source": "{{ birthday|date('long') }} {{ points|number(2) }}"}
    mail = render("x", language="pl", fields=source, points=1234.5, birthday="1990-05-01")
    assert mail.text.replace("\u00a0", " ").startswith("1 maja 1990 1 234,50")


def test_text_that_only_looks_like_a_tag_after_parsing_is_shown_as_it_is(render: Callable[..., Rendered]) -> None:
    mail = render("<p>&#123;{ 7*7 }} &#123;% for a in b %}</p>")
    assert "<p>{{ 7*7 }} {% for a in b %}</p>" in mail.html
    assert "{{ 7*7 }} {% for a in b %}" in mail.text


def test_a_value_is_never_read_as_a_template_or_as_markup(render: Callable[..., Rendered]) -> None:
    name = "<script>x</script>{{ 7*7 }}"
    mail = render(
        '<p title="{{ first_name }}">{{ first_name }}</p>', first_name=name, fields={"subject": "{{ first_name }}"}
    )
    assert "<script" not in mail.html
    assert "&lt;script&gt;x&lt;/script&gt;{{ 7*7 }}" in mail.html
    assert mail.subject == name
    assert name in mail.text
