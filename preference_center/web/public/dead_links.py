"""The one page for every link that opens nothing: forged, cut off, expired, ended, or of somebody we do not know (S41)."""

from flask import Response, make_response, render_template

from preference_center.web.guards import DeadLink


def show(_dead: DeadLink) -> Response:
    return make_response(render_template("public/dead_link.html"), 404)
