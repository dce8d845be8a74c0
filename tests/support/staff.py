"""Users for tests, and the codes of their authenticator."""

from preference_center import clock
from preference_center.accounts import invitations, passwords, two_factor
from preference_center.accounts.models import User
from preference_center.accounts.permissions import Role

PASSWORD = "rain on four tin roofs"


def user(email: str = "maria@example.com", role: Role = Role.owner, *, second_factor: bool = True) -> User:
    """Somebody who accepted their invitation."""
    made = invitations.invite(email, role).user
    passwords.set_password(made, PASSWORD)
    if second_factor:
        made.tf_totp_secret, made.tf_primary_method = two_factor.new_secret(), "authenticator"
    return made


def code(secret: str | None, *, steps: int = 0) -> str:
    """What the authenticator shows now, or some steps of 30 seconds ago (negative) or ahead."""
    at = int(clock.now().timestamp()) + steps * two_factor.STEP
    return str(two_factor._codes()._totp.from_source(secret).generate(time=at).token)
