"""What each row of the matrix ends with. A scenario of real processes tells it itself; here it is told for those in one process."""

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from preference_center.db import db
from preference_center.delivery.models import Message, MessageState


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest) -> Iterator[None]:
    """`relay`: the one in this process, where the test has it. Nobody is killed there; what crashes does so by a failpoint."""
    if "app" not in request.fixturenames or request.node.get_closest_marker("processes"):
        yield
        return
    request.getfixturevalue("app")
    relay = request.getfixturevalue("relay") if "relay" in request.fixturenames else None
    yield
    db.session.rollback()
    doubtful = db.session.scalar(select(func.count()).where(Message.state == MessageState.uncertain))
    db.session.rollback()
    if relay is None:
        print(f"one process: kills 0, uncertain {doubtful}")
        return
    got = Counter((message.recipient, message.message_id) for message in relay.messages)
    copies = sum(count - 1 for count in got.values())
    print(f"one process: kills 0, accepted {got.total()}, copies {copies}, uncertain {doubtful}")
