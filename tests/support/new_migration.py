"""`make migration ARGS="add notes to contacts"`: drafts the next numbered step from the difference between models and migrations."""

import sys
import tempfile
from pathlib import Path

import flask_migrate

from preference_center.app import create_app
from tests.conftest import make_settings
from tests.support.bell import WrittenBell
from tests.support.sources import ROOT

if __name__ == "__main__":
    message = " ".join(sys.argv[1:])
    if not message:
        sys.exit('Say what the step does: make migration ARGS="add notes to contacts"')
    versions = ROOT / "preference_center" / "migrations" / "versions"
    before = set(versions.glob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(make_settings(Path(folder), f"sqlite:///{folder}/draft.db"), bell=WrittenBell())
        with app.app_context():
            flask_migrate.upgrade()
            flask_migrate.migrate(message=message)
    made = sorted(str(file.relative_to(ROOT)) for file in set(versions.glob("*.py")) - before)
    print(f"Drafted {made[0]}: read it before it is kept." if made else "The models say nothing new.")
