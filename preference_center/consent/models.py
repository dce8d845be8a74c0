"""Consent as facts and as state: records are only ever added; subscriptions and standings are projected from them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, BigId, SmallEnum, WithPublicId, text_enum
from preference_center.topics.purposes import LegalBasis


class Action(StrEnum):
    """What a consent record says happened (W3C DPV consent states, and the acts that lead to them)."""

    requested = "requested"
    given = "given"
    confirmed = "confirmed"
    renewed = "renewed"  # given again before it ended
    refused = "refused"
    withdrawn = "withdrawn"
    objected = "objected"
    expired = "expired"
    invalidated = "invalidated"
    paused = "paused"
    resumed = "resumed"
    # how often: says nothing about consent itself
    each = "each"
    weekly = "weekly"
    monthly = "monthly"


class Cadence(StrEnum):
    """How often a contact wants mail of one topic. Each is also an Action: the record that says so."""

    each = "each"  # as they come
    weekly = "weekly"  # at most one in seven days
    monthly = "monthly"  # at most one in thirty


class State(StrEnum):
    """Where one contact stands on one topic (or on a whole purpose) today. Only `given` lets mail through."""

    requested = "requested"
    given = "given"
    refused = "refused"
    withdrawn = "withdrawn"
    objected = "objected"
    expired = "expired"
    invalidated = "invalidated"
    open = "open"  # a standing without a stop


# What `subscriptions` and `standings` keep in place of the words. Written in millions of rows: no number is ever given anew.
STATES = SmallEnum(
    State,
    {
        State.open: 0,
        State.given: 1,
        State.requested: 2,
        State.refused: 3,
        State.withdrawn: 4,
        State.objected: 5,
        State.expired: 6,
        State.invalidated: 7,
    },
)
CADENCES = SmallEnum(Cadence, {Cadence.each: 0, Cadence.weekly: 1, Cadence.monthly: 2})
BASES = SmallEnum(
    LegalBasis,
    {
        LegalBasis.double_opt_in: 0,
        LegalBasis.consent: 1,
        LegalBasis.existing_customer: 2,
        LegalBasis.contract: 3,
        LegalBasis.legal_obligation: 4,
        LegalBasis.vital_interest: 5,
        LegalBasis.public_task: 6,
        LegalBasis.legitimate_interest: 7,
    },
)


class Wording(Base):
    """A consent text as people saw it. Never edited; a new version supersedes it."""

    __tablename__ = "wordings"
    __table_args__ = (UniqueConstraint("topic_id", "language", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"))
    language: Mapped[str] = mapped_column(String(5))
    version: Mapped[int] = mapped_column(SmallInteger)
    text: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    shown_on: Mapped[str] = mapped_column(String(12), default="form")  # form: ours; import: declared with a file
    effective_from: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class ConsentRecord(WithPublicId, Base):
    """One fact, never changed: who, what for, which act, on what basis, from where, by whom, when."""

    __tablename__ = "consent_records"
    __table_args__ = (Index("ix_consent_records_contact_id", "contact_id", "id"),)

    contact_id: Mapped[int] = mapped_column(BigId)
    purpose_key: Mapped[str] = mapped_column(String(20))
    topic_id: Mapped[int | None]  # none: the record speaks of the whole purpose
    channel: Mapped[str] = mapped_column(String(8), default="email")
    action: Mapped[Action] = mapped_column(text_enum(Action, 12))
    legal_basis: Mapped[LegalBasis | None] = mapped_column(text_enum(LegalBasis, 20))
    wording_id: Mapped[int | None]
    language: Mapped[str | None] = mapped_column(String(5))  # the language it was shown in
    source: Mapped[str] = mapped_column(String(20))  # form, link, one_click, import, admin, provider, mail, system
    source_ref: Mapped[str] = mapped_column(String(80), default="")  # which form, file and line, or message
    # person, guardian, user:<id>, provider:<name>, system
    actor: Mapped[str] = mapped_column(String(40), default="person")
    until: Mapped[datetime | None]  # end of a pause, or of the consent's validity
    happened_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    evidence_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))  # salted; see vault.py
    rules: Mapped[str | None] = mapped_column(String(30))  # country, how it is known, version (jurisdictions.py)


class ConsentEvidence(Base):
    """Personal detail of a record, apart from it and encrypted, so that erasure can drop it and keep the record (vault.py)."""

    __tablename__ = "consent_evidence"

    record_id: Mapped[int] = mapped_column(ForeignKey("consent_records.id"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigId, index=True)
    detail: Mapped[bytes] = mapped_column(LargeBinary)  # email and network address, user agent, form, import row


class ContactKey(Base):
    """The key of one contact's evidence, wrapped by a key outside the database. Erasure destroys it; the row stays as a mark."""

    __tablename__ = "contact_keys"
    __table_args__ = {"sqlite_with_rowid": False}

    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary(60))
    destroyed_at: Mapped[datetime | None]


class ConsentSeal(Base):
    """One link of the keyed hash chain over consent records, in the order of sealing. Only ever added."""

    __tablename__ = "consent_seals"

    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    record_id: Mapped[int] = mapped_column(BigId, unique=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    sealed_at: Mapped[datetime]


class SealGap(Base):
    """Record ids the sealer passed over because nobody had committed them: rolled back, or still to come."""

    __tablename__ = "consent_seal_gaps"

    first_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    last_id: Mapped[int] = mapped_column(BigId)
    seen_at: Mapped[datetime]


class Subscription(Base):
    """Where one contact stands on one topic today: a projection that can be rebuilt from the records. Slim: eight rows a contact."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("ix_subscriptions_topic_id", "topic_id", "state"),
        Index(
            "ix_subscriptions_until",
            "until",
            sqlite_where=text("until IS NOT NULL"),
            postgresql_where=text("until IS NOT NULL"),
        ),
        {"sqlite_with_rowid": False},
    )

    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    topic_id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[State] = mapped_column(STATES)
    legal_basis: Mapped[LegalBasis | None] = mapped_column(BASES)
    record_id: Mapped[int] = mapped_column(BigId)  # the record that decided; it says when
    until: Mapped[datetime | None]
    cadence: Mapped[Cadence] = mapped_column(CADENCES, default=Cadence.each, server_default=text("0"))
    by_guardian: Mapped[bool] = mapped_column(default=False, server_default=false())  # said for one too young to say it

    def state_at(self, moment: datetime) -> State:
        return state_at(self.state, self.until, moment)


def state_at(state: State, until: datetime | None, moment: datetime) -> State:
    """A consent whose time is over has expired, be it written down already or not (S74)."""
    over = state is State.given and until is not None and until <= moment
    return State.expired if over else state


class Standing(Base):
    """Where one contact stands on a whole purpose: stopped everything, objected, or taking a break. No row: nothing was said."""

    __tablename__ = "standings"
    __table_args__ = {"sqlite_with_rowid": False}

    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    purpose_key: Mapped[str] = mapped_column(String(20), primary_key=True)
    state: Mapped[State] = mapped_column(STATES, default=State.open)
    record_id: Mapped[int] = mapped_column(BigId)
    paused_until: Mapped[datetime | None]
