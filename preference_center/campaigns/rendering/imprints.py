"""What stands in each mail beside its content: who sends it, from where, and what its topic is called.

Approval seals it into the version, under the same hash as the content (P7): a mail says what was approved, whatever was set since.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from flask import current_app

from preference_center.campaigns.models import CampaignVersion
from preference_center.config import Settings
from preference_center.topics.models import Topic

_PLACE = "imprint"  # beside the compiled templates
_DEFAULT = ""  # the name of the topic for every other language


@dataclass(frozen=True, slots=True)
class Imprint:
    organisation: str
    postal_address: str
    topic: str  # its key
    names: Mapping[str, str]  # what the topic is called, by language

    def topic_name(self, language: str = _DEFAULT) -> str:
        return self.names.get(language) or self.names[_DEFAULT]


def todays(topic: Topic | None) -> Imprint:
    """As it is set now. A template has no topic yet."""
    settings: Settings = current_app.extensions["settings"]
    names = {_DEFAULT: topic.name()} | {text.language: text.name for text in topic.texts} if topic else {_DEFAULT: ""}
    return Imprint(settings.organisation, settings.postal_address, topic.key if topic else "", names)


def of(version: CampaignVersion, topic: Topic | None) -> Imprint:
    """The sealed one; today's for a draft, and for what was approved before imprints were sealed."""
    kept = version.compiled.get(_PLACE)
    return Imprint(**kept) if kept else todays(topic)


def changed(version: CampaignVersion, topic: Topic) -> list[str]:
    """What is set otherwise today than this version was sealed with: names of fields."""
    sealed, now = asdict(of(version, topic)), asdict(todays(topic))
    return [name for name in now if sealed[name] != now[name]]


def seal(version: CampaignVersion, topic: Topic) -> None:
    _keep(version, {**version.compiled, _PLACE: asdict(todays(topic))})


def unseal(version: CampaignVersion) -> None:
    """It is a draft again, and says what is so today."""
    _keep(version, {name: value for name, value in version.compiled.items() if name != _PLACE})


def beside(version: CampaignVersion) -> dict[str, object]:
    """What another content of the same version has to carry along."""
    return {_PLACE: version.compiled[_PLACE]} if _PLACE in version.compiled else {}


def _keep(version: CampaignVersion, compiled: dict[str, object]) -> None:
    version.compiled = compiled
    version.sha256 = version.digest()
