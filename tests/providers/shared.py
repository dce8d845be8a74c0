"""Where the shared samples of webhooks lie, if they do."""

from tests.support.sources import ROOT

FOLDER = ROOT.parent / "shared" / "webhooks"
