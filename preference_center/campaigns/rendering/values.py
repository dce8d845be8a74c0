"""What a template may say: what is known of a contact as clean single lines, and the fields that are ours as they are."""

from functools import lru_cache
from typing import Any

from preference_center.campaigns.rendering import compiling, following
from preference_center.contacts import attributes as declared_attributes
from preference_center.mail.header_lines import header_text

MAX_VALUE = 1_000  # characters of one field of one contact

OURS = compiling.RESERVED | {following.CLICK, following.OPEN}
UNLIKE_ANY_OTHER = frozenset(
    {"email", "unsubscribe_url", "preferences_url", "browser_url", following.CLICK, following.OPEN}
)


def line(value: Any) -> str:
    """A value of a contact, of whatever kind, as one clean line."""
    return cleaned(text(value))


def text(value: Any) -> str:
    """The same before it is cleaned."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return declared_attributes.written(value)


@lru_cache(maxsize=4096)  # names and cities come again
def cleaned(value: str) -> str:
    return header_text(value, MAX_VALUE)
