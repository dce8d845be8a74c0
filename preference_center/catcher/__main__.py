"""`python -m preference_center.catcher smtp` catches what is sent to RELAY_URL; `… pages PORT` shows it."""

import asyncio
import signal
import sys
from urllib.parse import urlsplit

from preference_center import config
from preference_center.catcher import smtp
from preference_center.catcher.store import Inbox
from preference_center.config import Settings


def main(arguments: list[str]) -> None:
    settings = config.read()
    if arguments[:1] == ["smtp"]:
        asyncio.run(_catch(settings))
    elif arguments[:1] == ["pages"]:
        from preference_center.serving import serve

        serve("preference_center.catcher.pages:site", "127.0.0.1", int(arguments[1]), threads=2)
    else:
        sys.exit("Name what to run: smtp, or pages and a port.")


async def _catch(settings: Settings) -> None:
    relay = urlsplit(settings.relay_url)
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    inbox = Inbox(settings.data_dir / "inbox")
    await smtp.serve(inbox, relay.hostname or "127.0.0.1", relay.port or 25, stop=stop)


if __name__ == "__main__":
    main(sys.argv[1:])
