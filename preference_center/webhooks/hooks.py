"""The hooks that are set up: which provider each belongs to, and the secrets by which it is believed."""

from dataclasses import dataclass

from flask import Flask, current_app

from preference_center import config, providers
from preference_center.config import BadSettings, Settings
from preference_center.errors import NotFound
from preference_center.providers.base import Provider, Secrets


@dataclass(frozen=True)
class Hook:
    """An address under /hooks/. Without secrets it believes nothing."""

    provider: Provider
    name: str  # the second part of the address, of one who has several accounts at a provider
    secrets: Secrets


def init(app: Flask) -> None:
    settings: Settings = app.extensions["settings"]
    try:
        app.extensions["hooks"] = _all(settings)
    except ValueError as wrong:
        raise BadSettings(str(wrong).splitlines()) from None


def read_settings() -> Settings:
    """The settings of this process, with those of the hooks checked too: BadSettings names every fault at once."""
    faults: list[str] = []
    try:
        settings = config.read()
    except BadSettings as wrong:
        faults += wrong.faults
    try:
        providers.settings_from(config.hooks())
    except ValueError as wrong:
        faults += str(wrong).splitlines()
    if faults:
        raise BadSettings(faults)
    return settings


def at(provider: str, name: str = "") -> Hook:
    """The hook at /hooks/<provider>[/<name>]. NotFound when there is no such provider, or nothing was set up under that name."""
    hooks: dict[str, Hook] = current_app.extensions["hooks"]
    found = hooks.get(f"{provider}/{name}" if name else provider)
    if found is None:
        raise NotFound("There is no such hook.")
    return found


def set_up() -> dict[str, Hook]:
    """Those that have secrets, by their address after /hooks/."""
    hooks: dict[str, Hook] = current_app.extensions["hooks"]
    return {path: hook for path, hook in hooks.items() if hook.secrets.values}


def _all(settings: Settings) -> dict[str, Hook]:
    found = {name: Hook(providers.named(name), "", Secrets()) for name in providers.names()}
    for path, secrets in providers.settings_from(settings.hooks).items():
        provider, _, name = path.partition("/")
        found[path] = Hook(providers.named(provider), name, secrets)
    if settings.relay_provider and settings.relay_provider not in found:
        raise ValueError(
            f"PREFERENCE_CENTER_RELAY_PROVIDER must be one of {', '.join(providers.names())}, or stay empty."
        )
    return found
