"""Trying several contents on a share of the audience, and sending the best to the rest.

Who tries which is decided by a keyed hash of campaign and contact: the same whoever fills the outbox, and in no way to be guessed
or chosen. The variants are part of the version, and so of what is approved and frozen.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, NoReturn

from flask import current_app

from preference_center.campaigns.models import CampaignVersion, ContentFormat
from preference_center.campaigns.rendering import content, imprints
from preference_center.errors import Invalid

VARIED = ("subject", "preheader", "format", "source", "text_source")
LETTERS = "ABCD"
_PARTS = 10_000


class Metric(StrEnum):
    clicked = "clicked"  # of those who agreed to be seen
    opened = "opened"  # of those who agreed to be seen; mailboxes open by themselves, so this is the weakest
    delivered = "delivered"
    person = "person"  # somebody looks and picks


def read(given: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment as a version keeps it, each variant compiled; empty for none. Invalid says which variant and why."""
    if not given:
        return {}
    variants = given.get("variants") or []
    if not isinstance(variants, list) or not 1 <= len(variants) < len(LETTERS):
        _wrong(f"An experiment tries 1 to {len(LETTERS) - 1} other contents beside the first.")
    share, wait = given.get("share"), given.get("wait_minutes")
    if isinstance(share, bool) or not isinstance(share, int) or not 1 <= share <= 90:
        _wrong("The share that tries is 1 to 90 percent.")
    if isinstance(wait, bool) or not isinstance(wait, int) or not 1 <= wait <= 7 * 24 * 60:
        _wrong("The wait is between a minute and seven days.")
    if given.get("metric") not in list(Metric):
        _wrong(f"The winner is chosen by one of: {', '.join(Metric)}.")
    made = [_variant(one, base, LETTERS[number]) for number, one in enumerate(variants, 1)]
    return {"share": share, "wait_minutes": wait, "metric": str(given["metric"]), "variants": made}


def given(version: CampaignVersion) -> dict[str, Any]:
    """The experiment as its author means it, to be read once more: of each variant what it changes, so the rest follows the first."""
    plan: dict[str, Any] = version.experiment
    return {**plan, "variants": [_changed(one, version) for one in plan["variants"]]} if plan else {}


def content_of(version: CampaignVersion, variant: int | None) -> CampaignVersion:
    """The version itself for the first content, else one that says what the variant says; it is not stored."""
    if not variant:
        return version
    fields = version.experiment["variants"][variant - 1]
    made = CampaignVersion(
        campaign_id=version.campaign_id,
        number=version.number,
        segment=version.segment,
        **{name: fields[name] for name in VARIED},
        compiled=fields["compiled"] | imprints.beside(version),
    )
    made.format = ContentFormat(fields["format"])
    made.sha256 = made.digest()
    return made


def count(version: CampaignVersion) -> int:
    """How many contents there are, the first one included."""
    return 1 + len((version.experiment or {}).get("variants", ()))


def wait(version: CampaignVersion) -> timedelta:
    """From the last who tries it until the winner is chosen; none without an experiment."""
    return timedelta(minutes=(version.experiment or {}).get("wait_minutes", 0))


def letters(version: CampaignVersion) -> str:
    """By which the contents are named: AB where one other is tried."""
    return LETTERS[: count(version)]


def named(version: CampaignVersion, letter: str) -> CampaignVersion:
    """The content with this letter, to be looked at. Invalid where there is none."""
    if letter not in list(letters(version)):
        words = f"There is no content {letter[:20]!r}. There are: {', '.join(letters(version))}."
        raise Invalid(words, {"content": words})
    return content_of(version, LETTERS.index(letter))


def assigned(version: CampaignVersion, contact_id: int) -> int | None:
    """Which content this contact tries; None for who waits for the winner."""
    key: bytes = current_app.extensions["address_key"]
    name = f"{version.campaign_id}:{contact_id}".encode()
    drawn = int.from_bytes(hashlib.blake2b(name, key=key, digest_size=8, person=b"pc.trial.v1").digest(), "big")
    if drawn % _PARTS >= version.experiment["share"] * _PARTS // 100:
        return None
    return drawn // _PARTS % count(version)


def _changed(variant: Mapping[str, Any], version: CampaignVersion) -> dict[str, Any]:
    own = {name for name in VARIED if variant[name] != getattr(version, name)}
    if "source" in own:  # is written in its own format, and the first one's text part does not say the same
        own |= {"format", "text_source"}
    return {name: variant[name] for name in VARIED if name in own}


def _variant(given: Mapping[str, Any], base: Mapping[str, Any], letter: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        _wrong(f"Variant {letter} is no object. Write what it changes, such as its subject.")
    if unknown := set(given) - {*VARIED, "compiled"}:
        _wrong(f"Variant {letter}: there is no {', '.join(sorted(unknown))}.")
    if wrong := [name for name in VARIED if not isinstance(given.get(name, ""), str)]:
        _wrong(f"Variant {letter}: write {', '.join(wrong)} as text.")
    fields = {name: given.get(name, base[name]) for name in VARIED}
    if "source" in given and "text_source" not in given:
        fields["text_source"] = ""
    if all(fields[name] == base[name] for name in VARIED):
        _wrong(f"Variant {letter} says the same as the first one.")
    fields["format"] = str(fields["format"])
    if fields["format"] not in list(ContentFormat):
        _wrong(f"Variant {letter}: its format is one of {', '.join(ContentFormat)}.")
    try:
        return {**fields, "compiled": content.compile(fields)}
    except Invalid as fault:
        message = f"Variant {letter}: {fault.message}"
        raise Invalid(message, {"experiment": message}) from None


def _wrong(what: str) -> NoReturn:
    raise Invalid(what, {"experiment": what})
