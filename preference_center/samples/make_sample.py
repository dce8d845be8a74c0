"""Writes `customers.csv` anew: `python -m preference_center.samples.make_sample`. Run once; the file is part of the project.

A thousand customers as a shop of some years really has them: most agreed, and some never did, did not confirm, left, bounced or
complained; a few rows are damaged, doubled, or say "subscribed" without a day.
"""

import random
from pathlib import Path

from preference_center.samples import made_up

FILE = Path(__file__).parent / "customers.csv"
ROWS = 1000
_BROKEN = (
    "not-an-address",
    "two@at@example.com",
    "spaces in@example.com",
    "nobody@",
    "@example.org",
    "dot..dot@example.net",
    "ends-with-dot.@example.com",
    "comma,comma@example.com",
)


def rows() -> list[list[str]]:
    chance = random.Random(7)  # noqa: S311 (names, not secrets)
    made = list(made_up.people(ROWS - 12))
    subscribed = [row for row in made if row[8] == "subscribed"]
    special = chance.sample(subscribed, 18 + len(_BROKEN) + 3)
    for row in special[:18]:
        row[9] = ""  # says yes, and not since when
    for row, address in zip(special[18 : 18 + len(_BROKEN)], _BROKEN, strict=True):
        row[0] = address
    special[-3][1] = 'Anna "Ania"'
    special[-2][1] = "Jean-Luc"
    special[-1][5] = "San Cristóbal,\nTenerife"
    twice = [list(row) for row in chance.sample([row for row in subscribed if row not in special], 12)]
    for number, row in enumerate(twice):
        row[0] = row[0].upper() if number % 2 else row[0]
        row[7] = str(int(row[7]) + 100)
    for row in twice:
        made.insert(chance.randrange(len(made) // 2, len(made)), row)
    return made


def main() -> None:
    FILE.write_bytes(b"".join(map(made_up.line, [list(made_up.COLUMNS), *rows()])))


if __name__ == "__main__":
    main()
