"""How is mail carried, and what do its carriers say? One file a provider; a file that stands here is found by its name.

A provider's file is imported when it is first asked for. What several of them are made of lies in `parts`.
"""

import pkgutil
import re
from collections.abc import Mapping
from importlib import import_module

from preference_center.errors import NotFound
from preference_center.providers.base import Provider, Secrets, Setting

_NAME = re.compile(r"[a-z][a-z0-9]*\Z")
_INSTANCE = re.compile(r"(?=.{1,20}\Z)[A-Z0-9]+(?:_[A-Z0-9]+)*\Z")  # its column in the inbox holds 20 characters


def names() -> list[str]:
    """Every provider there is, in alphabetical order."""
    return sorted(file.name for file in pkgutil.iter_modules(__path__) if not file.ispkg and file.name != "base")


def named(name: str) -> Provider:
    """The provider of this name, as in `/hooks/<name>`; NotFound when there is none."""
    if _NAME.match(name) and name in names():
        found: Provider = import_module(f"{__name__}.{name}").provider
        return found
    raise NotFound(f"There is no such provider. Those we know: {', '.join(names())}.")


def settings_from(values: Mapping[str, str]) -> dict[str, Secrets]:
    """The secrets of each hook out of its settings, named without `PREFERENCE_CENTER_HOOK_`.

    `MAILGUN_KEYS` belongs to "mailgun", `MAILGUN__SHOP_KEYS` to "mailgun/shop". ValueError lists all that is wrong with them,
    one line each, and never holds a value.
    """
    faults: list[str] = []
    hooks: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in sorted(values):
        hook, setting = _belongs_to(name)
        if setting is None:
            faults.append(f"PREFERENCE_CENTER_HOOK_{name} is not a setting of any provider; see docs/providers.")
            continue
        given = tuple(values[name].split()) if setting.many else tuple(filter(None, [values[name].strip()]))
        faults += [f"PREFERENCE_CENTER_HOOK_{name} {fault}." for fault in _faults(setting, given)]
        if given:
            hooks.setdefault(hook, {})[setting.name] = given
    if faults:
        raise ValueError("\n".join(faults))
    return {hook: Secrets(own) for hook, own in hooks.items()}


def _belongs_to(name: str) -> tuple[str, Setting | None]:
    """The hook a setting is for, and the setting itself if there is such a one."""
    head, _, rest = name.partition("_")
    if head.lower() not in names():
        return "", None
    longest_first = sorted(named(head.lower()).settings, key=lambda setting: -len(setting.name))
    for setting in longest_first:
        if rest == setting.name:
            return head.lower(), setting
        instance = rest.removeprefix("_").removesuffix(f"_{setting.name}")
        if rest == f"_{instance}_{setting.name}" and _INSTANCE.match(instance):
            return f"{head}/{instance}".lower(), setting
    return "", None


def _faults(setting: Setting, given: tuple[str, ...]) -> list[str]:
    found = [fault for value in given if setting.fault and (fault := setting.fault(value))]
    return list(dict.fromkeys(found))
