"""`topics`: editing, arranging and retiring from the command line."""

import json

from tests.cli.conftest import Run


def test_topics_are_edited_arranged_and_retired(pc: Run) -> None:
    for key in ("news", "offers", "events"):
        assert pc("topics", "add", key, "--name", key.capitalize()).status == 0
    done = pc("topics", "edit", "news", "--language", "pl", "--name", "Nowości", "--heading", "Sklep", "--hidden")
    assert (done.status, done.out) == (0, "Topic news was changed.\n")
    assert pc("topics", "order", "offers", "events").out == "The order is: offers, events, news.\n"
    assert pc("topics", "retire", "events").status == 0
    assert [topic["key"] for topic in json.loads(pc("topics", "list", "--json").out)] == ["offers", "news"]
    refused = pc("topics", "order", "nothing")
    assert refused.status == 1 and "There is no topic nothing." in refused.err
    refused = pc("topics", "edit", "news", "--language", "es", "--heading", "Tienda")
    assert refused.status == 1 and "Give the topic a name" in refused.err
