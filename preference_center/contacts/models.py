"""A contact is a person we hold one address for; an import is a file such people came from."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, BigId, WithPublicId, text_enum


class AddressStatus(StrEnum):
    ok = "ok"
    invalid = "invalid"  # cannot be written to: fails the syntax of RFC 5321/6531
    null_mx = "null_mx"  # the domain takes no mail (RFC 7505)


class Contact(WithPublicId, Base):
    """One person, one address. After erasure the row stays as an empty mark, so that figures still add up."""

    __tablename__ = "contacts"

    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary(16), unique=True)  # keyed; see addresses.py
    email: Mapped[str | None] = mapped_column(String(254))
    address_status: Mapped[AddressStatus] = mapped_column(text_enum(AddressStatus, 8), default=AddressStatus.ok)
    language: Mapped[str] = mapped_column(String(5), default="en")
    time_zone: Mapped[str | None] = mapped_column(String(40))
    jurisdiction: Mapped[str | None] = mapped_column(String(2))  # ISO 3166-1 alpha-2
    jurisdiction_source: Mapped[str | None] = mapped_column(String(12))  # declared, import, form, assumed
    source: Mapped[str] = mapped_column(String(40), default="")  # how we came to know: form:…, import:…, admin
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    link_epoch: Mapped[int] = mapped_column(SmallInteger, default=0)  # raised to end older manage links
    restricted_at: Mapped[datetime | None]  # GDPR 18: kept, but not used
    erased_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def move_to(self, email: str, address_hash: bytes, now: datetime) -> None:
        """Mail goes there from now on; links to the preference page in earlier mail end."""
        self.email, self.address_hash, self.address_status = email, address_hash, AddressStatus.ok
        self.link_epoch += 1
        self.updated_at = now

    def restrict(self, now: datetime) -> None:
        self.restricted_at = self.restricted_at or now
        self.updated_at = now

    def lift_restriction(self, now: datetime) -> None:
        self.restricted_at = None
        self.updated_at = now

    def forget(self, now: datetime) -> None:
        """Empty the row. The language stays, so that the links in old mail still answer in words the person reads."""
        self.email = self.address_hash = self.time_zone = self.jurisdiction = self.jurisdiction_source = None
        self.address_status, self.source, self.attributes = AddressStatus.ok, "", {}
        self.link_epoch += 1
        self.restricted_at = None
        self.erased_at = self.updated_at = now


class AddressChange(WithPublicId, Base):
    """A new address a contact asked for: in force once its owner confirms there, and taken back by the owner of the old one."""

    __tablename__ = "address_changes"

    contact_id: Mapped[int] = mapped_column(BigId, index=True)
    old_email: Mapped[str] = mapped_column(String(254))
    old_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    new_email: Mapped[str] = mapped_column(String(254))
    new_hash: Mapped[bytes] = mapped_column(LargeBinary(16), index=True)
    asked_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]


class AttributeKind(StrEnum):
    text = "text"
    number = "number"
    date = "date"
    boolean = "boolean"
    set = "set"  # several texts


class Attribute(Base):
    """An attribute the owner declared: nothing is stored about a person that was not declared first (GDPR 5(1)(b), (c))."""

    __tablename__ = "attributes"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[AttributeKind] = mapped_column(text_enum(AttributeKind, 8), default=AttributeKind.text)
    created_at: Mapped[datetime]


class ImportState(StrEnum):
    uploaded = "uploaded"
    running = "running"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"


class Import(WithPublicId, Base):
    """A file of contacts: what was declared about it, how far it got, and what became of its rows."""

    __tablename__ = "imports"

    state: Mapped[ImportState] = mapped_column(text_enum(ImportState, 10), default=ImportState.uploaded)
    file_name: Mapped[str] = mapped_column(String(200))
    file_sha256: Mapped[str] = mapped_column(String(64))
    stored_as: Mapped[str | None] = mapped_column(String(80))  # under DATA_DIR/uploads while it is needed
    declared: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # mapping, source, legal basis, topics, wording, date, encoding
    dry_run: Mapped[bool] = mapped_column(default=False)
    bytes_total: Mapped[int] = mapped_column(default=0)
    bytes_read: Mapped[int] = mapped_column(default=0)
    rows_read: Mapped[int] = mapped_column(default=0)
    figures: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # new, updated, unchanged, refused, consent by outcome
    trouble: Mapped[str | None] = mapped_column(String(500))
    created_by: Mapped[str] = mapped_column(String(40), default="")
    created_at: Mapped[datetime]
    moved_at: Mapped[datetime]  # when it last got on; a run that stands still is taken up again
    finished_at: Mapped[datetime | None]


class ImportFault(Base):
    """One row of a file that was refused, or kept without what it claimed: the line and the reason, never the address."""

    __tablename__ = "import_faults"
    __table_args__ = (Index("ix_import_faults_import_line", "import_id", "line"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int]
    line: Mapped[int]
    field: Mapped[str] = mapped_column(String(60), default="")
    reason: Mapped[str] = mapped_column(String(200))
