"""How long 1,000 mails that came back take to be read on one core: every shape the tests know, and the shared samples if at hand.

Each mail names other hosts and people. `cold`: with everything forgotten that the rule book remembers of the mails before; the limit of
two seconds (S128) is for that one.
"""

import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from preference_center.mail import refusals  # noqa: E402
from preference_center.webhooks.reports import reading  # noqa: E402
from tests.support.bounces import mails  # noqa: E402

MAILS, LIMIT = 1000, 2.0
SHARED = HERE.parent.parent / "shared" / "bounces"


def samples() -> list[bytes]:
    made = [
        mails.dsn(), mails.dsn("5.0.0", ""), mails.dsn("5.7.1", "550 5.7.1 refused as spam"),
        mails.qmail((mails.ANNA, "550 user unknown")), mails.exim((mails.ANNA, "552 mailbox is full")),
        mails.exchange("550 5.1.10 RESOLVER.ADR.RecipientNotFound"), mails.letter("Nobody can say why it failed."),
        mails.complaint(), mails.reply("Automatic reply: spring"), mails.reply("Do you have it in blue?"),
    ]  # fmt: skip
    return made + [file.read_bytes() for file in sorted(SHARED.glob("*.eml"))]


def main() -> int:
    kinds = samples()
    raws = [kinds[n % len(kinds)].replace(b"harbour", b"h%d" % n).replace(b"example", b"e%d" % n) for n in range(MAILS)]
    reading.read(kinds[0])  # the rule book is read once in a process
    warm, cold = spent(raws, forget=False), spent(raws, forget=True)
    figures = {"mails": MAILS, "kinds": len(kinds), "cpu_seconds": round(warm, 2), "cold_cpu_seconds": round(cold, 2)}
    print(json.dumps(figures))
    return 0 if cold < LIMIT else 1


def spent(raws: list[bytes], *, forget: bool) -> float:
    begun = time.process_time()
    for raw in raws:
        if forget:
            refusals._judge.cache_clear()
        reading.read(raw)
    return time.process_time() - begun


if __name__ == "__main__":
    sys.exit(main())
