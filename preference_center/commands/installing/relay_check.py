"""Logs in at the relay as the sender would, sends nothing, and says what is wrong in words."""

import smtplib
import ssl

from preference_center.commands import faults
from preference_center.mail.relay import Relay

_OK, _FAULT = "ok", "fault"


def look(relay: Relay, seconds: float) -> tuple[str, str]:
    """Greeting, TLS and login, each within the seconds."""
    where = f"{relay.host}:{relay.port}"
    try:
        with _connected(relay, seconds) as line:
            line.ehlo_or_helo_if_needed()
            if relay.tls == "starttls":
                if not line.has_extn("starttls"):
                    return (
                        _FAULT,
                        f"{where} does not offer STARTTLS, and nothing is sent in clear. Use another port, or smtps://.",
                    )
                line.starttls(context=relay.tls_context())
                line.ehlo()
            if relay.user is not None and relay.password is not None:
                line.login(relay.user, relay.password)
            return _OK, f"{where} answers{_how(relay)}."
    except smtplib.SMTPAuthenticationError as refused:
        return _FAULT, f"{where} refuses the login ({refused.smtp_code}). Check user and password in RELAY_URL."
    except ssl.SSLCertVerificationError as wrong:
        return (
            _FAULT,
            f"{where} shows a certificate that does not prove its name: {wrong.verify_message}. Check the host in RELAY_URL.",
        )
    except ssl.SSLError:
        return (
            _FAULT,
            f"{where} does not speak TLS as RELAY_URL says. smtps:// is for port 465, smtp:// for 587 and 25.",
        )
    except smtplib.SMTPResponseException as refused:
        return _FAULT, f"{where} refuses us ({refused.smtp_code}). Ask its operator to let this machine in."
    except (OSError, smtplib.SMTPException) as trouble:
        words = faults.without_addresses(str(getattr(trouble, "strerror", None) or trouble)).rstrip(".") or "no answer"
        return _FAULT, f"{where} does not answer ({words.lower()}). Check RELAY_URL and the firewall."


def _connected(relay: Relay, seconds: float) -> smtplib.SMTP:
    if relay.tls == "implicit":
        return smtplib.SMTP_SSL(relay.host, relay.port, relay.hello, timeout=seconds, context=relay.tls_context())
    return smtplib.SMTP(relay.host, relay.port, relay.hello, timeout=seconds)


def _how(relay: Relay) -> str:
    tls = {"none": " without TLS, on this machine", "starttls": ", upgrades to TLS", "implicit": " by TLS"}[relay.tls]
    return tls + (" and accepts the login" if relay.user else "")
