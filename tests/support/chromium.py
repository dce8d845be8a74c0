"""Finds Chromium for the browser tests. Run as a program (`make chromium`) it also brings one, or says in one line what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "The browser tests need Chromium: install the package chromium of your system, or Google Chrome, and run make test again."


def find() -> str | None:
    """The program to start: the system's, else the one Playwright keeps; None when there is neither."""
    for name in NAMES:
        if program := shutil.which(name):
            return program
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = playwright.chromium.executable_path
    return program if Path(program).exists() else None


def arguments() -> list[str]:
    """Chromium refuses its sandbox to root, and /dev/shm is small in containers."""
    return (["--no-sandbox"] if os.geteuid() == 0 else []) + ["--disable-dev-shm-usage"]


def bring() -> bool:
    """From Debian where we may install, else Playwright's own build."""
    if os.geteuid() == 0 and _is_debian() and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        print("Installing Chromium from Debian", flush=True)
        steps = [
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"],
        ]
        return all(
            subprocess.run(step, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0
            for step in steps
        )
    print("Installing Playwright's Chromium", flush=True)
    step = [sys.executable, "-m", "playwright", "install", "chromium"]
    return (
        subprocess.run(step, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        == 0
    )


def _is_debian() -> bool:
    release = Path("/etc/os-release")
    return release.exists() and "ID=debian" in release.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__" and find() is None and not (bring() and find()):
    sys.exit(MISSING)
