"""dkim.py, judged by dkimpy and by checking an Ed25519 signature with dkimpy's own canonical form (S5–S8)."""

import base64
import re
import sys
import types
from datetime import UTC, datetime

import dkim as judge
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.mail import dkim, mime

RSA = dkim.generate_key()
ED25519 = dkim.generate_key("ed25519")
SIGNER = dkim.Signer("Mail.Sender.example", "s2026", RSA)
SECOND = dkim.Signer("mail.sender.example", "e2026", ED25519)
BOTH = dkim.Signers([SIGNER, SECOND])


@pytest.fixture(autouse=True)
def _ed25519_for_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """dkimpy checks Ed25519 with PyNaCl; this gives it the same two names, backed by another library."""

    class VerifyKey:
        def __init__(self, key: bytes, encoder: object = None) -> None:
            self._key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(key))

        def verify(self, message: bytes, signature: bytes) -> bytes:
            try:
                self._key.verify(signature, message)
            except InvalidSignature:
                raise BadSignatureError from None
            return message

    class BadSignatureError(Exception):
        pass

    nacl = types.ModuleType("nacl")
    parts = {name: types.ModuleType(f"nacl.{name}") for name in ("signing", "exceptions", "encoding")}
    parts["signing"].VerifyKey = VerifyKey  # type: ignore[attr-defined]
    parts["exceptions"].BadSignatureError = BadSignatureError  # type: ignore[attr-defined]
    parts["encoding"].Base64Encoder = object()  # type: ignore[attr-defined]
    for name, module in {"nacl": nacl, **{f"nacl.{name}": part for name, part in parts.items()}}.items():
        monkeypatch.setitem(sys.modules, name, module)
    for name, part in parts.items():
        setattr(nacl, name, part)
    monkeypatch.setattr(judge, "nacl", nacl, raising=False)


def dns(name: bytes, timeout: int = 5) -> bytes:
    """What a resolver would answer."""
    for record in BOTH.dns_records():
        if name.decode().rstrip(".") == record.name:
            return record.value.encode()
    raise AssertionError(f"asked for {name!r}")


def verifies(message: bytes, number: int = 0) -> bool:
    """Whether the judge accepts the signature that stands at this place, counted from the top."""
    try:
        return bool(judge.DKIM(message).verify(number, dnsfunc=dns))
    except judge.DKIMException:
        return False


def campaign_letter(subject: str = "Zażółć gęślą jaźń", text: str = "Hello\n", *more: tuple[str, str]) -> bytes:
    headers = [
        ("From", mime.mailbox("Żółw News", "news@mail.sender.example")),
        ("To", "anna@c.example"),
        ("Subject", subject),
        ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
        ("Message-ID", "<1@mail.sender.example>"),
        ("List-Id", "News <news.list-id.mail.sender.example>"),
        ("List-Unsubscribe", "<https://mail.sender.example/u/abc>, <mailto:leave@mail.sender.example>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Help", "<https://mail.sender.example/help>"),
        ("List-Post", "NO"),
        ("Feedback-ID", "c1:t1:campaign:sender01"),
        ("Auto-Submitted", "auto-generated"),
        *more,
    ]
    return mime.message(headers, text, f"<p>{text}</p>\n", boundary="=_b")


def tag(message: bytes, name: str) -> str:
    header = message.partition(b"\r\n")[0] + b" " + re.split(rb"\r\n(?![ \t])", message)[0].partition(b"\r\n")[2]
    found = re.search(rf"(?:^|[;\s:]){name}=([^;]*)", header.decode().replace("\r\n", ""))
    assert found
    return re.sub(r"\s", "", found[1])


def test_the_signature_verifies_and_is_rsa_with_sha256() -> None:
    signed = SIGNER.sign(campaign_letter())
    assert verifies(signed)
    assert tag(signed, "a") == "rsa-sha256"
    assert tag(signed, "c") == "relaxed/simple"
    assert tag(signed, "d") == "mail.sender.example"
    assert b" l=" not in signed.partition(b"\r\nFrom:")[0]
    assert all(len(line) <= 78 for line in signed.partition(b"\r\nFrom:")[0].split(b"\r\n"))


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=120), st.text(max_size=300))
def test_whatever_is_written_verifies(subject: str, text: str) -> None:
    assert judge.verify(SIGNER.sign(campaign_letter(subject, text)), dnsfunc=dns)


def test_all_headers_that_matter_are_signed() -> None:
    signed = SIGNER.sign(campaign_letter("Hi", "x\n", ("Reply-To", "hello@mail.sender.example"), ("Cc", "b@c.example")))
    names = tag(signed, "h").split(":")
    for name in (
        *("from", "to", "subject", "date", "message-id", "mime-version", "content-type", "list-id", "feedback-id"),
        *("list-unsubscribe", "list-unsubscribe-post", "list-help", "list-post", "cc", "auto-submitted", "reply-to"),
    ):
        assert name in names
    for name in dkim.OVER_SIGNED:
        assert names.count(name) == 2
    assert names.count("cc") == names.count("message-id") == 1


def test_an_absent_header_is_signed_as_absent() -> None:
    signed = SIGNER.sign(campaign_letter())
    assert tag(signed, "h").split(":").count("reply-to") == 1
    assert not verifies(b"Reply-To: thief@evil.example\r\n" + signed)


@pytest.mark.parametrize(
    "extra",
    [
        b"From: Bank <bank@evil.example>\r\n",
        b"To: other@c.example\r\n",
        b"Subject: You won\r\n",
        b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n",
        b"List-Unsubscribe: <https://evil.example>\r\n",
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
    ],
)
def test_a_second_important_header_breaks_the_signature(extra: bytes) -> None:
    signed = SIGNER.sign(campaign_letter())
    assert not verifies(extra + signed)
    head, _, body = signed.partition(b"\r\n\r\n")
    assert not verifies(head + b"\r\n" + extra + b"\r\n" + body)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"Hello", b"Hullo"), (b"/u/abc", b"/u/abd"), (b"List-Help:", b"List-Held:"), (b"c1:t1", b"c1:t2")],
)
def test_a_changed_byte_breaks_the_signature(old: bytes, new: bytes) -> None:
    assert not verifies(SIGNER.sign(campaign_letter()).replace(old, new))


def test_refolded_headers_and_more_empty_lines_at_the_end_do_not_break_it() -> None:
    signed = SIGNER.sign(campaign_letter())
    assert verifies(signed.replace(b"/abc>, <mailto", b"/abc>,\r\n\t <mailto") + b"\r\n\r\n")


@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\r\n\r\n\r\n", b"x", b"x\r\n\r\n"])
def test_every_end_of_a_body_has_one_canonical_form(ending: bytes) -> None:
    assert verifies(SIGNER.sign(b"From: a@b.example\r\nSubject: x\r\n\r\n" + ending))


def test_two_keys_make_two_signatures_that_both_verify() -> None:
    signed = BOTH.sign(campaign_letter())
    assert signed.count(b"DKIM-Signature:") == 2
    assert verifies(signed, 0)
    assert verifies(signed, 1)
    assert not verifies(signed.replace(b"Hello", b"Hullo"), 1)
    assert b"a=ed25519-sha256" in signed


def test_the_rsa_signature_verifies_alone_when_there_are_two() -> None:
    signed = BOTH.sign(campaign_letter())
    second = re.compile(rb"DKIM-Signature: v=1; a=ed25519.*?\r\n(?=From:)", re.DOTALL)
    assert verifies(second.sub(b"", signed))
    assert signed.startswith(SIGNER.sign(campaign_letter()).partition(b"\r\nFrom:")[0])


def test_the_time_of_signing_is_stated_when_given() -> None:
    signed = SIGNER.sign(campaign_letter(), at=datetime(2026, 11, 21, 10, tzinfo=UTC))
    assert tag(signed, "t") == "1795255200"
    assert verifies(signed)


def test_the_dns_record_holds_the_public_key_in_strings_of_255() -> None:
    record = dkim.dns_record("sender.example", "s1", RSA)
    assert record.name == "s1._domainkey.sender.example"
    assert record.value.startswith("v=DKIM1; k=rsa; p=MII")
    strings = re.findall(r'"([^"]*)"', record.zone_line)
    assert "".join(strings) == record.value
    assert max(map(len, strings)) <= 255
    assert record.zone_line.startswith("s1._domainkey.sender.example. IN TXT ( ")
    assert dkim.dns_record("sender.example", "e1", ED25519).value.startswith("v=DKIM1; k=ed25519; p=")


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def test_a_short_rsa_key_works_with_a_warning() -> None:
    signer = dkim.Signer("a.example", "s", pem(rsa.generate_private_key(65537, 1024)))
    assert signer.warning and "1024" in signer.warning
    assert dkim.Signers([signer, SIGNER]).warnings == [signer.warning]
    assert SIGNER.warning is None and SECOND.warning is None


SHORT_KEY = b"""-----BEGIN RSA PRIVATE KEY-----
MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu
KUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQJAIJLixBy2qpFoS4DSmoEm
o3qGy0t6z09AIJtH+5OeRV1be+N4cDYJKffGzDa88vQENZiRm0GRq6a+HPGQMd2k
TQIhAKMSvzIBnni7ot/OSie2TmJLY4SwTQAevXysE2RbFDYdAiEBCUEaRQnMnbp7
9mxDXDf6AU0cN/RPBjb9qSHDcWZHGzUCIG2Es59z8ugGrDY+pxLQnwfotadxd+Uy
v/Ow5T0q5gIJAiEAyS4RaI9YG8EWx/2w0T67ZUVAw8eOMB6BIUg0Xcu+3okCIBOs
/5OiPgoTdSy7bcF9IGpSE8ZgGKzgYQVZeN97YE00
-----END RSA PRIVATE KEY-----
"""


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (b"nonsense", "PEM"),
        (SHORT_KEY, "512 bits"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "RSA or Ed25519"),
        (pem(rsa.generate_private_key(65537, 2048), b"secret"), "unencrypted"),
    ],
    ids=["nonsense", "512 bits", "another kind", "encrypted"],
)
def test_an_unusable_key_is_refused_with_a_reason(key: bytes, words: str) -> None:
    with pytest.raises(dkim.UnusableKey, match=words):
        dkim.Signer("a.example", "s", key)


@pytest.mark.parametrize("domain", ["", "nodots", "żółw.example", "a.example; x=y", "a..example", "-a.example"])
def test_a_broken_domain_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        dkim.Signer(domain, "s", RSA)


@pytest.mark.parametrize("selector", ["", "a b", "a;b", "-a", "a..b"])
def test_a_broken_selector_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match="selector"):
        dkim.Signer("a.example", selector, RSA)


@pytest.mark.parametrize("message", [b"From: a@b.example\n\nx\n", b"Subject: x\r\n\r\nx\r\n", b""])
def test_what_is_no_finished_message_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="message"):
        SIGNER.sign(message)


def test_new_rsa_keys_are_not_short_and_a_signer_is_needed() -> None:
    with pytest.raises(ValueError, match="2048"):
        dkim.generate_key(bits=1024)
    with pytest.raises(ValueError, match="at least one"):
        dkim.Signers([])


@pytest.mark.parametrize("bits", [1024, 1280])  # with 1280 the lines of the signature come out even
def test_a_signature_is_folded_into_lines_of_72_characters(bits: int) -> None:
    signed = dkim.Signer("a.example", "s", pem(rsa.generate_private_key(65537, bits))).sign(campaign_letter())
    found = re.search(rb" b=((?:[^\r\n]+\r\n )*[^\r\n]+)\r\n", signed)
    assert found
    lines = found[1].split(b"\r\n ")
    assert {len(line) for line in lines[:-1]} == {72} and 0 < len(lines[-1]) <= 72
    assert len(base64.b64decode(b"".join(lines))) == bits // 8


def test_a_message_in_parts_gets_the_signatures_of_the_whole_wherever_it_is_cut() -> None:
    # also where a header stands in both parts
    head, _, body = campaign_letter().partition(b"\r\n\r\n")
    lines = re.findall(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*", b"Reply-To: a@c.example\r\n" + head + b"\r\n")
    lines += b"Reply-To: b@c.example\r\n", b"CFBL-Feedback-ID: 50 %b off, 100%\r\n"
    whole = b"".join((*lines, b"\r\n", body))
    for cut in range(len(lines)):
        own, shared = b"".join(lines[:cut]), b"".join(lines[cut:]) + b"\r\n"
        signed = BOTH.sign_parts(own, shared, body)
        assert signed == BOTH.sign(whole)
        assert verifies(signed)
