"""What can go wrong in the house, in words a person can act on. `web/errors.py` alone turns these into a status and a page."""


class DomainError(Exception):
    """Something was refused. The message says what is wrong and what to do; it never holds an address or a token."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(DomainError):
    """The thing named does not exist, or not for the one who asks."""


class NotAllowed(DomainError):
    """The one who asks may not do this."""


class Invalid(DomainError):
    """The input is wrong. `faults` maps a field's name to what is wrong with it, for forms."""

    def __init__(self, message: str, faults: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.faults = faults or {}


class Conflict(DomainError):
    """Somebody else changed it meanwhile, or it is in a state that does not allow this."""


class Unavailable(DomainError):
    """A part we depend on does not answer now; nothing was changed and trying again later makes sense."""
