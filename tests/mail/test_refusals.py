"""The rule book: what servers say when they refuse, and what it means for the address."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.mail import refusals
from preference_center.mail.refusals import Verdict

HARD, SOFT, BLOCK, NONE = Verdict.hard, Verdict.soft, Verdict.block, Verdict.none


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        ("5.1.1", HARD), ("5.1.2", HARD), ("5.1.3", HARD), ("5.1.0", HARD), ("5.1.6", HARD), ("5.1.10", HARD), ("5.4.4", HARD),
        ("5.1.7", BLOCK), ("5.1.8", BLOCK), ("5.7.1", BLOCK), ("5.7.26", BLOCK), ("4.7.0", BLOCK), ("5.6.7", BLOCK),
        ("5.5.2", BLOCK), ("5.2.2", SOFT), ("5.2.1", SOFT), ("5.2.3", SOFT), ("5.3.4", SOFT), ("5.3.0", SOFT), ("5.4.6", SOFT),
        ("4.1.1", SOFT), ("4.4.7", SOFT), ("4.2.2", SOFT), ("5.0.0", SOFT), (None, SOFT), ("2.1.5", NONE),
    ],
)  # fmt: skip
def test_a_code_alone_is_judged_by_its_subject_and_detail(status: str | None, meant: Verdict) -> None:
    assert refusals.classify(status, "") is meant


SAID = {
    "a code that says nothing, words that do": ("5.0.0", "550 5.0.0 no such mailbox", HARD),
    "policy code, dead address": ("5.7.1", "550 5.7.1 <anna@harbour.example>: user does not exist here", HARD),
    "two words": (None, "550 user unknown", HARD),
    "many words between": (None, "550 The mail account you have been trying to write to does not exist", HARD),
    "resolver": ("5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by address lookup", HARD),
    "edge rejects unknown people": ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied. AS(1) [x.example]", HARD),
    "a relay's own rule, not the address": ("5.7.1", "554 5.7.1 Recipient address rejected: Access denied", BLOCK),
    "the half-sentence of a large provider": ("5.5.0", "550 Requested action not taken: mailbox unavailable (S2017)", HARD),
    "switched off": ("5.2.1", "550 5.2.1 The account of this person is disabled", HARD),
    "unknown under 5.2.1": ("5.2.1", "550 5.2.1 User Unknown", HARD),
    "closed": (None, "554 Sorry, this mailbox has been closed.", HARD),
    "left": (None, "550 Jan Kowalski has left the company", HARD),
    "moved": ("5.0.0", "551 user has moved to another server", HARD),
    "no such domain": ("5.4.4", "Host or domain name not found. Name service error for name=x.example type=A", HARD),
    "given up without a reply": ("4.0.0", "DNS Error: MX lookup of harbour.example responded with code NXDOMAIN", HARD),
    "given up with one": ("4.0.0", "452 4.1.1 user unknown", SOFT),
    "given up, and nobody knows why": ("4.0.0", "no relevant answers", SOFT),
    "null MX": (None, "Domain harbour.example does not accept mail (nullMX)", HARD),
    "token of a script": (None, "550 NoSuchUser anna", HARD),
    "not in the directory": (None, "User anna (anna@harbour.example) not listed in Domino Directory", HARD),
    "nobody by that name": (None, "Sorry, no mailbox here by that name. (#5.1.1)", HARD),
    "unrouteable": (None, "550 unrouteable address", HARD),
    "German": (None, "550 Empfänger unbekannt", HARD),
    "French": (None, "550 5.1.1 Adresse du destinataire inexistante", HARD),
    "Spanish": (None, "550 El usuario no existe en este servidor", HARD),
    "Portuguese": (None, "550 Caixa postal inexistente", HARD),
    "Polish": (None, "550 Użytkownik nie istnieje", HARD),
    "Italian": (None, "550 Casella inesistente", HARD),
    "Russian": (None, "550 Такого ящика нет: пользователь не найден", HARD),
    "Chinese": (None, "550 收件人不存在", HARD),
    "Japanese": (None, "宛先のユーザーは存在しません", HARD),
    "full": ("5.1.1", "550 5.1.1 mailbox is full", SOFT),
    "over quota": (None, "552 The person you write to is over their quota", SOFT),
    "quota in Spanish": (None, "552 Buzón lleno", SOFT),
    "quota in Polish": (None, "552 Skrzynka odbiorcy jest pełna", SOFT),
    "quota in Japanese": (None, "552 メールボックスがいっぱいです", SOFT),
    "too large": ("5.3.4", "552 5.3.4 Message size exceeds fixed limit", SOFT),
    "greylisted": ("4.7.1", "450 4.7.1 <anna@harbour.example>: Recipient address rejected: Greylisted, see later", SOFT),
    "dead only for now": ("4.1.1", "450 4.1.1 User unknown in local recipient table", SOFT),
    "resting for now": (None, "550 The mailbox is temporarily disabled", SOFT),
    "rates": (None, "452 4.2.1 this mailbox is receiving mail at a rate that prevents more", SOFT),
    "nothing to go by": (None, "550 no", SOFT),
    "on a list": ("5.7.1", "550 5.7.1 Client host [192.0.2.7] blocked using zen.spamhaus.example", BLOCK),
    "address of a host on a list": (None, "550 Access from ip address 192.0.2.7 blocked", BLOCK),
    "spam": ("5.0.0", "554 5.0.0 this looks like spam to us", BLOCK),
    "unsigned": ("5.7.26", "550 5.7.26 unauthenticated mail from example.com is not accepted, see DMARC", BLOCK),
    "no name": ("4.7.25", "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.7]", BLOCK),
    "edge rejects all of them": ("5.4.1", "550 5.4.1 All recipient addresses rejected : Access denied", HARD),
    "unavailable or denied": (None, "550 Mailbox unavailable or access denied - <anna@harbour.example>", HARD),
    "expired": ("5.2.1", "550 5.2.1 user account has expired", HARD),
    "not on this system": (None, "550 recipient not on this system", HARD),
    "not on qmail's list": (None, "553 sorry, this recipient is not in my validrcptto list (#5.7.1)", HARD),
    "domain, in a contraction": (None, "It bounced because the domain harbour.example couldn't be found.", HARD),
    "a store without its database": ("5.3.2", "550 5.3.2 STOREDRV; Missing or bad mailbox Database properties", SOFT),
    "a user of ours is looked for": (None, "550 Authentication required: user not found", BLOCK),
    "our local part doubted": (None, "550 unknown local part in sender address", BLOCK),
    "we are not known": ("5.7.1", "550 5.7.1 sender is not a known user", BLOCK),
    "nobody unknown may write": (None, "550 the recipient is not accepting mail from unknown senders", BLOCK),
    "where we wrote from": (None, "550 the address you sent from is not valid", BLOCK),
    "a name in our hello": (None, "550 unknown host in your HELO", BLOCK),
    "an address in our header": ("5.6.0", "550 5.6.0 invalid header: To address not valid", BLOCK),
    "our domain's SPF": ("5.7.1", "550 5.7.1 rejected, SPF fail; domain not found", BLOCK),
    "our domain doubted": ("5.1.8", "553 5.1.8 Sender address rejected: Domain not found", BLOCK),
    "our address doubted": ("5.1.1", "550 5.1.1 Sender verify failed: no such user here", BLOCK),
    "before the recipient": (None, "host mx.example said: 550 unknown domain (in reply to MAIL FROM command)", BLOCK),
    "no relay": ("5.7.1", "550 5.7.1 <anna@harbour.example>... Relaying denied", BLOCK),
    "restricted": ("5.7.1", "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required", BLOCK),
    "virus": (None, "554 a virus was found in your mail", BLOCK),
    "wrapped by another program": ("5.0.0", "5.1.0 - Unknown address error 550-'5.7.1 Access denied'", BLOCK),
}  # fmt: skip


@pytest.mark.parametrize(("status", "words", "meant"), SAID.values(), ids=SAID)
def test_words_decide_where_they_say_something(status: str | None, words: str, meant: Verdict) -> None:
    assert refusals.classify(status, words) is meant, refusals.judge(status, words).why


def test_the_words_of_an_address_decide_nothing() -> None:
    assert refusals.classify("5.2.2", "552 5.2.2 <user.unknown@no-such-user.example>") is SOFT


def test_the_reply_code_says_whether_it_is_for_good() -> None:
    assert refusals.classify(None, "user unknown", 550) is HARD
    assert refusals.classify(None, "user unknown", 450) is SOFT


def test_each_rule_of_the_book_tells_its_reason_and_where_it_was_seen() -> None:
    rules = refusals._data()["rule"]
    assert all(rule["why"] and rule["seen"] and rule["words"] for rule in rules)
    assert {rule["verdict"] for rule in rules} == {"hard", "soft", "block"}


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=4000), status=st.one_of(st.none(), st.from_regex(r"[245]\.\d\.\d{1,3}", fullmatch=True)))
def test_any_text_is_judged(text: str, status: str | None) -> None:
    assert refusals.classify(status, text) in Verdict


@pytest.mark.parametrize(
    "word",
    ["user ", "mailbox unknown or ", "from: ", "sender ", "a" * 50, "@", "5.1.1 ", "no ", "域", "<<< >>> mail from:"],
)
def test_no_text_takes_long(word: str) -> None:
    """S127: patterns over words that anybody may have chosen."""
    started = time.process_time()
    refusals.classify(None, word * 20_000)
    assert time.process_time() - started < 1
