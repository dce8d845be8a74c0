"""Sending as it is, side by side with smtp-source, OpenSSL and plain Python in the same rounds; prints ratios as JSON.

python bench/send.py [G1 G2 …] [--rounds 5] [--messages 20000]

Everything is on: PostgreSQL, two RQ workers, the judge in each claim, rows, journal, return-path tokens, all headers.
Read the ratios, not the rates: each is the median of paired rounds. `yardsticks.py` says which programs are needed.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import newsletter, plain_python, sending_house, yardsticks
from bench.sending_house import SendingHouse
from preference_center.mail import dkim, mime
from preference_center.mail.outcomes import Envelope
from preference_center.mail.relay import Relay
from preference_center.mail.smtp import Courier

Measured = tuple[float, float, float]  # the ratio, our rate and theirs


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("which", nargs="*", help=f"of {', '.join(MEASURES)}; all without any")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--messages", type=int, default=20_000)
    chosen = arguments.parse_args()
    if lost := yardsticks.missing():
        print(lost, file=sys.stderr)
    for name in [name for name in MEASURES if not chosen.which or name in chosen.which]:
        measure, needs = MEASURES[name]
        if all(yardsticks.tool(program) for program in needs):
            print(json.dumps({"what": name} | measure(chosen.rounds, chosen.messages)), flush=True)


def g1(rounds: int, messages: int) -> dict[str, Any]:
    """The whole path, unsigned, into smtp-sink, to smtp-source -d -s 16."""
    with yardsticks.smtp_sink() as port, _house(port, messages) as house:
        return _paired(rounds, lambda: house.rate(messages), lambda: yardsticks.smtp_source(port, messages), house)


def g2(rounds: int, messages: int, *, in_flight: int) -> dict[str, Any]:
    """The whole path, unsigned, into a sink with CHUNKING, to smtp-source -d -s 16. With one in flight DATA is spoken."""
    with yardsticks.chunking_sink() as port, _house(port, messages, in_flight=in_flight) as house:
        return _paired(rounds, lambda: house.rate(messages), lambda: yardsticks.smtp_source(port, messages), house)


def g3(rounds: int, messages: int) -> dict[str, Any]:
    """The whole path with DKIM RSA-2048, to the signatures OpenSSL makes on both cores."""
    with yardsticks.chunking_sink() as port, _house(port, messages, signed=True, in_flight=IN_FLIGHT) as house:
        return _paired(rounds, lambda: house.rate(messages), yardsticks.rsa_signatures, house)


def g6(rounds: int, messages: int) -> dict[str, Any]:
    """The whole path signed, two processes, to the same mail by Jinja2, EmailMessage, dkimpy and smtplib, two processes."""
    key = dkim.generate_key("rsa")

    def plain() -> float:
        return plain_python.rate(port, key, 300, yardsticks.SIZE)

    with yardsticks.chunking_sink() as port, _house(port, messages, signed=True, in_flight=IN_FLIGHT) as house:
        return _paired(rounds, lambda: house.rate(messages), plain, house)


def g7(rounds: int, messages: int, *, chunking: bool) -> dict[str, Any]:
    """One connection, replies 20 ms late, to smtplib with a connection a message."""
    options = ("--delay-ms", "20", *(["--chunking"] if chunking else []))
    data = mime.message([("From", "a@sender.example")], newsletter.text(), newsletter.html(), boundary="=_b")
    with yardsticks.own_sink(*options) as port:
        relay = Relay.from_url(f"smtp://127.0.0.1:{port}" + (f"?in_flight={IN_FLIGHT}" if chunking else ""))

        def ours() -> float:
            count = 400 if chunking else 100
            begun = time.perf_counter()
            with Courier(relay, connections=1, journal=sending_house.NoJournal()) as courier:
                envelopes = (Envelope(n, "a@sender.example", "b@c.example", data, dotless=True) for n in range(count))
                assert (
                    sum(result.outcome == "accepted" for result in courier.hand_over(envelopes, lambda _: True))
                    == count
                )
            return count / (time.perf_counter() - begun)

        return _paired(rounds, ours, lambda: yardsticks.connection_a_message(port, data, 20))


def g8(rounds: int, messages: int) -> dict[str, Any]:
    """What RQ costs: of the workers' time while 100,000 messages leave, the part in which no run was under way."""
    with yardsticks.own_sink("--chunking") as port, _house(port, 5 * messages) as house:
        shares = []
        for _ in range(max(1, rounds // 5)):
            house.rate(5 * messages)
            shares.append(house.share_outside_runs())
    return {"messages": 5 * messages, "percent_outside_runs": round(100 * statistics.median(shares), 2), "aim": "< 1"}


def g10(rounds: int, messages: int, *, postgresql: bool) -> dict[str, Any]:
    """The share of one sender's time that it waits for or works on the database."""
    with yardsticks.own_sink("--chunking") as port, tempfile.TemporaryDirectory() as folder:
        shares = sending_house.database_shares(Path(folder), port, messages, rounds, postgresql=postgresql)
    return {
        "percent_of_time": round(100 * statistics.median(shares), 1),
        "rounds": [round(100 * share, 1) for share in shares],
        "aim": "≤ 25" if postgresql else "≤ 10",
    }


def _house(port: int, messages: int, *, signed: bool = False, in_flight: int = 1) -> SendingHouse:
    return SendingHouse(f"smtp://127.0.0.1:{port}?in_flight={in_flight}", messages, signed=signed)


def _paired(
    rounds: int, ours: Callable[[], float], theirs: Callable[[], float], house: SendingHouse | None = None
) -> dict[str, Any]:
    """Ours and theirs by turns; the median of the rounds' ratios."""
    done: list[Measured] = []
    for _ in range(rounds):
        our_rate, their_rate = ours(), theirs()
        done.append((our_rate / their_rate, our_rate, their_rate))
    found: dict[str, Any] = {"ratio": round(statistics.median(ratio for ratio, _, _ in done), 3)}
    if house is not None:
        found["cpu_us_a_message"] = house.cpu_a_message()
    return found | {
        "rounds": [round(ratio, 3) for ratio, _, _ in done],
        "ours_a_second": [round(rate) for _, rate, _ in done],
        "theirs_a_second": [round(rate) for _, _, rate in done],
    }


IN_FLIGHT = 8
_POSTFIX = ("smtp-source", "smtp-sink")
MEASURES: dict[str, tuple[Callable[[int, int], dict[str, Any]], tuple[str, ...]]] = {
    "G1": (g1, _POSTFIX),
    "G2": (lambda rounds, messages: g2(rounds, messages, in_flight=IN_FLIGHT), _POSTFIX[:1]),
    "G2-DATA": (lambda rounds, messages: g2(rounds, messages, in_flight=1), _POSTFIX[:1]),
    "G3": (g3, ("openssl",)),
    "G6": (g6, ()),
    "G7-DATA": (lambda rounds, messages: g7(rounds, messages, chunking=False), ()),
    "G7-CHUNKING": (lambda rounds, messages: g7(rounds, messages, chunking=True), ()),
    "G8": (g8, ()),
    "G10-SQLite": (lambda rounds, messages: g10(rounds, messages, postgresql=False), ()),
    "G10-PostgreSQL": (lambda rounds, messages: g10(rounds, messages, postgresql=True), ()),
}

if __name__ == "__main__":
    main()
