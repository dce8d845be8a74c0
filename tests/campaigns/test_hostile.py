"""The hostile list of templates against hard limits: refused with a line number in under 2 s and 200 MB each, in a process of its own.

Templates are refused while they are read, so nothing hostile is ever run and no child process is needed for rendering. What is
heavy work for the readers of Markdown, HTML and styles is refused as well, or done within the same limits.
"""

import subprocess
import sys

CHILD = """
import resource, time
from pathlib import Path
from preference_center.campaigns.rendering import compiling, templating
from preference_center.errors import Invalid
from tests.campaigns.test_templating import HOSTILE, KNOWN

pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 200_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
more = {
    "deep": "{% if city %}" * 1000 + "{% endif %}" * 1000,
    "brackets": "{{ " + "(" * 390,
    "long tag": "{{ " + "x" * 100_000 + " }}",
    "many filters": "{{ city" + "|upper" * 60 + " }}",
    "center": "{{ city|center(500000000) }}",
    "format": "{{ '%0500000000d' % 1 }}",
    "nul": "a" + chr(0),
    "half a character": "a" + chr(0xD800),
}
for name, source in (HOSTILE | more).items():
    begun = time.monotonic()
    try:
        templating.read("Hello\\n" + source, KNOWN, "source")
    except Invalid as refused:
        assert "line 2: " in refused.message, (name, refused.message)
    else:
        raise AssertionError(f"{name} was let through")
    assert time.monotonic() - begun < 2, name
contents = {
    "brackets in a style": ("html", "<style>p{color:" + "(" * 180_000 + "}</style><p>x</p>"),
    "addresses in a style": ("html", "<style>p{background:" + "url(" * 45_000 + "}</style><p>x</p>"),
    "comments in a style": ("html", "<style>" + "/* " * 50_000 + "</style><p>x</p>"),
    "spaces in an address": ("html", "<style>p{background:url(" + " " * 100_000 + "a b)}</style><p>x</p>"),
    "neighbours": ("html", "<style>" + ".no ~ p ~ p ~ p{color:red}" * 300 + "</style>" + "<p>x</p>" * 7000),
    "rules": ("html", "<style>" + "p{color:red}" * 9000 + "</style>" + "<p>x</p>" * 7000),
    "brackets in a selector": ("html", "<style>p" + "[a" * 80_000 + "{display:none}</style><p>x</p>"),
    "selectors of anything": ("html", "<style>" + ":no{width:1px}" * 1400 + "</style><!--[if mso]><p><![endif]-->" + "<p>x</p>" * 7000),
    "nested in cells": ("html", "<div><table><tr><td></div>" * 2600),
    "nested for Outlook": ("html", "<!--[if mso]>" + "<div>" * 15_000 + "<![endif]--><p>x</p>"),
    "grown for Outlook": (
        "html", "<!--[if mso]><p>" + "".join(f"<b id={n}>" for n in range(90)) + "</p><![endif]-->" + "<p>x</p>" * 3900
    ),
    "rules for Outlook": ("html", "<style>" + ".no{display:none}" * 1400 + "</style><!--[if mso]><p><![endif]-->" + "<p>x</p>" * 7000),
    "signs": ("html", "<" * 190_000),
    "signs in Markdown": ("markdown", "&" * 190_000),
}
for name, (kind, source) in contents.items():
    begun = time.process_time()
    try:
        made = {"subject": "News", "preheader": "", "format": kind, "source": source, "text_source": ""}
        compiling.compiled(made, {})
    except Invalid as refused:
        assert "line 1: " in refused.message, (name, refused.message)
    assert time.process_time() - begun < 2, name
print(len(HOSTILE) + len(more) + len(contents))
"""


def test_each_hostile_template_ends_in_an_error_with_its_line_within_two_seconds_and_200_megabytes() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 30
