"""A topic is a subject a contact can follow; its texts are content, with a version per language."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from preference_center.db import Base
from preference_center.topics.purposes import PURPOSES, Purpose


class Topic(Base):
    __tablename__ = "topics"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(40), unique=True)  # stable for ever: it stands in links and in List-Id
    purpose_key: Mapped[str] = mapped_column(String(20))
    position: Mapped[int] = mapped_column(default=0)
    public: Mapped[bool] = mapped_column(default=True)  # shown on the preference page and the sign-up form
    valid_months: Mapped[int | None]  # how long a consent lasts; none: until it is withdrawn
    cadence_choice: Mapped[bool] = mapped_column(default=False)  # people may choose how often
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    texts: Mapped[list["TopicText"]] = relationship(lazy="selectin", cascade="all, delete-orphan")

    @property
    def purpose(self) -> Purpose:
        return PURPOSES[self.purpose_key]

    def text(self, language: str) -> "TopicText":
        """The topic in `language`, else in the language it was first written in. A name may fall back; a consent text never does."""
        by_language = {text.language: text for text in self.texts}
        return by_language.get(language) or by_language.get("en") or self.texts[0]

    def name(self, language: str = "en") -> str:
        return self.text(language).name


class TopicText(Base):
    __tablename__ = "topic_texts"

    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"), primary_key=True)
    language: Mapped[str] = mapped_column(String(5), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    description: Mapped[str] = mapped_column(Text, default="")
    cadence: Mapped[str] = mapped_column(String(80), default="")  # "About once a month."
    heading: Mapped[str] = mapped_column(String(60), default="", server_default="")  # the group it stands in, if any
