"""Mails that come back, made up for the tests: one builder for each shape that programs give them."""

HOST = "mx.harbour.example"
US = "bounce+m@news.example.com"
ANNA = "anna@harbour.example"
RETURNED = (
    "Return-Path: <{us}>\nReceived: from out.news.example.com by relay.example.com; Mon, 3 Mar 2025 08:00:00 +0000\n"
    "Message-ID: <{message_id}>\nFrom: Example Shop <news@example.com>\nTo: {to}\nSubject: Spring is here\n"
    "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
)


def head(subject: str, to: str = US, sender: str = f"Mail Delivery System <MAILER-DAEMON@{HOST}>", **more: str) -> str:
    """The header of a mail that comes back, with a null return path."""
    lines = {
        "Return-Path": "<>",
        "From": sender,
        "To": to,
        "Subject": subject,
        "Message-ID": f"<{subject[:3]}1@{HOST}>",
    }
    lines |= {"Date": "Mon, 3 Mar 2025 08:01:00 +0000", "MIME-Version": "1.0"}
    lines |= {name.replace("_", "-"): value for name, value in more.items()}
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def returned(message_id: str = "nobody@example.com", to: str = ANNA, us: str = US) -> str:
    return RETURNED.format(message_id=message_id, to=to, us=us)


def parts(report: str, *pieces: tuple[str, str]) -> str:
    """A multipart/report of these (header lines, text)."""
    body = "".join(f"--=_b\n{headers}\n\n{text}\n\n" for headers, text in pieces)
    return (
        f'Content-Type: multipart/report; report-type={report}; boundary="=_b"\n\nfor old programs\n\n{body}--=_b--\n'
    )


def dsn(
    status: str = "5.1.1",
    diagnostic: str = "550 5.1.1 No such user",
    recipient: str = ANNA,
    action: str = "failed",
    *,
    more: str = "",
    words: str = "Your mail did not arrive.",
    to: str = US,
    message_id: str = "nobody@example.com",
    original: str = "",
    kind: str = "message/delivery-status",
) -> bytes:
    """A delivery status notification (RFC 3464). `more`: further blocks of recipients."""
    fields = f"Final-Recipient: rfc822; {recipient}\n"
    fields += f"Original-Recipient: {original}\n" if original else ""
    fields += f"Action: {action}\nStatus: {status}\n"
    fields += f"Diagnostic-Code: smtp; {diagnostic}\n" if diagnostic else ""
    text = head("Undelivered mail", to) + parts(
        "delivery-status",
        ("Content-Type: text/plain; charset=utf-8", words),
        (
            f"Content-Type: {kind}",
            f"Reporting-MTA: dns; {HOST}\nArrival-Date: Mon, 3 Mar 2025 08:00:30 +0000\n\n{fields}{more}",
        ),
        ("Content-Type: message/rfc822", returned(message_id) + "\nIt is spring.\n"),
    )
    return text.encode()


def qmail(*said: tuple[str, str]) -> bytes:
    """As qmail tells it: a letter, recipients in angle brackets, what was said below."""
    blocks = "\n".join(f"<{recipient}>:\n{words}\n" for recipient, words in said)
    text = head("failure notice") + (
        f"\nHi. This is the qmail-send program at {HOST}.\nI could not hand these on. This is a permanent error.\n\n"
        f"{blocks}\n--- Below this line is a copy of the message.\n\n{returned()}\nIt is spring.\n"
    )
    return text.encode()


def exim(*said: tuple[str, str]) -> bytes:
    """As Exim tells it: indented recipients, and a folded header that names them."""
    names = ",\n  ".join(recipient for recipient, _ in said)
    blocks = "".join(f"  {recipient}\n    {words}\n" for recipient, words in said)
    text = head("Mail delivery failed", X_Failed_Recipients=names, Auto_Submitted="auto-replied") + (
        f"\nA mail that you wrote could not be delivered to some of its recipients:\n\n{blocks}\n"
        f"------ This is a copy of the message, including all the headers. ------\n\n{returned()}\nIt is spring.\n"
    )
    return text.encode()


def exchange(words: str, recipient: str = ANNA) -> bytes:
    """Says that it holds a status part, and holds none; the words are quoted-printable."""
    text = head("Undeliverable: Spring is here", sender=f"<postmaster@{HOST}>") + parts(
        "delivery-status",
        (
            "Content-Type: text/plain; charset=Windows-1252\nContent-Transfer-Encoding: quoted-printable",
            f"Delivery has failed to these recipients:\n\n{recipient}\nThe address wasn=92t found.\n\n"
            f"Diagnostic information:\n\n{recipient}\nRemote Server returned '{words}'\n\nOriginal message headers:\n\n"
            + returned().replace("=", "=3D"),
        ),
    )
    return text.encode()


def letter(words: str, subject: str = "Delivery failure", charset: str = "utf-8") -> bytes:
    """A bounce in free words."""
    opening = head(subject) + f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n"
    return opening.encode() + f"{words}\n\n{returned()}\nIt is spring.\n".encode(charset)


def complaint(
    kind: str = "abuse",
    recipient: str | None = ANNA,
    *,
    version: str = "1",
    agent: str = "Harbour-FBL/1.0",
    to: str = "fbl@example.com",
    message_id: str = "nobody@example.com",
    us: str = US,
    more: str = "",
) -> bytes:
    """A report in the abuse reporting format (RFC 5965). Without a recipient it is redacted."""
    fields = f"Feedback-Type: {kind}\n" + (f"User-Agent: {agent}\n" if agent else "")
    fields += (f"Version: {version}\n" if version else "") + "Source-IP: 192.0.2.7\n" + more
    fields += f"Original-Rcpt-To: <{recipient}>\n" if recipient else "Original-Rcpt-To: redacted\n"
    shown = recipient or "redacted@harbour.example"
    text = head("FW: Spring is here", to, f"Harbour Feedback <feedback@{HOST}>") + parts(
        "feedback-report",
        ("Content-Type: text/plain", "A person pressed a button."),
        ("Content-Type: message/feedback-report", fields),
        ("Content-Type: message/rfc822", returned(message_id, shown, us) + "\nIt is spring.\n"),
    )
    return text.encode()


def reply(subject: str, words: str = "I am back on Monday.", to: str = US, **more: str) -> bytes:
    """A mail that a person or their program wrote."""
    text = head(subject, to, f"Anna <{ANNA}>", **more) + f"Content-Type: text/plain; charset=utf-8\n\n{words}\n"
    return text.encode()
