"""`forms`: adding, listing, printing for another site, closing."""

import json

from tests.cli.conftest import Run


def test_a_form_is_added_listed_printed_and_closed(pc: Run) -> None:
    pc("topics", "add", "news", "--name", "Product news")
    added = pc("forms", "add", "shop", "--topic", "news", "--title", "Letters", "--name", "--most", "20")
    assert added.status == 0 and added.out.rstrip().endswith("/subscribe/shop")
    assert pc("forms", "add", "shop", "--topic", "news", "--language", "pl", "--title", "Listy").status == 0
    (form,) = json.loads(pc("forms", "list", "--json").out)
    assert (form["key"], form["topics"], form["languages"], form["closed"]) == ("shop", ["news"], ["en"], False)
    snippet = pc("forms", "snippet", "shop")
    assert snippet.out.startswith("<form action=") and "Letters" in snippet.out and "<script" not in snippet.out
    refused = pc("forms", "snippet", "shop", "--language", "pl")
    assert refused.status == 1 and "does not exist in pl" in refused.err
    assert pc("forms", "add", "x", "--topic", "nothing").status == 1
    assert pc("forms", "close", "shop").out == "Form shop is closed.\n"
    assert json.loads(pc("forms", "list", "--json").out)[0]["closed"] is True
