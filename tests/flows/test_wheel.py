"""The wheel stands alone: installed into an empty environment, away from the repository, it has its pages, styles and migrations."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.sources import ROOT

pytestmark = pytest.mark.processes

# what lies beside the package in the repository lies inside it in the wheel
INSIDE = {"preference_center": "preference_center", "worker": "worker"}
INSIDE |= {folder: f"preference_center/_assets/{folder}" for folder in ("templates", "static")}

OPEN_PAGES = """
import json, pathlib, preference_center, worker
from preference_center.app import create_app
client = create_app().test_client()
page = client.get("/subscribe")
sheet = next(part.split('"')[0] for part in page.text.split('href="') if part.startswith("/static/css/"))
print(json.dumps({
    "from": str(pathlib.Path(preference_center.__file__).parent),
    "worker": str(pathlib.Path(worker.__file__).parent),
    "page": [page.status_code, page.mimetype],
    "static": [client.get(sheet).status_code, client.get(sheet).mimetype],
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), at=ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment's programs; the libraries are lent by the one that runs the tests, but not our own code."""
    home = tmp_path_factory.mktemp("elsewhere") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(home), at=home.parent)
    python = str(home / "bin" / "python")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        str(wheel),
        at=home.parent,
    )
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", at=home.parent).strip())
    lent = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (site / "lent.pth").write_text("\n".join(lent))  # a folder named so has its own .pth files ignored, ours too
    return home / "bin"


def run(*command: str, at: Path, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    done = subprocess.run(command, cwd=at, env=kept | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_the_product_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", *INSIDE, at=ROOT).splitlines()
    wanted = {
        name.replace(top, INSIDE[top], 1)
        for name in files
        if (top := name.split("/")[0]) and (ROOT / name).exists() and not name.endswith((".gitkeep", ".gitignore"))
    }
    assert wanted - names == set()
    kept_out = {name for name in names if "secrets" in name and not name.endswith(".py")}  # an embedded demo's own keys
    assert kept_out | {name for name in names if name.startswith("tests/")} == set()


def test_the_program_and_the_pages_work_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    assert "Nobody is mailed" in run(str(installed / "preference-center"), "--help", at=tmp_path).replace(
        "nobody", "Nobody"
    )
    settings = {
        "DATA_DIR": str(tmp_path / "data"),
        "PUBLIC_URL": "http://127.0.0.1:8000",
        "RELAY_URL": "smtp://127.0.0.1:1",
        "MAIL_FROM": "Example Shop <news@example.com>",
        "ORGANISATION": "Example Shop Ltd",
        "POSTAL_ADDRESS": "1 Long Street, 00-001 Warsaw, Poland",
    }
    run(str(installed / "pc"), "db", "upgrade", at=tmp_path, **settings)
    seen = json.loads(run(str(installed / "python"), "-c", OPEN_PAGES, at=tmp_path, **settings))
    home = str(installed.parent)
    assert seen["from"].startswith(home) and seen["worker"].startswith(home)
    assert seen["page"] == [200, "text/html"]
    assert seen["static"] == [200, "text/css"]
