"""What a refusal says of the address: judges a status code and the words beside it by the rule book in refusals.toml.

One book for all that is ever refused to us, whether a relay says it in SMTP, a bounce mail brings it, or a provider reports it.
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

TEXT_LIMIT = 2000  # words behind this decide nothing, so a long letter costs no more than a short one

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.\[#-])([45]\d\d)(?=[ \-#:,]|$)")
# also what `outcomes.clean` has put in an address's place
_ADDRESS = re.compile(r"\[address\]|[^\s<>\"'(),;:\[\]：，；（）]{1,150}@[^\s<>\"'(),;:\[\]：，；（）]{1,250}")
_IP = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?![.\d])")
_DEAD = {"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4"}
_OURS = {"5.1.7", "5.1.8"}
# what says nothing in particular, so a more exact code within the words is believed instead
_GENERIC = {"0.0", "1.0", "2.0", "3.0", "4.0", "5.0", "6.0", "7.0", "7.1", "4.7", "5.3", "4.1"}
_FLAT = str.maketrans(
    {"ł": "l", "ı": "i", "ø": "o", "đ": "d", "’": "'", "‘": "'", "´": "'", "<": " ", ">": " ", '"': " "}
)


class Verdict(StrEnum):
    hard = "hard"  # the address is dead
    soft = "soft"  # it may work another day
    block = "block"  # refused for who we are or what we sent
    none = "none"  # no refusal at all


@dataclass(frozen=True)
class Rule:
    """Some words and what they mean. See the head of refusals.toml."""

    verdict: Verdict
    why: str
    words: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]
    not_class: frozenset[int]

    def fits(self, text: str, subject: int | None) -> bool:
        return (
            subject not in self.not_class
            and any(words.search(text) for words in self.words)
            and not any(words.search(text) for words in self.unless)
        )


@dataclass(frozen=True)
class Judgement:
    """A verdict and why: the rule that its words met (`by_words`), or the status code alone."""

    verdict: Verdict
    why: str
    by_words: bool
    status: str | None  # the code it went by


def classify(status: str | None, text: str, smtp_code: int | None = None) -> Verdict:
    """What was meant by an enhanced status code (RFC 3463), the words that came with it, and the reply code of SMTP."""
    return judge(status, text, smtp_code).verdict


def judge(status: str | None, text: str, smtp_code: int | None = None) -> Judgement:
    """The same with its reason."""
    return _judge(status, flat(text[:TEXT_LIMIT]), smtp_code)


@lru_cache(maxsize=4096)  # one cause makes the same words for many addresses
def _judge(status: str | None, text: str, smtp_code: int | None) -> Judgement:
    text = _noise().sub(" ", text)
    code = _exact(status, text)
    lasting = _is_lasting(code, text, smtp_code)
    if code and code.startswith("2."):
        return Judgement(Verdict.none, "a success", False, code)
    subject = int(code.split(".")[1]) if code else None
    for rule in _book():
        if rule.fits(text, subject):
            if rule.verdict is Verdict.hard and not lasting:
                return Judgement(Verdict.soft, f"{rule.why}, but only for now", True, code)
            return Judgement(rule.verdict, rule.why, True, code)
    return Judgement(_by_code(code, lasting), "by its code" if code else "nothing known was said", False, code)


def _by_code(code: str | None, lasting: bool) -> Verdict:
    if code is None:
        return Verdict.soft
    if code in _OURS or code.split(".")[1] == "7":
        return Verdict.block
    if not lasting:
        return Verdict.soft
    if code in _DEAD:
        return Verdict.hard
    return Verdict.block if code.split(".")[1] in "56" else Verdict.soft


def _exact(status: str | None, text: str) -> str | None:
    """The code to go by: the one given, unless it is generic and the words hold a better one."""
    given = _STATUS.search(status or "")
    if given and f"{int(given[2])}.{int(given[3])}" not in _GENERIC:
        return f"{given[1]}.{int(given[2])}.{int(given[3])}"
    for found in _STATUS.finditer(text):
        detail = f"{int(found[2])}.{int(found[3])}"
        if found[1] != "2" and (given is None or detail not in _GENERIC):
            return f"{found[1]}.{detail}"
    return f"{given[1]}.{int(given[2])}.{int(given[3])}" if given else None


def _is_lasting(code: str | None, text: str, smtp_code: int | None) -> bool:
    """Whether it was said for good; the server's own reply outranks what another program made of it."""
    replies = [smtp_code] if smtp_code is not None else [int(found) for found in _REPLY.findall(text)]
    replies = [reply for reply in replies if 400 <= reply < 600]
    if replies:
        return max(replies) >= 500
    # 4.0.0 without a reply is what large hosts give up with, for whatever reason: then the words decide
    return code == "4.0.0" or not (code or "5").startswith("4")


def flat(text: str) -> str:
    """Small letters without accents, one space between words, `@` for every address and `#ip` for one of a host."""
    if "@" in text or "[address]" in text:
        text = _ADDRESS.sub("@", text)
    text = _IP.sub("#ip", text.casefold())
    if not text.isascii():
        text = without_accents(text)
    return " ".join(text.translate(_FLAT).split())


def without_accents(text: str) -> str:
    return re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", text))


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(files("preference_center.mail").joinpath("refusals.toml").read_text(encoding="utf-8"))


@cache
def _noise() -> re.Pattern[str]:
    return re.compile("|".join(_data()["noise"]))


@cache
def _book() -> tuple[Rule, ...]:
    terms: dict[str, str] = _data()["terms"]

    def compiled(words: list[str]) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(without_accents(_filled(each, terms))) for each in words)

    return tuple(
        Rule(
            Verdict(rule["verdict"]),
            rule["why"],
            compiled(rule["words"]),
            compiled(rule.get("unless", [])),
            frozenset(rule.get("not_class", [])),
        )
        for rule in _data()["rule"]
    )


def _filled(words: str, terms: dict[str, str]) -> str:
    for name, term in terms.items():
        words = words.replace(f"{{{name}}}", term)
    return words
