"""How long the law gives us to answer, by where the person lives. Days are calendar days, which is never too late."""

import calendar
from datetime import datetime, timedelta

_DAYS = {
    "BR": 15,  # LGPD 19, II
    "MX": 20,  # LFPDPPP: 20 working days to answer; 15 more to act
}


def due(jurisdiction: str | None, asked_at: datetime) -> datetime:
    """One month (GDPR 12(3)), unless a stricter law is known to apply."""
    if jurisdiction in _DAYS:
        return asked_at + timedelta(days=_DAYS[jurisdiction])
    return _a_month_after(asked_at)


def _a_month_after(moment: datetime) -> datetime:
    """The same day of the next month, or its last one (Regulation 1182/71, 3(2)(c))."""
    year, month = divmod(moment.year * 12 + moment.month, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
