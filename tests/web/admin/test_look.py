"""The look of the public pages, chosen in the console."""

from preference_center.db import db
from preference_center.preferences import branding
from tests.web.admin.conftest import Console, words


def test_a_colour_that_cannot_be_read_is_corrected_and_reported(owner: Console) -> None:
    """`screens.md` 6, check 8."""
    owner.get("/admin/look")
    assert owner.post("/admin/look", {"name": "Green Shop", "accent": "#FFD34D", "corners": "soft"}).status_code == 302
    text = owner.text("/admin/look")
    assert "Buttons and links, light: #ffd34d cannot be read well where it stands, so #806a26 is used." in text
    db.session.rollback()
    brand = branding.current()
    assert brand is not None and (brand.name, brand.chosen["accent"]) == ("Green Shop", "#ffd34d")
    assert "Green Shop" in owner.text("/subscribe"), "at once, in the process that saved it"


def test_what_is_no_colour_is_said_beside_its_field_and_kept(owner: Console) -> None:
    owner.get("/admin/look")
    answer = owner.post("/admin/look", {"accent": "green", "ink": "#000000"})
    assert answer.status_code == 422 and "Write a colour as #" in words(answer)
    assert 'value="green"' in answer.text and branding.current() is None
