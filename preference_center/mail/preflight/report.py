"""All checks of one installation, in order. Never inside a transaction."""

import ipaddress

from preference_center.config import Settings
from preference_center.mail.preflight import dmarc, hosts, keys, spf
from preference_center.mail.preflight.findings import Finding
from preference_center.mail.preflight.records import Records, is_reserved
from preference_center.mail.relay import Relay


def look(settings: Settings, seconds: float) -> list[Finding]:
    """What the DNS says, within these seconds, of the domain, its return path and its addresses; nothing of a name for examples."""
    domain, records = _ascii(settings.sending_domain), Records(seconds)
    if is_reserved(domain):
        return []
    return_path, rewritten = _ascii(settings.bounce_domain or domain), bool(settings.relay_provider)
    signing = _keys(settings)
    signed_by = _ascii(settings.dkim_domain or domain)
    addresses = [ipaddress.ip_address(one) for one in settings.sending_addresses]
    return [
        spf.look(records, return_path, addresses, rewritten=rewritten),
        *keys.look(records, signed_by, signing),
        *dmarc.look(records, domain, return_path, signed_by if signing else None),
        hosts.bounces(records, return_path, rewritten=rewritten),
        *hosts.names(records, addresses),
    ]


def concerns(settings: Settings) -> bool:
    """Whether mail leaves for the world. A relay on this very machine may be a catcher, unless our addresses are named."""
    relays = [Relay.from_url(url) for url in (settings.relay_url, *settings.relays)]
    outside = bool(settings.sending_addresses) or not all(relay.is_here for relay in relays)
    return outside and not is_reserved(_ascii(settings.sending_domain))


def _keys(settings: Settings) -> list[tuple[str, str]]:
    """As they sign: Ed25519 only beside RSA (signing.py)."""
    pairs = [
        (settings.dkim_selector, settings.dkim_key_file),
        (settings.dkim_ed25519_selector, settings.dkim_ed25519_key_file),
    ]
    return [(selector, file) for selector, file in pairs if file] if settings.dkim_key_file else []


def _ascii(domain: str) -> str:
    try:
        return domain.lower() if domain.isascii() else domain.lower().encode("idna").decode()
    except UnicodeError:
        return domain.lower()
