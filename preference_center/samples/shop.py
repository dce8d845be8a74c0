"""The made-up shop "Fern & Lantern": plants and lamps. Its topics with consent texts in four languages, its customers, a campaign."""

from pathlib import Path
from typing import Any

from preference_center.accounts import audit
from preference_center.consent import wordings
from preference_center.db import db
from preference_center.topics import catalogue
from preference_center.topics.models import Topic, TopicText

NAME = "Fern & Lantern"
CSV = Path(__file__).parent / "customers.csv"

# how the sample's customers are declared: the arguments of consent/declaring/declared.py declare()
TERMS: dict[str, Any] = {
    "source": "Sign-up box at the checkout of the shop, 2019 to 2026",
    "basis": "consent",
    "topics": ["news", "offers"],
    "mapping": {"customer_since": "customer_since", "points": "points"},
    "wording": "I want to get news and offers from Fern & Lantern by email. I can stop at any time.",
}

# key: purpose, and by language: name, description, how often, consent text
_TOPICS: dict[str, tuple[str, dict[str, tuple[str, str, str, str]]]] = {
    "news": (
        "email_marketing",
        {
            "en": (
                "News from the greenhouse",
                "What is growing, what is new, and how to keep it alive.",
                "About twice a month.",
                "I want to get news about plants and lamps from Fern & Lantern by email. I can stop at any time.",
            ),
            "pl": (
                "Nowości ze szklarni",
                "Co rośnie, co nowego i jak o to dbać.",
                "Mniej więcej dwa razy w miesiącu.",
                "Chcę otrzymywać od Fern & Lantern e-maile z nowościami o roślinach i lampach. Mogę zrezygnować w każdej chwili.",
            ),
            "es": (
                "Novedades del invernadero",
                "Qué crece, qué hay de nuevo y cómo cuidarlo.",
                "Unas dos veces al mes.",
                "Quiero recibir por correo novedades de Fern & Lantern sobre plantas y lámparas. Puedo dejarlo cuando quiera.",
            ),
            "pt-BR": (
                "Novidades da estufa",
                "O que está crescendo, o que há de novo e como cuidar.",
                "Cerca de duas vezes por mês.",
                "Quero receber por e-mail novidades da Fern & Lantern sobre plantas e luminárias. Posso parar quando quiser.",
            ),
        },
    ),
    "offers": (
        "email_marketing",
        {
            "en": (
                "Offers",
                "Reduced plants and lamps, first for you.",
                "At most once a week.",
                "I want to get offers from Fern & Lantern by email. I can stop at any time.",
            ),
            "pl": (
                "Oferty",
                "Rośliny i lampy w niższej cenie, najpierw dla Ciebie.",
                "Najwyżej raz w tygodniu.",
                "Chcę otrzymywać oferty Fern & Lantern e-mailem. Mogę zrezygnować w każdej chwili.",
            ),
            "es": (
                "Ofertas",
                "Plantas y lámparas rebajadas, primero para ti.",
                "Una vez por semana como mucho.",
                "Quiero recibir ofertas de Fern & Lantern por correo. Puedo dejarlo cuando quiera.",
            ),
            "pt-BR": (
                "Ofertas",
                "Plantas e luminárias com desconto, primeiro para você.",
                "No máximo uma vez por semana.",
                "Quero receber ofertas da Fern & Lantern por e-mail. Posso parar quando quiser.",
            ),
        },
    ),
    "events": (
        "email_marketing",
        {
            "en": (
                "Events",
                "Evenings in the greenhouse, repotting days, markets.",
                "When there is one.",
                "I want to be invited to events of Fern & Lantern by email. I can stop at any time.",
            ),
            "pl": (
                "Wydarzenia",
                "Wieczory w szklarni, dni przesadzania, targi.",
                "Gdy coś się dzieje.",
                "Chcę otrzymywać e-mailem zaproszenia na wydarzenia Fern & Lantern. Mogę zrezygnować w każdej chwili.",
            ),
            "es": (
                "Eventos",
                "Tardes en el invernadero, días de trasplante, mercados.",
                "Cuando hay alguno.",
                "Quiero recibir por correo invitaciones a los eventos de Fern & Lantern. Puedo dejarlo cuando quiera.",
            ),
            "pt-BR": (
                "Eventos",
                "Noites na estufa, dias de replantio, feiras.",
                "Quando houver.",
                "Quero receber por e-mail convites para os eventos da Fern & Lantern. Posso parar quando quiser.",
            ),
        },
    ),
    "orders": (
        "service",
        {
            "en": ("Your orders", "What happens to what you ordered.", "Only when you order.", ""),
            "pl": ("Twoje zamówienia", "Co dzieje się z Twoim zamówieniem.", "Tylko gdy coś zamówisz.", ""),
            "es": ("Tus pedidos", "Qué pasa con lo que has pedido.", "Solo cuando pides algo.", ""),
            "pt-BR": ("Seus pedidos", "O que acontece com o que você pediu.", "Só quando você pede algo.", ""),
        },
    ),
}

CAMPAIGN: dict[str, Any] = {
    "name": "The winter letter",
    "topic": "news",
    "subject": "{{ first_name|default('Hello') }}, your plants are about to sleep",
    "preheader": "Less water, more light, and one lamp that helps.",
    "format": "markdown",
    "source": """\
# The quiet months

Hello {{ first_name|default('there') }},

the days are short{% if city %} in {{ city }}{% endif %}, and your plants know it. Most of them rest until February.
Three things keep them well:

1. **Water half as often.** Put a finger in the soil; if it is cool and damp, wait.
2. **Move them closer to the window**, and away from the radiator below it.
3. **Dust the leaves.** A plant that can breathe can drink.

> A fern that drops a few leaves in November is not unwell. It is saving its strength.

## A lamp for the dark corner

The *Lantern No. 4* gives a plant eight hours of daylight for the price of one cup of tea a month.
It comes in moss, sand and ink.

[See the lamp](https://shop.example.com/lantern-4)

{% if points %}You have **{{ points }} points**: they are worth the same in winter.{% endif %}

Warm regards from the greenhouse,
the people of Fern & Lantern
""",
}


def load(actor: str) -> list[Topic]:
    """The shop's topics and consent texts, in the open transaction. Those that are there stay as they are."""
    topics = add_topics()
    for topic in topics:
        for language, (_, _, _, text) in _TOPICS[topic.key][1].items():
            if text and wordings.current(topic, language) is None:
                wordings.publish(topic, language, text)
    audit.note(actor, "samples.loaded")
    return topics


def add_topics() -> list[Topic]:
    there = {topic.key: topic for topic in db.session.scalars(db.select(Topic).where(Topic.key.in_(_TOPICS)))}
    return [there.get(key) or _add(key, *_TOPICS[key]) for key in _TOPICS]


def _add(key: str, purpose: str, by_language: dict[str, tuple[str, str, str, str]]) -> Topic:
    texts = {
        language: TopicText(language=language, name=name, description=about, cadence=often)
        for language, (name, about, often, _) in by_language.items()
    }
    return catalogue.add(key, texts, purpose)
