"""The next version of the program, as a release may look: a copy of this one with a column, a state, a table and jobs more."""

import shutil
from pathlib import Path

from alembic.script import ScriptDirectory

from tests.support.sources import ROOT

HOST = "of the next version"  # stands in its runs, so that they can be told from ours
PARTS = ("preference_center", "worker", "templates", "static")

_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{new}", "{old}"


def upgrade():
    op.add_column("messages", sa.Column("weight", sa.SmallInteger(), server_default="1", nullable=False))
    op.create_table("greetings", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("words", sa.String(80)))


def downgrade():
    op.drop_table("greetings")
    op.drop_column("messages", "weight")
"""
_MODELS = """

Message.weight = mapped_column(SmallInteger, server_default="1")
"""
_JOBS = """

_as_before = deliver


@job
def deliver(campaign_id: int, words: str = "") -> None:
    _as_before(campaign_id)


@job
def greet(words: str) -> None:
    log.info("greeted", words=words)
"""


def make(folder: Path) -> str:
    """Lay it into this folder; the number of its migration."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    migrations = folder / "preference_center" / "migrations"
    old = ScriptDirectory(str(migrations)).get_current_head()
    new = f"{int(old or 0) + 1:04}"
    (migrations / "versions" / f"{new}_next.py").write_text(_MIGRATION.format(new=new, old=old), encoding="utf-8")
    delivery = folder / "preference_center" / "delivery"
    _append(delivery / "models.py", _MODELS)
    _append(folder / "worker" / "jobs" / "delivery.py", _JOBS)
    sending = delivery / "sending.py"
    source = sending.read_text(encoding="utf-8")
    assert source.count("host=socket.gethostname()[:80]") == 1
    sending.write_text(source.replace("host=socket.gethostname()[:80]", f"host={HOST!r}"), encoding="utf-8")
    return new


def _append(file: Path, lines: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + lines, encoding="utf-8")
