"""The example of docs/adding-a-provider.md works as it stands there: dropped into the folder, found, and true to the contract."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from preference_center import providers
from preference_center.providers.base import Setting
from tests.providers import contract
from tests.support.sources import ROOT

PAGE = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Its file in a folder of its own beside the real one; and what its test file defines."""
    file, test = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "acme.py").write_text(file, encoding="utf-8")
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(tmp_path)])
    defined: dict[str, Any] = {}
    exec(compile(test, "test_acme.py", "exec"), defined)
    yield defined
    sys.modules.pop("preference_center.providers.acme", None)
    vars(providers).pop("acme", None)


@pytest.mark.usefixtures("acme")
def test_it_is_found_by_its_name() -> None:
    assert "acme" in providers.names()
    assert providers.settings_from({"ACME_KEYS": "a b"})["acme"].all("KEYS") == ("a", "b")


@pytest.mark.usefixtures("acme")
def test_of_two_settings_that_end_alike_the_longer_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    acme = providers.named("acme")
    monkeypatch.setattr(acme, "settings", (Setting("KEYS", "short"), Setting("SIGNING_KEYS", "long")))
    read = providers.settings_from({"ACME__SHOP_SIGNING_KEYS": "a", "ACME__SHOP_KEYS": "b", "ACME__OLD_SHOP_KEYS": "c"})
    assert read["acme/shop"].values == {"SIGNING_KEYS": ("a",), "KEYS": ("b",)}
    assert read["acme/old_shop"].values == {"KEYS": ("c",)}


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("promise", contract.ALL, ids=lambda promise: promise.__name__)
def test_it_keeps_the_contract(promise: Callable[[str], None]) -> None:
    promise("acme")


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("body", [b"", b"[[[", b'[{"id":{},"to":[],"at":1e999,"reply":7}]', b"[" * 100_000])
def test_it_stands_anything(body: bytes) -> None:
    contract.it_stands_anything("acme", body, {"x-acme-signature": "\udcff"})


def test_its_own_test_passes(acme: dict[str, Any]) -> None:
    test = acme["test_a_bounce_is_classed_by_its_words"]
    (cases,) = (mark.args[1] for mark in test.pytestmark if mark.name == "parametrize")
    assert len(cases) == 3
    for case in cases:
        test(*case)


def test_without_its_file_there_is_no_such_provider() -> None:
    assert "acme" not in providers.names()
