"""The page where owners invite colleagues and close accounts."""

from collections.abc import Callable

import pytest

from preference_center.accounts.permissions import Role
from tests.web.admin.conftest import Console, user_named, words


def test_an_owner_invites_by_a_link_shown_once(owner: Console) -> None:
    owner.get("/admin/users")
    answer = owner.post("/admin/users", {"email": "New@example.com", "role": "marketer"})
    assert "https://mail.example.com/admin/invitation/" in words(answer)
    assert user_named("new@example.com").role is Role.marketer
    text = owner.text("/admin/users")
    assert "new@example.com invited Marketer" in text
    assert "/admin/invitation/" not in text


@pytest.mark.parametrize(
    "data",
    [
        {"email": "", "role": "viewer"},
        {"email": "nobody", "role": "viewer"},
        {"email": "new@example.com", "role": "root"},
        {"email": "new@example.com", "role": ""},
        {"email": "owner@example.com", "role": "viewer"},
    ],
)
def test_a_wrong_invitation_changes_nothing(owner: Console, data: dict[str, str]) -> None:
    owner.get("/admin/users")
    assert owner.post("/admin/users", data).status_code == 422
    assert user_named("owner@example.com").role is Role.owner
    assert "new@example.com" not in owner.text("/admin/users")


def test_an_account_is_closed_and_opened_but_never_ones_own(owner: Console, signed_in: Callable[..., Console]) -> None:
    signed_in(Role.viewer, "jan@example.com")
    jan, myself = user_named("jan@example.com").public_id, user_named("owner@example.com").public_id
    owner.get("/admin/users")
    owner.post(f"/admin/users/{jan}/close")
    assert not user_named("jan@example.com").active
    owner.post(f"/admin/users/{jan}/open")
    assert user_named("jan@example.com").active
    assert owner.post(f"/admin/users/{myself}/close").status_code == 400
    assert user_named("owner@example.com").active
    assert owner.post("/admin/users/aaaaaaaaaaaaaaaa/close").status_code == 404
