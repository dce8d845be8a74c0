"""Importing by the pages: upload, terms, trial run, storing."""

import io
from typing import Any

import pytest

from preference_center.consent import tracking
from preference_center.consent.declaring import declared
from preference_center.contacts import imports
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Import, ImportState
from preference_center.db import db, transaction
from preference_center.topics.models import Topic
from tests.support.bell import WrittenBell
from tests.web.admin.conftest import SITE, Console, words

FILE = "E-mail;Imię;Zgoda;Data zgody\nzofia@example.org;Zofia;tak;2024-05-01\nnot-an-address;Jan;tak;2024-05-01\n"
TERMS = {"source": "Shop checkout", "topics": "news", "basis": "consent", "wording_language": "en"}
COLUMNS = ["E-mail", "Imię", "Zgoda", "Data zgody"]
FIELDS = ["email", "first_name", "status", "consented_at"]


def _upload(console: Console, content: bytes = FILE.encode("cp1250"), name: str = "customers.csv") -> Any:
    console.get("/admin/imports/new")
    return console.post("/admin/imports/new", {"file": (io.BytesIO(content), name)})


def _declare(console: Console, path: str, **change: Any) -> Any:
    console.get(path)
    return console.post(path, TERMS | {"column": COLUMNS, "field": FIELDS, "guessed": FIELDS} | change)


def _run() -> Import:
    """What the worker does when the bell is heard."""
    db.session.rollback()
    found = imports.recent(1)[0]
    for step in declared.steps(found.id):
        with transaction():
            step()
    db.session.rollback()
    return imports.recent(1)[0]


def test_from_the_file_to_stored_consent(marketer: Console, news: Topic, bell: WrittenBell) -> None:
    path = _upload(marketer).headers["Location"]
    text = marketer.text(path)
    assert "cp1250 · separated by semicolons" in text and "Zofia" in text
    assert _declare(marketer, path).headers["Location"] == path
    assert [name for name, _ in bell.rung] == ["worker.jobs.contacts.import_file"]
    assert "0 rows looked at so far." in marketer.text(path)
    assert _run().dry_run
    assert contacts.count() == 0, "a trial stores nothing"
    text = marketer.text(path)
    assert "This was a trial: nothing is stored yet" in text
    assert "Import 1 row" in text
    assert "Line 3" in text
    assert marketer.post(f"{path}/store").status_code == 302
    assert _run().state is ImportState.done
    zofia = contacts.by_email("zofia@example.org")
    assert zofia is not None and zofia.attributes["first_name"] == "Zofia"
    text = marketer.text(f"/admin/contacts/{zofia.public_id}")
    assert "Yes Product news" in text and "import" in text


def test_no_box_for_tracking_as_no_file_can_agree_to_it(marketer: Console, news: Topic) -> None:  # S76
    with transaction():
        offered = tracking.offer()
    form = marketer.get(_upload(marketer).headers["Location"]).text
    assert 'value="news"' in form
    assert f'value="{offered.key}"' not in form


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param(b"", "empty.csv", id="empty"),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "customers.csv", id="a PDF"),
        pytest.param(b"PK\x03\x04" + b"\0" * 50, "customers.csv", id="a zip or XLSX"),
    ],
)
def test_what_is_no_csv_is_refused_beside_the_field(marketer: Console, news: Topic, content: bytes, name: str) -> None:
    answer = _upload(marketer, content, name)
    assert answer.status_code == 422
    assert "Something needs changing" in words(answer)
    assert imports.recent() == []


def test_no_file_is_said(marketer: Console) -> None:
    marketer.get("/admin/imports/new")
    assert marketer.post("/admin/imports/new").status_code == 422


def test_a_file_sent_as_text_is_no_file(marketer: Console) -> None:
    marketer.get("/admin/imports/new")
    answer = marketer.post("/admin/imports/new", {"file": "email\nanna@example.org\n"})
    assert answer.status_code == 422 and "Choose a file." in words(answer)


def test_a_file_beyond_the_limit_is_refused(marketer: Console, news: Topic) -> None:
    marketer.get("/admin/imports/new")
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + b"x" * 21 * 1024 * 1024
    answer = marketer.client.post(
        "/admin/imports/new", data=body, content_type="multipart/form-data; boundary=x", base_url=SITE
    )
    assert answer.status_code == 413
    assert imports.recent() == []


def test_only_the_upload_takes_large_posts(marketer: Console) -> None:
    marketer.get("/admin/contacts")
    assert marketer.post("/admin/contacts/search", {"email": "x" * 100_000}).status_code == 413


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\files\\people.csv", "x" * 500 + ".csv", "<script>.csv"])
def test_a_hostile_file_name_is_only_text(marketer: Console, news: Topic, name: str) -> None:
    path = _upload(marketer, name=name).headers["Location"]
    html = marketer.get(path).get_data(as_text=True)
    assert "<script>" not in html.replace("<script src=", "")
    assert len(imports.recent(1)[0].file_name) <= 200


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"source": ""}, id="no source"),
        pytest.param({"topics": "nothing"}, id="unknown topic"),
        pytest.param({"basis": "magic"}, id="unknown basis"),
        pytest.param({"basis": "contract"}, id="a basis the topic cannot rest on"),
        pytest.param({"basis": "existing_customer"}, id="existing customers without affirming it"),
        pytest.param({"field": ["", "first_name", "status", "consented_at"]}, id="no column holds the address"),
        pytest.param({"consented_on": "2199-01-01"}, id="agreed in the future"),
    ],
)
def test_terms_that_cannot_stand_are_refused_and_kept(marketer: Console, news: Topic, change: dict[str, Any]) -> None:
    path = _upload(marketer).headers["Location"]
    answer = _declare(marketer, path, **({"wording": "Kept words."} | change))
    assert answer.status_code == 422
    assert "Something needs changing" in words(answer)
    assert "Kept words." in answer.get_data(as_text=True)
    assert not imports.recent(1)[0].declared


def test_a_column_left_out_is_not_stored(marketer: Console, news: Topic) -> None:
    path = _upload(marketer).headers["Location"]
    _declare(marketer, path, field=["email", "", "status", "consented_at"])
    _run()
    marketer.get(path)
    marketer.post(f"{path}/store")
    _run()
    zofia = contacts.by_email("zofia@example.org")
    assert zofia is not None and zofia.attributes == {}


def test_only_a_trial_that_is_over_can_be_stored(marketer: Console, news: Topic) -> None:
    path = _upload(marketer).headers["Location"]
    marketer.get(path)
    marketer.post(f"{path}/store")
    assert "Only a trial run that is over can be stored." in marketer.text(path)
    _declare(marketer, path)
    _run()
    marketer.get(path)
    for _ in range(2):
        marketer.post(f"{path}/store")
    assert not _run().dry_run
    assert contacts.count() == 1, "pressed twice, stored once"


def test_faults_come_as_a_file_no_spreadsheet_executes(marketer: Console, news: Topic) -> None:  # V1.2.10
    path = _upload(marketer, b"email,=cmd()\nbad,1\n").headers["Location"]
    marketer.get(path)
    marketer.post(path, TERMS | {"column": ["email"], "field": ["email"]})
    _run()
    answer = marketer.get(f"{path}/faults.csv")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    lines = answer.get_data(as_text=True).splitlines()
    assert lines[0] == "line,field,reason"
    assert lines[1].startswith("2,email,")
    assert not any(cell[:1] in "=+-@" for line in lines[1:] for cell in line.split(",")[1:] if cell)


def test_it_can_be_stopped_once(marketer: Console, news: Topic) -> None:
    path = _upload(marketer).headers["Location"]
    _declare(marketer, path)
    marketer.get(path)
    marketer.post(f"{path}/cancel")
    assert "Stopped by hand" in marketer.text(path)
    marketer.post(f"{path}/cancel")
    assert "This import is over already." in marketer.text(path)


def test_a_viewer_imports_nothing(viewer: Console, news: Topic) -> None:
    assert _upload(viewer).status_code == 403
    assert viewer.get("/admin/imports").status_code == 403
    assert imports.recent() == []


def test_an_unknown_import_is_not_found(marketer: Console) -> None:
    assert marketer.get("/admin/imports/aaaaaaaaaaaaaaaa").status_code == 404


def test_a_file_at_which_five_workers_died_is_given_up_and_can_be_gone_on_with(  # K16
    marketer: Console, news: Topic, bell: WrittenBell
) -> None:
    path = _upload(marketer).headers["Location"]
    _declare(marketer, path)
    _run()
    marketer.post(f"{path}/store")
    number = imports.recent(1)[0].id
    for _ in range(5):
        begin = next(iter(declared.steps(number)))  # and then it dies
        with transaction():
            begin()
        db.session.rollback()
        assert imports.recent(1)[0].state is ImportState.running
    given_up = _run()
    assert (given_up.state, given_up.rows_read) == (ImportState.failed, 0)
    text = marketer.text(path)
    assert "died five times behind row 0" in text and "Go on where it stopped" in text
    bell.rung.clear()
    assert marketer.post(f"{path}/resume").status_code == 302
    assert bell.rung == [("worker.jobs.contacts.import_file", (number,))]
    assert _run().state is ImportState.done
    assert contacts.by_email("zofia@example.org") is not None
    marketer.post(f"{path}/resume")
    assert "was not given up" in marketer.text(path)
