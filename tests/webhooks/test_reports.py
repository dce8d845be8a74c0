"""What mails that come back report: of our own making in every shape."""

import pytest

from preference_center.webhooks.reports import reading
from preference_center.webhooks.reports.base import Finding
from tests.support.bounces import mails
from tests.support.bounces.mails import ANNA

BEN = "ben@harbour.example"


def read(raw: bytes) -> list[tuple[str, str | None]]:
    return [(str(finding.meaning), finding.recipient) for finding in reading.read(raw).findings]


def only(raw: bytes) -> Finding:
    (finding,) = reading.read(raw).findings
    return finding


BEN_TOO = (
    f"\nFinal-Recipient: rfc822; {BEN}\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full\n"
)
GLOBAL = "utf-8; \\x{17C}\\x{F3}\\x{142}w@przyk\\x{142}ad.example"
MAILS = {
    "hard": (mails.dsn(), [("hard", ANNA)]),
    "two recipients": (mails.dsn(more=BEN_TOO), [("hard", ANNA), ("soft", BEN)]),
    "two recipients, no blank line": (mails.dsn(more=BEN_TOO.lstrip()), [("hard", ANNA), ("soft", BEN)]),
    "full": (mails.dsn("5.2.2", "552 5.2.2 over quota"), [("soft", ANNA)]),
    "given up": (mails.dsn("4.4.1", "connection timed out"), [("soft", ANNA)]),
    "delayed, whatever the code": (mails.dsn("5.1.1", "550 no such user", action="delayed"), [("deferred", ANNA)]),
    "policy": (mails.dsn("5.7.1", "550 5.7.1 refused as spam"), [("block", ANNA)]),
    "delivered": (mails.dsn("2.0.0", "250 ok", action="delivered"), [("none", ANNA)]),
    "relayed": (mails.dsn("2.0.0", "", action="relayed"), [("none", ANNA)]),
    "expanded": (mails.dsn("2.0.0", "", action="expanded (to a list)"), [("none", ANNA)]),
    "comments in values": (mails.dsn("5.1.1 (no mailbox)", "", action="Failed (for good)"), [("hard", ANNA)]),
    "an exact code outweighs a footer": (
        mails.dsn("5.1.1", "", words="This mail was scanned for viruses and spam."), [("hard", ANNA)],
    ),
    "the letter explains a generic code": (
        mails.dsn("5.0.0", "", words=f"<{ANNA}>: there is no such mailbox"), [("hard", ANNA)],
    ),
    "forwarded on: the address we wrote to": (
        mails.dsn(recipient="other@elsewhere.example", original=f"rfc822;{ANNA}"), [("hard", ANNA)],
    ),
    "beyond ASCII": (
        mails.dsn(original=GLOBAL, kind="message/global-delivery-status"), [("hard", "żółw@przykład.example")],
    ),
    "a promise of a status part": (mails.exchange("550 5.1.10 RESOLVER.ADR.RecipientNotFound"), [("hard", ANNA)]),
    "qmail": (mails.qmail((ANNA, "550 no such user"), (BEN, "552 mailbox full")), [("hard", ANNA), ("soft", BEN)]),
    "Exim": (mails.exim((ANNA, "550 user unknown"), (BEN, "554 refused as spam")), [("hard", ANNA), ("block", BEN)]),
    "dialogue": (
        mails.letter(f"   ----- Transcript -----\n>>> RCPT To:<{ANNA}>\n<<< 550 <{ANNA}>... User unknown"),
        [("hard", ANNA)],
    ),
    "Japanese": (mails.letter(f"{ANNA}\n宛先のアドレスが見つかりません", "配信エラー", "iso-2022-jp"), [("hard", ANNA)]),
    "Polish": (mails.letter(f"<{ANNA}>: skrzynka jest pełna", "Zwrot wiadomości"), [("soft", ANNA)]),
    "still trying": (
        mails.letter(f"Your mail to\n  {ANNA}\nhas been delayed. We will keep trying.", "Warning: delayed"),
        [("deferred", ANNA)],
    ),
    "complaint": (mails.complaint(), [("complaint", ANNA)]),
    "fraud": (mails.complaint("fraud"), [("complaint", ANNA)]),
    "virus": (mails.complaint("virus"), [("complaint", ANNA)]),
    "other": (mails.complaint("other"), [("complaint", ANNA)]),
    "a kind from the future": (mails.complaint("rudeness"), [("complaint", ANNA)]),
    "redacted": (mails.complaint(recipient=None), [("complaint", None)]),
    "not spam": (mails.complaint("not-spam"), [("none", ANNA)]),
    "signatures": (mails.complaint("auth-failure"), [("none", ANNA)]),
    "opt-out": (mails.complaint("opt-out"), [("unsubscribe", ANNA)]),
    "absence": (mails.reply("Away", Auto_Submitted="auto-replied"), [("auto-reply", ANNA)]),
    "absence without the field": (mails.reply("Automatic reply: Spring is here"), [("auto-reply", ANNA)]),
    "absence in German": (mails.reply("Abwesenheitsnotiz"), [("auto-reply", ANNA)]),
    "absence in Polish": (mails.reply("Odpowiedź automatyczna: Wiosna"), [("auto-reply", ANNA)]),
    "Exchange's absence": (mails.reply("Hello", X_Auto_Response_Suppress="All"), [("auto-reply", ANNA)]),
    "leaving": (mails.reply("unsubscribe", ""), [("unsubscribe", ANNA)]),
    "Apple's way": (
        mails.reply("unsubscribe", Auto_Submitted="auto-replied", X_Apple_Unsubscribe="true"), [("unsubscribe", ANNA)],
    ),
    "refused in one word, in a letter of many": (mails.dsn("5.7.1", "550 5.7.1 Blocked"), [("block", ANNA)]),
    "leaving, in a sentence": (mails.reply("Please remove me from your mailing list!"), [("unsubscribe", ANNA)]),
    "an answer to a subject that begins so": (mails.reply("Re: Leave winter behind"), [("unknown", None)]),
    "another thing is to go": (mails.reply("Remove the blue one from my order"), [("unknown", None)]),
    "a letter": (mails.reply("Your spring offer", "Do you have it in blue?"), [("unknown", None)]),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "wanted"), MAILS.values(), ids=MAILS)
def test_a_mail_reports_what_it_says(raw: bytes, wanted: list[tuple[str, str | None]]) -> None:
    """S119 without the shared samples, S123"""
    assert read(raw) == wanted


@pytest.mark.parametrize("ends", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
@pytest.mark.parametrize("name", ["hard", "qmail", "complaint", "absence"])
def test_line_ends_of_any_kind_are_the_same(name: str, ends: bytes) -> None:
    raw, wanted = MAILS[name]
    assert read(raw.replace(b"\n", ends)) == wanted


def test_the_address_it_failed_at_is_told_beside_the_one_we_wrote_to() -> None:
    finding = only(mails.dsn(recipient="other@elsewhere.example", original=f"rfc822;{ANNA}"))
    assert (finding.recipient, finding.final_recipient) == (ANNA, "other@elsewhere.example")


@pytest.mark.parametrize("missing", ["agent", "version"])
def test_a_complaint_without_a_required_field_is_left_to_a_person(missing: str) -> None:
    """S125"""
    assert only(mails.complaint(**{missing: ""})).meaning == "unknown"


def test_the_draft_version_and_the_old_name_of_the_date_are_understood() -> None:
    """S125"""
    assert (
        only(mails.complaint(version="0.1", more="Received-Date: Mon, 3 Mar 2025 08:00:00 GMT\n")).meaning
        == "complaint"
    )


def test_an_address_that_is_used_no_more_is_pointed_out() -> None:
    raw = mails.reply("Auto", "This inbox is no longer in use. Write to sales.", Auto_Submitted="auto-replied")
    assert (only(raw).meaning, only(raw).hint) == ("auto-reply", "address retired")


def test_what_came_back_of_the_message_is_found_wherever_it_stands() -> None:
    for raw in (mails.dsn(), mails.qmail((ANNA, "550 no")), mails.exchange("550 5.1.1 no"), mails.complaint()):
        assert "nobody@example.com" in reading.read(raw).returned_ids
