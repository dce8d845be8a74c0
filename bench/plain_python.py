"""The plain Python way to send the newsletter: Jinja2, itsdangerous, EmailMessage, dkimpy and smtplib, as each is meant to be used.

It does what a signed mail of ours needs and no more: one rendering, two signed links, one signature; no database, no consent.
"""

import json
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from bench import newsletter

PROCESSES = 2
TOLERANCE = 0.03  # of the size: the same mail, or the comparison says nothing
_FOLDER = Path(__file__).resolve().parent.parent
_SENDER, _SITE = "news@sender.example", "https://mail.sender.example"
_BOX = "background-color:#f3f4f2;font-family:Helvetica,Arial,sans-serif;font-size:13px;line-height:20px;color:#40464a;"
_LINE = (
    f"display:block;margin:0 0 8px 0;text-align:center;{_BOX}visibility:visible;opacity:1;max-height:none;width:100%;"
)
_FOOT_HTML = (
    f'<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="{_LINE}"><tr>'
    f'<td align="center" bgcolor="#f3f4f2" style="padding:24px 16px;{_LINE}"><p style="{_LINE}">{{{{ why }}}}</p>'
    f'<p style="{_LINE}"><a href="{{{{ unsubscribe }}}}" style="color:#0b4f6c;text-decoration:underline;{_BOX}">Unsubscribe '
    f'from Product news</a> &middot; <a href="{{{{ preferences }}}}" style="color:#0b4f6c;text-decoration:underline;{_BOX}">'
    f'Choose what you get</a></p><p style="{_LINE}"><strong>Example Shop Ltd</strong><br>1 Long Street, 00-001 Warsaw, Poland'
    "</p></td></tr></table>\n"
)
_FOOT_TEXT = (
    "-- \n{{ why }}\n\nUnsubscribe from Product news:\n{{ unsubscribe }}\n\nChoose what you get:\n{{ preferences }}\n\n"
    "Example Shop Ltd\n1 Long Street, 00-001 Warsaw, Poland\n"
)


def rate(port: int, key: bytes, messages: int, size: int) -> float:
    """Messages a second of two processes with a kept connection each. `key`: RSA as PEM; `size`: octets that a mail should have.

    RuntimeError if it is smaller or larger by more than 3 %.
    """
    given = json.dumps({"port": port, "key": key.decode(), "messages": messages // PROCESSES, "size": size})
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.plain_python"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_FOLDER
        )
        for _ in range(PROCESSES)
    ]  # fmt: skip
    for run in runs:
        assert run.stdin is not None
        run.stdin.write(given)
        run.stdin.close()
    seconds = []
    for run in runs:
        assert run.stdout is not None
        said = run.stdout.read()
        if run.wait():
            raise RuntimeError("the plain Python way did not send: see what it says above")
        seconds.append(float(said))
    return messages / max(seconds)


def _send(port: int, key: str, messages: int, size: int) -> float:
    """Seconds for so many."""
    import smtplib

    import dkim
    from itsdangerous import URLSafeSerializer
    from jinja2 import Environment

    html = _template(
        Environment(autoescape=True), newsletter.html().replace("</body></html>", _FOOT_HTML + "</body></html>")
    )
    text = _template(Environment(autoescape=False), newsletter.text() + _FOOT_TEXT)
    subject = _template(Environment(autoescape=False), newsletter.SUBJECT)
    unsubscribe, manage = (URLSafeSerializer("a secret of the bench", salt) for salt in ("unsubscribe", "manage"))
    octets = 0
    with smtplib.SMTP("127.0.0.1", port) as relay:
        begun = time.perf_counter()
        for number, person in enumerate(newsletter.people(messages)):
            left = f"{_SITE}/u/{unsubscribe.dumps(['orcafer1nm7ot5ea', 'news', number])}"
            values = person["attributes"] | {
                "why": "You get this email because you agreed to “Product news” on 22 November 2026, through our sign-up form.",
                "unsubscribe": left,
                "preferences": f"{_SITE}/p/{manage.dumps(['orcafer1nm7ot5ea', 0])}",
            }
            mail = _email(
                person["email"], subject.render(values), text.render(values), html.render(values), left, number
            )
            data = mail.as_bytes().replace(b"\n", b"\r\n")
            data = dkim.sign(data, b"s", b"sender.example", key.encode()) + data
            relay.sendmail(_SENDER, [person["email"]], data)
            octets += len(data)
        seconds = time.perf_counter() - begun
    if abs(octets / messages - size) > TOLERANCE * size:
        sys.exit(f"a mail of plain Python has {octets // messages} octets, not about {size}: not the same mail")
    return seconds


def _template(environment: Any, source: str) -> Any:
    environment.filters["date"] = lambda day, _form: f"{date.fromisoformat(day):%d %B %Y}"
    return environment.from_string(source)


def _email(to: str, subject: str, text: str, html: str, unsubscribe: str, number: int) -> Any:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = f"Example Shop <{_SENDER}>", to, subject
    mail["Date"], mail["Message-ID"] = "Sun, 22 Nov 2026 10:00:00 +0000", f"<{number}@sender.example>"
    mail["List-Unsubscribe"] = f"<{unsubscribe}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    return mail


if __name__ == "__main__":
    print(_send(**json.load(sys.stdin)))
