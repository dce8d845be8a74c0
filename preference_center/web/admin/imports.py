"""Importing a file of contacts: upload, say what it holds and where consent comes from, try it without storing, then do it."""

from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, DateField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from preference_center import jobs
from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.consent.declaring import declared
from preference_center.contacts import attributes, imports, mapping
from preference_center.contacts.models import Import, ImportState
from preference_center.contacts.spreadsheets import as_csv
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid, NotFound
from preference_center.i18n import LANGUAGES
from preference_center.topics import catalogue
from preference_center.topics.purposes import LegalBasis
from preference_center.web.admin import words
from preference_center.web.admin.gate import allowed, me, pages
from preference_center.web.admin.words import options, put_faults

SHOWN_FAULTS = 200
_TERMS = ("source", "basis", "topics", "wording", "wording_language", "consented_on", "soft_opt_in")


class UploadForm(FlaskForm):  # type: ignore[misc]
    file = FileField(_l("CSV file"), [InputRequired(_l("Choose a file."))])


class TermsForm(FlaskForm):  # type: ignore[misc]
    source = StringField(
        _l("Where these people come from"), [InputRequired(_l("Say where these people come from.")), Length(max=200)]
    )
    topics = SelectMultipleField(_l("What they agreed to"), widget=ListWidget(), option_widget=CheckboxInput())
    basis = SelectField(_l("What allows the mail"))
    soft_opt_in = BooleanField(
        _l(
            "For existing customers: the address was got at a sale, we mail about our own similar products, "
            "and they could refuse then and in every mail since"
        )
    )
    consented_on = DateField(_l("When they agreed"), [Optional()])
    wording = TextAreaField(_l("What the text they agreed to said"), [Length(max=2000)])
    wording_language = SelectField(_l("Language of that text"), choices=options(LANGUAGES.items()))
    overwrite = BooleanField(_l("Let the file replace the language, time zone and country of people we know"))

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.topics.choices = options((topic.key, topic.name("en")) for topic in declared.declarable())
        bases = [(basis.value, words.BASES[basis]) for basis in LegalBasis]
        self.basis.choices = options([("", _l("Nothing: store them without consent")), *bases])

    def terms(self) -> dict[str, Any]:
        chosen = {name: self[name].data for name in (*_TERMS, "overwrite")}
        return chosen | {"basis": chosen["basis"] or None, "wording": chosen["wording"] or ""}


@pages.get("/imports")
@allowed(Permission.import_contacts)
def imports_list() -> ResponseReturnValue:
    return render_template("admin/imports/imports.html", imports=imports.recent(50))


@pages.route("/imports/new", methods=["GET", "POST"])
@allowed(Permission.import_contacts, max_bytes=imports.PAGE_LIMIT + 64 * 1024)
def new_import() -> ResponseReturnValue:
    form = UploadForm()
    if form.validate_on_submit():
        file = form.file.data
        try:
            with transaction():
                received = imports.receive(file.stream, file.filename or "file.csv", me().actor)
                public_id = received.public_id
        except Invalid as fault:
            form.file.errors = [fault.message]
        else:
            return redirect(url_for("admin.import_", public_id=public_id))
    return render_template("admin/imports/import_new.html", form=form), 200 if request.method == "GET" else 422


@pages.route("/imports/<public_id>", methods=["GET", "POST"])
@allowed(Permission.import_contacts)
def import_(public_id: str) -> ResponseReturnValue:
    """One address for the whole way: terms, trial run, result. It shows whatever comes next."""
    found = imports.by_public_id(public_id)
    if request.method == "GET" and found.declared and "terms" not in request.args:
        return _result(found)
    form = TermsForm() if request.method == "POST" else TermsForm(formdata=None, **_said_before(found))
    chosen = _mapping_from_form()
    if form.validate_on_submit():
        terms = form.terms()
        try:
            seen = declared.look(found, chosen, overwrite=bool(terms["overwrite"]))
            with transaction():
                found = imports.by_public_id(public_id)
                declared.declare(found, mapping=chosen, dry_run=True, seen=seen, **terms)
                jobs.later(jobs.IMPORT_FILE, found.id)
        except Invalid as fault:
            put_faults(form, fault)
        else:
            return redirect(url_for("admin.import_", public_id=public_id))
    return _terms(found, form, chosen), 200 if request.method == "GET" else 422


@pages.post("/imports/<public_id>/store")
@allowed(Permission.import_contacts)
def store_import(public_id: str) -> ResponseReturnValue:
    """The same file on the same terms as the trial run, and this time for good."""
    try:
        found = _tried(public_id)
        terms = {name: found.declared[name] for name in (*_TERMS, "encoding", "overwrite")}
        left_out = dict.fromkeys(imports.guess(found).mapping, "")  # else they would be guessed again
        chosen = left_out | found.declared["mapping"]
        seen = declared.look(found, chosen, terms["encoding"], overwrite=terms["overwrite"])
        with transaction():
            found = _tried(public_id)
            declared.declare(found, mapping=chosen, dry_run=False, seen=seen, **terms)
            jobs.later(jobs.IMPORT_FILE, found.id)
    except Conflict as conflict:
        flash(conflict.message, "warn")
    return redirect(url_for("admin.import_", public_id=public_id))


def _tried(public_id: str) -> Import:
    found = imports.by_public_id(public_id)
    if found.state is not ImportState.done or not found.dry_run:
        raise Conflict(_("Only a trial run that is over can be stored."))
    return found


@pages.post("/imports/<public_id>/cancel")
@allowed(Permission.import_contacts)
def cancel_import(public_id: str) -> ResponseReturnValue:
    try:
        with transaction():
            imports.cancel(imports.by_public_id(public_id))
    except Conflict as conflict:
        flash(conflict.message, "warn")
    else:
        flash(_("Stopped. What was stored before stays."), "good")
    return redirect(url_for("admin.import_", public_id=public_id))


@pages.post("/imports/<public_id>/resume")
@allowed(Permission.import_contacts)
def resume_import(public_id: str) -> ResponseReturnValue:
    try:
        with transaction():
            found = imports.by_public_id(public_id)
            imports.resume(found)
            audit.note(me().actor, "import.resumed", "import", public_id)
            jobs.later(jobs.IMPORT_FILE, found.id)
    except (Conflict, NotFound) as refused:
        flash(refused.message, "warn")
    return redirect(url_for("admin.import_", public_id=public_id))


@pages.get("/imports/<public_id>/faults.csv")
@allowed(Permission.import_contacts)
def import_faults(public_id: str) -> Response:
    found = imports.by_public_id(public_id)
    rows = [("line", "field", "reason"), *((f.line, f.field, f.reason) for f in imports.faults(found))]
    response = Response(as_csv(rows), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="faults-{public_id}.csv"'
    return response


def _result(found: Import) -> str:
    return render_template(
        "admin/imports/import.html",
        found=found,
        figures=found.figures,
        is_live=found.state in (ImportState.uploaded, ImportState.running),
        faults=list(imports.faults(found, SHOWN_FAULTS)),
        topics={topic.key: topic for topic in catalogue.everything()},
        most=SHOWN_FAULTS,
    )


def _terms(found: Import, form: TermsForm, chosen: dict[str, str]) -> str:
    try:
        guess = imports.guess(found)
    except (NotFound, Invalid) as gone:
        return render_template("admin/imports/import_gone.html", found=found, message=gone.message)
    by_column = {column: field for field, column in (guess.mapping | chosen).items() if column}
    known = attributes.declared()
    fields = [*mapping.FIELDS, *known, *(key for key in mapping.SAFE_ATTRIBUTES if key not in known)]
    return render_template(
        "admin/imports/import_terms.html", found=found, form=form, guess=guess, by_column=by_column, fields=fields
    )


def _mapping_from_form() -> dict[str, str]:
    """Field to column, from one choice beside each column; a guess the person took back is left out by name."""
    columns = request.form.getlist("column")
    fields = request.form.getlist("field")
    guessed = request.form.getlist("guessed")
    chosen = {field: column for column, field in zip(columns, fields, strict=False) if field}
    return {field: "" for field in guessed if field and field not in chosen} | chosen


def _said_before(found: Import) -> dict[str, Any]:
    """The terms of an earlier trial run, to be changed and tried again."""
    said = {name: found.declared.get(name) for name in (*_TERMS, "overwrite")} if found.declared else {}
    said.pop("consented_on", None)
    return {name: value for name, value in said.items() if value}
