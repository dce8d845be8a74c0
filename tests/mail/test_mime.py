"""mime.py and header_lines.py: what a parser of somebody else's reads back is what was put in (S13, S15–S18)."""

import email
import email.policy
import quopri
import re
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.mail import mime

BASE = [
    ("From", mime.mailbox("News", "news@sender.example")),
    ("To", "anna@c.example"),
    ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
    ("Message-ID", "<1@sender.example>"),
]
ANY_TEXT = st.text(st.characters(), max_size=300)
NASTY = st.text(
    st.one_of(st.sampled_from('\r\n\0\u2028\u2029\x85\x0b\x0c\x1c\u202e\u200b:=?_ ."\\<>,;@'), st.characters()),
    max_size=120,
)


def parsed(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, _class=EmailMessage, policy=email.policy.default)


def written(subject: str = "Hi", text: str = "Text\n", html: str | None = "<p>Text</p>\n") -> bytes:
    return mime.message([*BASE, ("Subject", subject)], text, html, boundary="=_b1")


def content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return part.get_content().replace("\r\n", "\n")


SUBJECTS = {
    "polish": "Zażółć gęślą jaźń — nowości na wiosnę",
    "portuguese": "Promoção de verão: até 50% só amanhã, não perca!",
    "arabic": "أخبار هذا الأسبوع من المتجر",
    "persian with its joiner": "می‌خواهم خبرنامه بگیرم",
    "emoji": "Sale 🎉 for families 👨‍👩‍👧 and coders 👩‍💻",
    "200 ascii characters": ("news of the week " * 12)[:199] + "x",
    "200 ascii characters, no space": "x" * 200,
    "200 polish characters": ("ąęśćżźół" * 25)[:200],
    "200 arabic characters": ("السلام" * 40)[:200],
    "200 emoji": "🎉" * 200,
    "looks encoded already": "=?utf-8?q?not_really?=",
    "equals and underscores": "a_b=c?d = e_f",
    "quotes and commas": 'He said "yes", she, (no) <ok>',
    "empty": "",
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_every_subject_is_read_back_as_it_was_written(subject: str) -> None:
    data = written(subject)
    head = data.partition(b"\r\n\r\n")[0].decode("ascii")
    assert parsed(data)["Subject"] == subject
    assert all(len(line) <= 78 for line in head.split("\r\n"))
    assert all(len(word) <= 75 for word in re.findall(r"=\?\S+?\?[qb]\?\S*?\?=", head))


@given(ANY_TEXT)
def test_encoded_words_never_split_a_character(text: str) -> None:
    clean = mime.header_text(text)
    for word in re.findall(r"=\?utf-8\?[qb]\?\S*?\?=", mime.encode_header("Subject", clean)):
        ((piece, charset),) = decode_header(word)
        assert charset == "utf-8"
        piece.decode("utf-8")
        assert len(word) <= 75


@given(NASTY)
def test_no_value_makes_a_second_header_or_a_part(text: str) -> None:
    data = mime.message(
        [
            ("From", mime.mailbox(text, "news@sender.example")),
            ("To", mime.mailbox(text, "anna@c.example")),
            ("Subject", text),
            ("X-Merged", text),
        ],
        text,
        f"<p>{text}</p>",
        boundary="=_b1",
    )
    message = parsed(data)
    assert list(message) == ["From", "To", "Subject", "X-Merged", "MIME-Version", "Content-Type"]
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert message["From"].addresses[0].addr_spec == "news@sender.example"
    assert len(message["From"].addresses) == len(message["To"].addresses) == 1
    assert not message.defects
    assert message["Subject"] == mime.header_text(text, 998)


@given(ANY_TEXT)
def test_display_names_are_read_back_clean(name: str) -> None:
    line = mime.encode_header("From", mime.mailbox(name, "a@b.example"))
    (mailbox,) = parsed(line.encode() + b"\r\n\r\n")["From"].addresses
    # The library's address parser puts a space between two encoded words (RFC 2047 6.2 says none); its older one does not.
    encoded = re.findall(r"=\?utf-8\?[qb]\?\S*?\?=", line)
    shown = str(make_header(decode_header(" ".join(encoded)))) if encoded else mailbox.display_name
    assert mailbox.addr_spec == "a@b.example"
    assert shown == " ".join(mime.header_text(name).split())
    assert all(len(part) <= 78 for part in line.split("\r\n"))


@given(ANY_TEXT, st.integers(1, 200))
def test_header_text_is_one_clean_line_and_stays_as_it_is(text: str, limit: int) -> None:
    clean = mime.header_text(text, limit)
    assert len(clean) <= limit
    assert mime.header_text(clean, limit) == clean
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\ufeff]", clean)
    clean.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("a\r\nBcc: b@c.example", "a Bcc: b@c.example"),
        ("a\x00b", "ab"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("safe\u202egpj.exe", "safegpj.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("e\u0301", "é"),
        ("  a   b\t c ", "a b c"),
        ("half \ud83d character", "half character"),
        ("hidden\U000e0041tags", "hiddentags"),
        ("joined a\u200db", "joined ab"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_header_text_cleans(value: str, clean: str) -> None:
    assert mime.header_text(value) == clean


BODIES = st.text(st.one_of(st.sampled_from(".\n \t=-F"), st.characters(exclude_categories=("Cs", "Cc"))), max_size=400)


@given(BODIES)
def test_bodies_are_read_back_and_no_line_begins_with_a_dot(text: str) -> None:
    data = written(text=text, html=f"<p>{text}</p>\n.\nFrom here\n")
    message = parsed(data)
    assert content(message, "plain") == text
    assert content(message, "html") == f"<p>{text}</p>\n.\nFrom here\n"
    body = data.partition(b"\r\n\r\n")[2]
    lines = body.split(b"\r\n")
    assert not any(line.startswith((b".", b"From ")) for line in lines)
    assert max(map(len, lines)) <= 76


@given(NASTY, NASTY)
def test_messages_are_ascii_with_crlf_only(subject: str, text: str) -> None:
    data = written(subject, text, None)
    assert data.isascii() and b"\0" not in data
    assert data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r")
    assert data.endswith(b"\r\n")
    assert max(map(len, data.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("filler", ["", "x", "=" * 20, "ż"], ids=repr)
def test_dots_that_fall_on_a_soft_line_break_are_encoded_within_76_columns(filler: str) -> None:
    for length in range(60, 90):
        text = "a" * length + filler + "." * 160 + "\n" + "b" * length + "." + "c" * 80 + "\n"
        encoded = mime.quoted_printable(text)
        assert not any(line.startswith(b".") for line in encoded.split(b"\r\n"))
        assert max(map(len, encoded.split(b"\r\n"))) <= 76
        assert content(parsed(written(text=text)), "plain") == text


def test_text_stands_before_html_and_both_state_their_charset() -> None:
    message = parsed(written("Zażółć", "część\n", "<p>część</p>\n"))
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert {part.get_content_charset() for part in (plain, html)} == {"utf-8"}
    assert {part["Content-Transfer-Encoding"] for part in (plain, html)} == {"quoted-printable"}


def test_without_html_the_message_is_plain_text_alone() -> None:
    message = parsed(written(html=None))
    assert message.get_content_type() == "text/plain"
    assert content(message, "plain") == "Text\n"


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Id", "Cc"])
def test_a_header_written_twice_is_refused(name: str) -> None:
    headers = [(name, "a@b.example"), (name.upper(), "c@d.example")]
    with pytest.raises(ValueError, match="stands twice"):
        mime.message(headers, "x", None, boundary="b")


@pytest.mark.parametrize(
    "name", ["MIME-Version", "content-type", "Content-Transfer-Encoding", "Bcc", "Return-Path", "DKIM-Signature"]
)
def test_headers_that_are_not_the_callers_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a header a message may bring"):
        mime.message([(name, "x")], "x", None, boundary="b")


@pytest.mark.parametrize("name", ["", "Sub ject", "Subject:", "Sub\r\nject", "Temat\u0105", "-"])
def test_a_name_that_is_no_header_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no header name"):
        mime.encode_header(name, "x")


def test_structured_headers_are_folded_at_spaces_and_never_encoded() -> None:
    value = f"<https://mail.example/u/{'t' * 120}>, <mailto:leave+{'t' * 40}@mail.example>"
    lines = mime.encode_header("List-Unsubscribe", value).split("\r\n")
    assert lines == ["List-Unsubscribe: " + value.split(" ")[0], " " + value.split(" ")[1]]
    post = mime.encode_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
    assert post == "List-Unsubscribe-Post: List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    "value", ["<https://ż.example>", "<https://a.example>\r\nBcc: x@y.example", "a\0b", "a\u2028b"]
)
def test_a_structured_header_with_anything_but_printable_ascii_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        mime.encode_header("List-Unsubscribe", value)


def test_a_structured_value_too_long_for_any_line_is_refused() -> None:
    with pytest.raises(ValueError, match="998"):
        mime.encode_header("List-Unsubscribe", f"<https://{'x' * 1000}>")


@pytest.mark.parametrize("value", ["Żółw <a@b.example>", "a@b.example\r\nBcc: <c@d.example>", "x <ż\u2028@b.example>"])
def test_an_address_header_not_written_by_mailbox_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"mailbox\(\)"):
        mime.encode_header("From", value)


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("Anna", "anna@c.example", "Anna <anna@c.example>"),
        ("", "anna@c.example", "anna@c.example"),
        ("Shop, Inc.", "a@c.example", '"Shop, Inc." <a@c.example>'),
        ('The "Best"', "a@c.example", '"The \\"Best\\"" <a@c.example>'),
        ("evil <x@y.example>", "a@c.example", '"evil <x@y.example>" <a@c.example>'),
        ("Żółw", "a@żółw.example", "=?utf-8?b?xbvDs8WCdw==?= <a@xn--w-uga1v8h.example>"),
        ("Anna", "zażółć@c.example", "Anna <zażółć@c.example>"),
    ],
)
def test_mailboxes(name: str, address: str, expected: str) -> None:
    assert mime.mailbox(name, address) == expected


def test_an_address_that_needs_smtputf8_stands_in_the_header_as_utf8() -> None:
    data = mime.message([("To", mime.mailbox("Zoë", "zoë@c.example"))], "x", None, boundary="b")
    message = email.message_from_string(data.decode(), policy=email.policy.default)
    assert message["To"].addresses[0].addr_spec == "zoë@c.example"
    assert data.startswith("To: =?utf-8?b?Wm/Dqw==?= <zoë@c.example>\r\n".encode())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("anna@c.example", "anna@c.example"),
        ("Anna.Maria+x@C.example", "Anna.Maria+x@C.example"),
        ("a@żółw.example", "a@xn--w-uga1v8h.example"),
        ("a@faß.example", "a@xn--fa-hia.example"),
        ("a@[127.0.0.1]", "a@[127.0.0.1]"),
        ('"a,b"@c.example', '"a,b"@c.example'),
    ],
)
def test_envelope_addresses_are_ascii(address: str, expected: str) -> None:
    assert mime.envelope_address(address) == expected


def test_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    with pytest.raises(mime.NeedsSMTPUTF8):
        mime.envelope_address("zoë@c.example")
    assert mime.utf8_address("zoë@żółw.example") == "zoë@xn--w-uga1v8h.example"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "@c.example",
        "a@",
        "a b@c.example",
        "a@c.example\r\nRCPT TO:<b@d.example>",
        "a\n@c.example",
        "a\0@c.example",
        "<a@c.example>",
        "a>@c.example",
        "-f@c.example",
        "a@c..example",
        "a@-",
        "a@b@c.example",
        "a,b@c.example",
        "a\u202e@c.example",
        "a\u200b@c.example",
        "a@c\u2028.example",
        f"{'a' * 65}@c.example",
        f"a@{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 60}.{'g' * 60}.example",
    ],
    ids=repr,
)
def test_broken_addresses_are_refused_without_being_repeated(address: str) -> None:
    for use in (mime.envelope_address, mime.utf8_address, lambda value: mime.mailbox("x", value)):
        with pytest.raises(ValueError) as refused:
            use(address)
        assert len(address) < 4 or address not in str(refused.value)


@pytest.mark.parametrize("boundary", ["", "a b", 'a"b', "x" * 71, "a\r\nb"])
def test_a_broken_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        mime.message(BASE, "x", "y", boundary=boundary)


def test_a_boundary_that_occurs_in_the_body_is_refused() -> None:
    with pytest.raises(ValueError, match="occurs in the body"):
        mime.message(BASE, "see --abc there", "y", boundary="abc")


def test_a_list_id_may_have_a_phrase() -> None:
    value = f"{mime.phrase('Żółte nowości')} <yellow.list-id.mail.example>"
    assert mime.encode_header("List-Id", value).isascii()


@pytest.mark.parametrize("length", range(68, 80))
@pytest.mark.parametrize("end", [" ", "\t", " \n", "\t\nmore"])
def test_white_space_at_the_end_of_a_full_line_makes_it_no_longer_than_allowed(length: int, end: str) -> None:
    encoded = mime.quoted_printable("a" * length + end)
    assert quopri.decodestring(encoded).decode().replace("\r\n", "\n") == "a" * length + end
    assert max(len(line) for line in encoded.split(b"\r\n")) <= 76
