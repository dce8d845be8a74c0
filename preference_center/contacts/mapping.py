"""Which column holds what: guessed from the column's name in four languages, and overruled by what a person says.

A column nobody mapped is left alone; nothing about a person is stored that was not asked for (GDPR 5(1)(c)).
"""

import re
from collections.abc import Iterable, Mapping

from preference_center.contacts.cells import folded
from preference_center.errors import Invalid

FIELDS = ("email", "language", "time_zone", "country", "status", "consented_at", "consent_source")
# merge fields that every mail has; no attribute may hide them
RESERVED = frozenset(FIELDS) | {
    "organisation", "postal_address", "topic", "unsubscribe", "unsubscribe_url", "preferences", "preferences_url", "why",
    "browser", "browser_url",
    "subject", "preheader", "footer", "contact",
}  # fmt: skip
_OTHER_NAMES = {"jurisdiction": "country", "zone": "time_zone", "lang": "language", "consent_date": "consented_at"}
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,39}")

# attributes that are declared by a guess, because they greet a person and say nothing delicate
SAFE_ATTRIBUTES = {"first_name": "First name", "last_name": "Last name", "city": "City"}

_NAMES: dict[str, str] = {
    "email": "email|e mail|mail|email address|e mail address|mail address|subscriber email|contact email|your email|adres email|"
    "adres e mail|adres mailowy|adres poczty elektronicznej|poczta|correo|correo electronico|direccion de correo|"
    "direccion de correo electronico|direccion de email|endereco de email|endereco de e mail|endereco eletronico|"
    "correio eletronico|email 1|primary email|e mail 1 value",
    "first_name": "first name|firstname|fname|given name|forename|imie|nombre|nombre de pila|primer nombre|nome|primeiro nome",
    "last_name": "last name|lastname|lname|surname|family name|nazwisko|apellido|apellidos|primer apellido|sobrenome|apelido|"
    "ultimo nome",
    "city": "city|town|miasto|miejscowosc|ciudad|localidad|poblacion|cidade|localidade",
    "language": "language|lang|locale|preferred language|preferred locale|jezyk|idioma|lengua|idioma preferido|lingua",
    "country": "country|country code|country region|cc|kraj|panstwo|kod kraju|pais|codigo de pais|codigo do pais|jurisdiction",
    "time_zone": "time zone|timezone|tz|strefa czasowa|zona horaria|huso horario|fuso horario",
    "status": "status|subscription status|subscribed|subscription|newsletter|newsletter status|opt in|optin|opted in|member status|"
    "email status|marketing status|email marketing consent|email marketing status|accepts marketing|"
    "accepts email marketing|consent|consent status|zgoda|status zgody|zgoda na newsletter|zgoda marketingowa|stan|"
    "status subskrypcji|subskrypcja|suscripcion|suscrito|estado|estado de suscripcion|boletin|consentimiento|"
    "assinatura|inscrito|situacao|status da assinatura|consentimento|unsubscribed|opt out|opted out|optout|"
    "opted out of email|unsubscribed from all email|wypisany|dado de baja|descadastrado",
    "consented_at": "consent date|consented at|consent time|date of consent|consent timestamp|optin time|opt in time|opt in date|"
    "optin date|confirm time|confirm date|subscribed at|subscribed on|subscription date|subscribe date|signup date|"
    "sign up date|opted in at|data zgody|data wyrazenia zgody|data zapisu|data subskrypcji|fecha de consentimiento|"
    "fecha del consentimiento|fecha de suscripcion|fecha de alta|data do consentimento|data de consentimento|"
    "data de inscricao|data da inscricao|data de assinatura",
    "consent_source": "consent source|source of consent|optin source|opt in source|signup source|signup form|zrodlo zgody|"
    "fuente del consentimiento|origen del consentimiento|fonte do consentimento|origem do consentimento",
}  # fmt: skip
_BY_NAME = {name: field for field, names in _NAMES.items() for name in names.split("|")}
_SAYS_NO = {
    "unsubscribed", "opt out", "opted out", "optout", "opted out of email", "unsubscribed from all email", "wypisany",
    "dado de baja", "descadastrado",
}  # fmt: skip


# Columns that tell who left without being a status: a yes, a day, a reason. A file may have one beside its status.
_LEFT = _SAYS_NO | {
    "email opt out", "has opted out of email", "hasoptedoutofemail", "do not email", "do not mail", "do not contact", "unsub time",
    "unsub reason", "unsubscribed at", "unsubscribed on", "unsubscribe date", "unsubscribe time", "date unsubscribed",
    "opted out at", "opt out date", "opt out time", "optout date", "optout time", "data wypisania", "data rezygnacji",
    "fecha de baja", "data de descadastro",
}  # fmt: skip
_NOT_LEFT = {"", "no", "n", "false", "f", "0", "off", "nie", "falsz", "nao", "falso", "none", "null", "na", "n a"}


def guess(columns: Iterable[str], attributes: Mapping[str, str]) -> dict[str, str]:
    """Field to column, the first column that fits each. `attributes` are the declared ones, key to name."""
    known = {folded(word): key for key, name in attributes.items() for word in (key, name)}
    found: dict[str, str] = {}
    for column in columns:
        field = known.get(folded(column)) or _BY_NAME.get(folded(column))
        if field and field not in found:
            found[field] = column
    return found


def agreed(columns: tuple[str, ...], explicit: Mapping[str, str], attributes: Mapping[str, str]) -> dict[str, str]:
    """The guess, overruled by `explicit` (field to column; an empty column leaves the field out). Invalid names all faults."""
    faults: dict[str, str] = {}
    by_name = {folded(column): column for column in columns if folded(column)}
    said: dict[str, str] = {}
    for name, wanted in explicit.items():
        field = field_named(name)
        if not field:
            faults[name] = "Name a field with small letters, digits and _, such as first_name."
            continue
        if field in RESERVED and field not in FIELDS:
            faults[name] = f"{field} means something of ours in every mail; choose another name."
            continue
        column = wanted if wanted in columns else by_name.get(folded(wanted), "")
        if wanted and not column:
            faults[name] = _no_such_column(wanted, columns)
        said[field] = column
    taken = set(said.values())
    guessed = {f: c for f, c in guess(columns, attributes).items() if f not in said and c not in taken}
    whole = {field: column for field, column in (guessed | said).items() if column}
    if "email" not in whole and "email" not in faults:
        faults["email"] = f"Say which column holds the address: {', '.join(columns)}."
    if faults:
        raise Invalid(" ".join(f"{name}: {what}" for name, what in faults.items()), faults)
    return whole


def field_named(name: str) -> str:
    """The field a person means; empty when it cannot be one. Anything that is not ours is an attribute."""
    key = name.strip().lower().removeprefix("attribute:").replace("-", "_").replace(" ", "_")
    key = _OTHER_NAMES.get(key, key)
    return key if _ATTRIBUTE.fullmatch(key) else ""


def attribute_fields(mapped: Mapping[str, str]) -> dict[str, str]:
    return {field: column for field, column in mapped.items() if field not in FIELDS}


def says_no(column: str) -> bool:
    """Whether "yes" in this column means that the person left ("Opted out of email")."""
    return folded(column) in _SAYS_NO


def columns_of_leaving(columns: Iterable[str], status: str | None) -> list[int]:
    """The places of columns that tell who left, beside the one that is read as the status."""
    named = ((place, column, re.sub(r" \(column \d+\)$", "", column)) for place, column in enumerate(columns))
    return [place for place, column, name in named if column != status and folded(name) in _LEFT]


def has_left(cell: str | None) -> bool:
    """Whether a cell of such a column says so. What cannot be read, or is neither a plain no nor empty, is a yes."""
    return cell is None or (folded(cell) or cell.strip()) not in _NOT_LEFT


def _no_such_column(wanted: str, columns: tuple[str, ...]) -> str:
    twice = [column for column in columns if column.startswith(f"{wanted} (column ")]
    if twice:
        return f"The file has this name more than once; choose {' or '.join(twice)}."
    return f"There is no such column. The file has: {', '.join(columns)}."
