"""What a check came to: in order, failed, or not known. Only what was seen to be wrong is a failure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Standing(StrEnum):
    ok = "ok"
    failed = "failed"
    not_known = "not known"


@dataclass(frozen=True, slots=True)
class Finding:
    """`words` say what was found, and how to mend it where it failed."""

    what: str
    standing: Standing
    words: str

    @classmethod
    def ok(cls, what: str, words: str) -> Self:
        return cls(what, Standing.ok, words)

    @classmethod
    def failed(cls, what: str, words: str) -> Self:
        return cls(what, Standing.failed, words)

    @classmethod
    def not_known(cls, what: str, words: str) -> Self:
        return cls(what, Standing.not_known, words)

    def __str__(self) -> str:
        return f"{self.what}: {self.words}"
