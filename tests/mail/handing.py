"""What the tests of handing over share: a letter, a journal that writes down its order, and one line to hand over."""

from collections.abc import Callable, Iterable
from typing import Any

from preference_center.mail import mime
from preference_center.mail.smtp import Courier, Envelope, Relay, Result


class Notes:
    """A journal in memory; what is in `lines` would outlive this process."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self._noted: list[tuple[Any, ...]] = []

    def dot(self, *keys: int) -> None:
        self._noted += [("dot", key) for key in keys]
        self.write()

    def reply(self, key: int, code: int) -> None:
        self._noted.append(("reply", key, code))

    def write(self) -> None:
        self.lines += self._noted
        self._noted.clear()


def letter(number: int = 0, text: str = "Hello\n") -> bytes:
    """A finished message."""
    headers = [
        ("From", mime.mailbox("News", "news@sender.example")),
        ("To", "somebody@c.example"),
        ("Subject", f"Letter {number}"),
        ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
        ("Message-ID", f"<{number}@sender.example>"),
    ]
    return mime.message(headers, text, f"<p>{text}</p>\n", boundary="=_b")


def to(*recipients: str, text: str = "Hello\n") -> list[Envelope]:
    """One envelope for each, keys counting from 0; a bare local part is at c.example."""
    return [
        Envelope(
            number,
            f"bounce-{number}@sender.example",
            recipient if "@" in recipient else f"{recipient}@c.example",
            letter(number, text),
            dotless=True,
        )
        for number, recipient in enumerate(recipients)
    ]


def quick(relay: Relay, **options: Any) -> Courier:
    """A courier with short times and one connection, unless told otherwise."""
    settings: dict[str, Any] = {
        "connections": 1,
        "journal": Notes(),
        "command_timeout": 5,
        "final_dot_timeout": 5,
        "message_deadline": 10,
    }
    return Courier(relay, **(settings | options))


def hand(
    courier: Courier, envelopes: Iterable[Envelope], may_start: Callable[[Envelope], bool] = lambda _: True
) -> dict[int, Result]:
    """All results by key; a second result for a key fails at once."""
    results: dict[int, Result] = {}
    for result in courier.hand_over(envelopes, may_start):
        assert result.key not in results, f"two results for {result.key}"
        results[result.key] = result
    return results


def send(relay: Relay, *recipients: str, text: str = "Hello\n", **options: Any) -> tuple[list[Result], Courier]:
    """Hand over to these recipients; the results in their order, and the closed courier to look at."""
    with quick(relay, **options) as courier:
        results = hand(courier, to(*recipients, text=text))
    return [results[number] for number in range(len(recipients))], courier
