"""The check of `doctor` for what comes back by mail."""

from preference_center.config import Settings
from preference_center.errors import Unavailable

_REFUSED = (
    "{} mails in the mailbox are tried again and again: its server does not hand them out, or does not mark them as fetched. "
    "What is new comes first, so nothing waits behind them. Move them elsewhere by hand; see docs/mailbox.md."
)


def look(settings: Settings) -> tuple[bool, str]:
    """Whether bounces and unsubscribe mails are read, and a line about it."""
    ways = [f"taken at {settings.mailbox_listen}"] if settings.mailbox_listen else []
    if settings.mailbox_url:
        from preference_center.webhooks import imap

        try:
            there = imap.look(imap.Account.at(settings.mailbox_url), settings.data_dir)
        except Unavailable as trouble:
            return False, trouble.message
        if there.tried:
            return False, _REFUSED.format(there.tried)
        ways.append(f"fetched by IMAP (now {there.mails} mails there)")
    if ways:
        return True, f"bounces and unsubscribe mails are {' and '.join(ways)}."
    return (
        False,
        "nothing here reads bounces and unsubscribe mails, unless your mail server pipes them to `events mail`. "
        "Set PREFERENCE_CENTER_MAILBOX_URL or PREFERENCE_CENTER_MAILBOX_LISTEN; see docs/mailbox.md.",
    )
