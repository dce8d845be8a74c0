"""The shared samples of bounces, complaints and replies class as stands beside them."""

import json
from typing import Any

import pytest

from preference_center.webhooks.reports import reading
from tests.providers.shared import FOLDER

BOUNCES = FOLDER.parent / "bounces"
SAMPLES: dict[str, Any] = json.loads((BOUNCES / "expected.json").read_text(encoding="utf-8"))["samples"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_shared_sample_classes_as_expected(name: str) -> None:
    """S119"""
    found = reading.read((BOUNCES / f"{name}.eml").read_bytes()).findings
    wanted = SAMPLES[name]
    assert [(str(each.meaning), each.recipient, each.status) for each in found] == [
        (each["class"], each["recipient"], each["status"]) for each in wanted
    ]
    for each, want in zip(found, wanted, strict=True):
        for key in {"action", "final_recipient", "feedback_type", "hint"} & want.keys():
            assert getattr(each, key) == want[key]
