"""The mail that is sent is the mail that was previewed: rendering into quoted-printable decodes to the very same text."""

import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.campaigns import sandbox

PIECES = st.sampled_from(
    [
        "{{ name }}",
        "{% if name %}yes{% else %}no{% endif %}",
        "{% if name %}{{ name }}{% endif %}",
        "{{ name|upper }}",
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
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=12),
    name=st.one_of(st.just(""), st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200), st.just(".")),
    autoescape=st.booleans(),
)
def test_encoded_rendering_decodes_to_the_plain_one(pieces: list[str], name: str, autoescape: bool) -> None:
    source = "".join(pieces)
    plain = sandbox.load(source, autoescape=autoescape).render({"name": name})
    encoded = sandbox.cut(sandbox.load_encoded(source, autoescape=autoescape).render({"name": name}))
    assert quopri.decodestring(encoded).decode() == plain.replace("\n", "\r\n")
    lines = encoded.split(b"\r\n")
    assert max(map(len, lines)) <= 76  # RFC 2045 6.7 (5)
    assert not any(line.startswith((b".", b"From ")) for line in lines)
    assert encoded.isascii()


@pytest.mark.parametrize("source", ["{{ x() }}", "{% for a in b %}{% endfor %}", "{{ a[0] }}"])
def test_an_unchecked_template_is_refused_in_this_form_too(source: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        sandbox.load_encoded(source, autoescape=True)
