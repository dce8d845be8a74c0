"""Templates: versions that stay, copies that go their own way, and two editors who both are heard."""

import pytest
from flask import Flask

from preference_center.campaigns import copying, queries, scheduling, templates
from preference_center.campaigns.models import Template
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid, NotFound
from tests.support import make

pytestmark = pytest.mark.both_databases


@pytest.fixture
def template(app: Flask) -> Template:
    with transaction():
        return templates.create("Monthly", "user:1", subject="News", format="markdown", source="Hello")


def test_a_campaign_takes_a_copy_that_later_changes_do_not_touch(template: Template) -> None:
    with transaction():
        made = templates.start(template, "March", make.topic(), "user:1")
    with transaction():
        templates.save(template, on_version=1, source="Other")
    assert queries.version(made).source == "Hello"
    assert made.made_from == f"template {template.public_id} v1"
    with transaction():
        older = templates.start(template, "April", make.topic("more", "More"), number=1)
        newer = templates.start(template, "May", make.topic("most", "Most"), segment="language = en")
    assert (queries.version(older).source, queries.version(newer).source) == ("Hello", "Other")


def test_each_save_adds_a_version_and_the_second_editor_is_told(template: Template) -> None:  # P13
    with transaction():
        templates.save(template, on_version=1, subject="Two", name="Weekly")
    assert [(one.number, one.subject) for one in templates.versions(template)] == [(2, "Two"), (1, "News")]
    with pytest.raises(Conflict, match="Somebody else"), transaction():
        templates.save(template, on_version=1, subject="Three")
    assert template.name == "Weekly"
    with pytest.raises(NotFound):
        templates.version(template, 3)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "A\0"}, "name"),
        ({"format": "docx"}, "format"),
        ({"source": "{{ nobody }}"}, "source"),
    ],
)
def test_what_no_mail_can_be_made_of_is_not_kept(app: Flask, changes: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused, transaction():
        templates.create(**({"name": "A", "subject": "B", "format": "markdown", "source": "C"} | changes))  # type: ignore[arg-type]
    assert set(refused.value.faults) == {field}
    assert templates.in_use() == []


def test_one_that_was_put_away_starts_nothing(template: Template) -> None:
    with transaction():
        templates.retire(template)
    assert templates.in_use() == []
    with pytest.raises(Conflict), transaction():
        templates.start(template, "March", make.topic())
    with pytest.raises(Conflict), transaction():
        templates.save(template, on_version=1, subject="Two")


def test_a_name_may_hold_joiners_and_one_older_than_the_rule_can_still_be_copied(app: Flask) -> None:
    with transaction():
        made = scheduling.create("Sale 👩\u200d💻", make.topic(), "News", "markdown", "Hello")
        with pytest.raises(Invalid, match="control"):
            scheduling.save(made, on_version=1, actor="", name="Sa\u00adle")
        made.name = "Sa\u00adle"
        assert copying.duplicate(made).name == "Sale (copy)"
        assert templates.keep(made).name == "Sale"
