"""GET /p/<token>/consents, …/<record> and …/<record>.json: a person's own records, a receipt of each to print or keep, and proofs.

POST …/<record>/mail sends the receipt to the mailbox. A proof file got here holds no address: the link may have been forwarded.
"""

import structlog
from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from preference_center import i18n
from preference_center.consent.chain.proof import Unsealed
from preference_center.db import transaction
from preference_center.errors import Invalid, Unavailable
from preference_center.i18n import gettext as _
from preference_center.preferences import receipts
from preference_center.signed_links import Power
from preference_center.web.guards import Link, LinkForm, limiter, refuse_other_sites, signed_link
from preference_center.web.public import pages, words

log = structlog.get_logger()


@pages.get("/p/<token>/consents")
@signed_link(Power.manage)
def consents(link: Link) -> ResponseReturnValue:
    return _consents(link)


def _consents(link: Link, fault: str = "") -> str:
    return render_template(
        "public/managing/preferences_consents.html",
        contact=link.contact,
        token=link.token,
        history=receipts.history(link.contact),
        provable=receipts.provable(link.contact),
        fault=fault,
        language=i18n.current_language(),
        words=words,
    )


@pages.get("/p/<token>/consents/<record>")
@signed_link(Power.manage)
def receipt(link: Link, record: str) -> ResponseReturnValue:
    return _receipt(link, record)


@pages.post("/p/<token>/consents/<record>/mail")
@signed_link(Power.manage)
def mail_receipt(link: Link, record: str) -> ResponseReturnValue:
    refuse_other_sites()
    if not LinkForm(link).validate():
        return _receipt(link, record), 400
    with transaction():
        receipts.mail(link.contact, receipts.receipt(link.contact, record))
    return _receipt(link, record)


@pages.get("/p/<token>/consents/<record>.json")
@signed_link(Power.manage)
def receipt_file(link: Link, record: str) -> ResponseReturnValue:
    found = receipts.receipt(link.contact, record)
    return _file(
        receipts.as_file(found, link.contact, i18n.current_language()),
        "application/ld+json",
        f"receipt-{found.record.public_id}.json",
    )


@pages.get("/p/<token>/proof/<key>.json")
@limiter.limit("20 per hour")
@signed_link(Power.manage)
def proof_file(link: Link, key: str) -> ResponseReturnValue:
    try:
        content = receipts.proof(link.contact, key)
    except (Unavailable, Invalid, OSError) as trouble:
        if not isinstance(trouble, Unsealed):
            log.error("proof.not_made", topic=key, trouble=str(trouble))
        late = _(
            "This proof file cannot be made at the moment. What you said last may need some seconds: try again then."
        )
        return _consents(link, late), 503, {"Retry-After": "10"}
    return _file(content, "application/json", f"proof-{key}.json")


def _receipt(link: Link, record: str) -> str:
    return render_template(
        "public/managing/receipt.html",
        contact=link.contact,
        token=link.token,
        receipt=receipts.receipt(link.contact, record),
        language=i18n.current_language(),
        form=LinkForm(link),
        signed=receipts.may_sign(),
        mailed=request.method == "POST",
        words=words,
    )


def _file(content: bytes, kind: str, name: str) -> ResponseReturnValue:
    answer = make_response(content)
    answer.headers["Content-Type"] = kind
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
