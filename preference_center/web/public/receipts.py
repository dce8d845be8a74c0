"""GET /p/<token>/consents, …/<record> and …/<record>.json: a person's own records, and a receipt to print or keep."""

from flask import json, make_response, render_template
from flask.typing import ResponseReturnValue

from preference_center import i18n
from preference_center.preferences import receipts
from preference_center.signed_links import Power
from preference_center.web.guards import Link, signed_link
from preference_center.web.public import pages, words


@pages.get("/p/<token>/consents")
@signed_link(Power.manage)
def consents(link: Link) -> ResponseReturnValue:
    return render_template(
        "public/preferences_consents.html",
        contact=link.contact,
        token=link.token,
        history=receipts.history(link.contact),
        language=i18n.current_language(),
        words=words,
    )


@pages.get("/p/<token>/consents/<record>")
@signed_link(Power.manage)
def receipt(link: Link, record: str) -> ResponseReturnValue:
    return render_template(
        "public/receipt.html",
        contact=link.contact,
        token=link.token,
        receipt=receipts.receipt(link.contact, record),
        language=i18n.current_language(),
        words=words,
    )


@pages.get("/p/<token>/consents/<record>.json")
@signed_link(Power.manage)
def receipt_file(link: Link, record: str) -> ResponseReturnValue:
    found = receipts.receipt(link.contact, record)
    data = receipts.as_data(found, link.contact, i18n.current_language())
    answer = make_response(json.dumps(data, indent=2, sort_keys=False, ensure_ascii=False) + "\n")
    answer.headers["Content-Type"] = "application/ld+json"
    answer.headers["Content-Disposition"] = f'attachment; filename="receipt-{found.record.public_id}.json"'
    return answer
