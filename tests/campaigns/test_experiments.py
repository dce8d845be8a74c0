"""Experiments as they are written: what another content does not change is that of the first one, whatever is saved later."""

from typing import Any

import pytest
from flask import Flask

from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.db import transaction
from preference_center.errors import Invalid
from tests.support import make

pytestmark = pytest.mark.both_databases
OLD, NEW = "Only 10 zł today", "Only 99 zł today"


def written(*variants: dict[str, str], **more: str) -> Campaign:
    tries = {"share": 20, "metric": "person", "wait_minutes": 60, "variants": list(variants)}
    with transaction():
        return scheduling.create("Try", make.topic(), "First", "markdown", OLD, experiment=tries, **more)


def saved(campaign: Campaign, **changes: Any) -> CampaignVersion:
    with transaction():
        return scheduling.save(campaign, on_version=campaign.version, actor="user:1", **changes)


def test_a_mended_text_is_mended_in_each_content_that_has_no_other(app: Flask) -> None:
    campaign = written({"subject": "B"}, {"preheader": "C"}, {"source": "# Another"})
    version = saved(campaign, source=NEW, preheader="See")
    second, third, fourth = version.experiment["variants"]
    assert (second["subject"], second["source"], second["preheader"]) == ("B", NEW, "See")
    assert (third["subject"], third["source"], third["preheader"]) == ("First", NEW, "C")
    assert (fourth["subject"], fourth["source"], fourth["preheader"]) == ("First", "# Another", "See")
    assert [NEW in str(one["compiled"]) for one in (second, third, fourth)] == [True, True, False]
    assert version.is_intact() and queries.version(campaign, 1).experiment["variants"][0]["source"] != NEW


def test_another_source_keeps_its_format_and_its_text_part(app: Flask) -> None:
    campaign = written({"source": "# Another"}, {"source": "# More", "text_source": "Text"}, text_source="Text")
    version = saved(campaign, format="html", source="<p>New</p>", text_source="")
    told = [(one["format"], one["text_source"]) for one in version.experiment["variants"]]
    assert told == [("markdown", ""), ("markdown", "Text")]
    version = saved(campaign, text_source="Again")
    assert [one["text_source"] for one in version.experiment["variants"]] == ["", "Text"]


def test_a_first_content_that_comes_to_say_the_same_is_told(app: Flask) -> None:
    campaign = written({"subject": "B"})
    with pytest.raises(Invalid, match="same as the first"):
        saved(campaign, subject="B")


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ("ab", "An experiment tries 1 to 3 other contents"),
        (5, "An experiment tries 1 to 3 other contents"),
        ({"subject": "B"}, "An experiment tries 1 to 3 other contents"),
        (["B"], "Variant B is no object"),
        ([{"subject": "B"}, None], "Variant C is no object"),
        ([{"subject": 5}], "Variant B: write subject as text"),
        ([{"source": ["B"], "preheader": None}], "Variant B: write preheader, source as text"),
        ([{"format": "md", "source": "B"}], "Variant B: its format is one of markdown, mjml, html, blocks"),
        ([{"titel": "B"}], "Variant B: there is no titel"),
    ],
)
def test_what_is_no_experiment_is_told(app: Flask, variants: Any, words: str) -> None:
    tries = {"share": 20, "metric": "person", "wait_minutes": 60, "variants": variants}
    with pytest.raises(Invalid, match=words), transaction():
        scheduling.create("Try", make.topic(), "First", "markdown", OLD, experiment=tries)
