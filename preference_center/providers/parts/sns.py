"""Amazon SNS: envelopes signed by Amazon, with the address of the certificate inside.

Anybody with an account has Amazon sign for them, so a genuine signature proves little: first the topic must be one of ours,
then the certificate's address must be one of Amazon's, and only then is anything fetched.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from http.client import HTTPException, HTTPSConnection
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import Certificate, load_pem_x509_certificate

from preference_center.errors import Unavailable
from preference_center.providers.base import Forged, Post, Secrets, Unreadable
from preference_center.providers.parts import facts, proofs

Fetch = Callable[[str], tuple[int, bytes]]  # a URL in, the status and the body out; OSError when nobody answers

TIMEOUT = 5
_LONGEST_ANSWER = 65_536
_KEPT = 8  # certificates; Amazon has one a region and changes it about once a year
_FETCHES, _PER_SECONDS = 10, 60  # so that a flood of invented addresses does not go on from us to Amazon

# A region and nothing else: at sns.s3.amazonaws.com lies whatever the owner of a bucket called "sns" put there.
_HOST = r"https://sns\.[a-z]{2}(?:-[a-z]{2,15}){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE_URL = re.compile(_HOST + r"/SimpleNotificationService-[0-9a-fA-F]{1,64}\.pem")
_SUBSCRIBE_URL = re.compile(_HOST + r"/\?[!-~]{1,2000}")
_HASHES = {"1": SHA1, "2": SHA256}
_CONFIRMATIONS = {"SubscriptionConfirmation", "UnsubscribeConfirmation"}
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(_CONFIRMATIONS, ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")),
}


def envelope(post: Post) -> dict[str, Any]:
    found = facts.json_of(post.body)
    if not isinstance(found, dict):
        raise Unreadable("the body is no SNS envelope")
    return found


def verified(post: Post, secrets: Secrets, certificates: "Certificates", now: datetime) -> dict[str, Any]:
    """The envelope, when it comes from a topic of ours and Amazon signed it."""
    topics = proofs.needed(secrets, "TOPICS")
    try:
        found = envelope(post)
    except Unreadable as fault:
        raise Forged(str(fault)) from None
    topic = found.get("TopicArn")
    if not isinstance(topic, str) or topic not in topics:
        raise Forged("the topic is not on the list TOPICS")
    if found.get("Type") == "SubscriptionConfirmation" and not is_subscribe_url(found.get("SubscribeURL"), topic):
        raise Forged("SubscribeURL does not lead to SNS")
    url = found.get("SigningCertURL")
    if not is_certificate_url(url):
        raise Forged("SigningCertURL does not lead to a certificate of SNS")
    algorithm = _HASHES.get(facts.words(found.get("SignatureVersion")))
    if algorithm is None:
        raise Forged("SignatureVersion is neither 1 nor 2")
    signature, signed = proofs.decoded(facts.words(found.get("Signature"), 2000), "Signature"), _signed_text(found)
    try:
        certificates.key_of(str(url), now).verify(signature, signed, PKCS1v15(), algorithm())
    except InvalidSignature:
        raise Forged("the signature is wrong") from None
    return found


def is_certificate_url(url: Any) -> bool:
    return isinstance(url, str) and bool(_CERTIFICATE_URL.fullmatch(url))


def is_subscribe_url(url: Any, topic: str) -> bool:
    """Whether it confirms a subscription of this topic, at a host of SNS."""
    if not isinstance(url, str) or not _SUBSCRIBE_URL.fullmatch(url):
        return False
    asked = parse_qs(urlsplit(url).query)
    return asked.get("Action") == ["ConfirmSubscription"] and asked.get("TopicArn") == [topic]


def confirm(url: str, fetch: Fetch) -> None:
    try:
        status, _ = fetch(url)
    except (OSError, HTTPException):
        status = 0
    if status != 200:
        raise Unavailable("Amazon did not take the confirmation of the subscription; it will ask again.")


def download(url: str) -> tuple[int, bytes]:
    """One GET over TLS, to the host of the URL and nowhere else: a redirect is an answer like any other."""
    parts = urlsplit(url)
    connection = HTTPSConnection(parts.hostname or "", timeout=TIMEOUT)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read(_LONGEST_ANSWER)
    finally:
        connection.close()


class Certificates:
    """The public keys behind certificate addresses, each fetched once; a few are kept."""

    def __init__(self, fetch: Fetch = download) -> None:
        self.fetch = fetch
        self._kept: OrderedDict[str, Certificate] = OrderedDict()
        self._fetched_at: list[float] = []

    def key_of(self, url: str, now: datetime) -> RSAPublicKey:
        if url not in self._kept:
            self._kept[url] = self._fetched(url)
        self._kept.move_to_end(url)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        certificate = self._kept[url]
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Forged("the certificate has run out")
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise Forged("the certificate holds no RSA key")
        return key

    def _fetched(self, url: str) -> Certificate:
        self._spare()
        try:
            status, pem = self.fetch(url)
        except (OSError, HTTPException):
            raise Unavailable("Amazon's certificate cannot be fetched now; the post will come again.") from None
        if status >= 500:
            raise Unavailable("Amazon's certificate cannot be fetched now; the post will come again.")
        if status != 200:
            raise Forged("there is no such certificate")
        try:
            return load_pem_x509_certificate(pem)
        except ValueError:
            raise Forged("what lies there is no certificate") from None

    def _spare(self) -> None:
        now = monotonic()
        self._fetched_at = [then for then in self._fetched_at if then > now - _PER_SECONDS]
        if len(self._fetched_at) >= _FETCHES:
            raise Unavailable("Too many certificates were asked for within a minute; the post will come again.")
        self._fetched_at.append(now)


def _signed_text(found: dict[str, Any]) -> bytes:
    names = _SIGNED.get(facts.words(found.get("Type")))
    if names is None:
        raise Forged("the Type is none of SNS")
    lines = []
    for name in names:
        value = found.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise Forged(f"{name} is missing")
        lines.append(f"{name}\n{value}\n")
    return proofs.plain("".join(lines))
