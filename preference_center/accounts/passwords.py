"""What a password must be: long, and not one that everybody tries. No rules about digits and signs (ASVS V6.2)."""

from functools import cache
from itertools import pairwise
from pathlib import Path
from unicodedata import normalize

from flask_security.utils import hash_password

from preference_center.accounts.models import User
from preference_center.errors import Invalid

SHORTEST, RECOMMENDED, LONGEST = 12, 15, 200
_LIST = Path(__file__).with_name(
    "common_passwords.txt"
)  # those of 12 characters or more, from the leaked ones most used


def set_password(user: User, password: str) -> None:
    """Invalid, with words for the form, when the password would be guessed."""
    fault = fault_of(password, user.email)
    if fault:
        raise Invalid(fault, {"password": fault})
    user.password = hash_password(normalize("NFKC", password))


def fault_of(password: str, email: str) -> str | None:
    text = normalize("NFKC", password).casefold()
    if len(text) < SHORTEST:
        return f"Use at least {SHORTEST} characters; {RECOMMENDED} or more is better. Four words make a good one."
    if len(text) > LONGEST:
        return f"Use at most {LONGEST} characters."
    if text in _common() or len(set(text)) < 5 or _counts(text):
        return "This password is on every guesser's list. Choose another."
    names = [part for part in (email.partition("@")[0], email.partition("@")[2].partition(".")[0]) if len(part) > 3]
    rest = text
    for name in [*names, "preference", "center", "password"]:
        rest = rest.replace(name.casefold(), "")
    if len(rest) < 8:
        return "This password is mostly your name or ours. Choose another."
    return None


def _counts(text: str) -> bool:
    """Whether it mostly counts up, down or in place: 123456789012, zyxwvutsrqpo, aaaabbbbcccc."""
    steps = [abs(ord(a) - ord(b)) <= 1 for a, b in pairwise(text)]
    return sum(steps) > 0.7 * len(steps)


@cache
def _common() -> frozenset[str]:
    return frozenset(_LIST.read_text(encoding="utf-8").split())
