"""The one page for every link that opens nothing: forged, cut off, expired, ended, or of somebody we do not know (S41)."""

from flask import Response, make_response, render_template, request

from preference_center.web.guards import DeadLink


def show(_dead: DeadLink) -> Response:
    template = "managing/data_dead" if request.path.startswith("/d/") else "dead_link"
    return make_response(render_template(f"public/{template}.html"), 404)
