"""Slows down whoever guesses passwords or codes, by account and network, and never locks a user out by a stranger's doing.

Limits (ASVS V6.1.1): 5 failures of one network at one account in 15 minutes; 30 of one network at any accounts in 15 minutes.
"""

import ipaddress
from datetime import timedelta

from sqlalchemy import delete, func, select

from preference_center import clock
from preference_center.accounts.keyed import keyed
from preference_center.accounts.models import FailedSignIn
from preference_center.db import db
from preference_center.errors import DomainError

WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_NETWORK = 5
PER_NETWORK = 30
KEPT = timedelta(days=1)


class TooManyAttempts(DomainError):
    """Wait until the window has passed."""


def check(email: str, network: str) -> None:
    """TooManyAttempts when this network has failed too often."""
    account, place = _keys(email, network)
    lately = (FailedSignIn.network == place, FailedSignIn.at > clock.now() - WINDOW)
    count = select(func.count()).select_from(FailedSignIn).where(*lately)
    at_this_account = db.session.scalar(count.where(FailedSignIn.account == account)) or 0
    if at_this_account >= PER_ACCOUNT_AND_NETWORK or (db.session.scalar(count) or 0) >= PER_NETWORK:
        raise TooManyAttempts("Too many attempts. Wait 15 minutes and try again.")


def note_failure(email: str, network: str) -> None:
    account, place = _keys(email, network)
    now = clock.now()
    db.session.execute(delete(FailedSignIn).where(FailedSignIn.at < now - KEPT))
    db.session.add(FailedSignIn(account=account, network=place, at=now))


def forget(email: str, network: str) -> None:
    """A full sign-in succeeded: earlier slips of this person here no longer count."""
    account, place = _keys(email, network)
    db.session.execute(delete(FailedSignIn).where(FailedSignIn.account == account, FailedSignIn.network == place))


def _keys(email: str, network: str) -> tuple[bytes, bytes]:
    return keyed("account", email.strip().casefold()[:254]), keyed("network", whole(network))


def whole(network: str) -> str:
    """What one customer of a provider has: an IPv4 address, or a /64 of IPv6."""
    try:
        address = ipaddress.ip_address(network)
    except ValueError:
        return network
    if isinstance(address, ipaddress.IPv4Address):
        return network
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), 64), strict=False).network_address)
