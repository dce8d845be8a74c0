"""How fast to send: which relay a run uses, how much of a chunk may leave now, and what answers teach for the next one.

All of it is asked and told inside the transactions of the claim, and kept in rows that every worker shares (paces.py). A relay or
domain in trouble rests and comes back with one connection, then one more after each chunk that went well.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from preference_center import clock
from preference_center.config import Settings
from preference_center.db import db, is_postgresql
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.pace.paces import FREE_AT, Pace, Spent
from preference_center.mail.outcomes import Outcome, Phase, RelayTrouble, Result, TroubleKind
from preference_center.mail.relay import Relay

HOLD = timedelta(minutes=2)  # a run that tries a domain again and dies gives way to another after this
_CAREFULLY = {TroubleKind.unreachable: 1, TroubleKind.closing: 1}


def relays(settings: Settings) -> list[Relay]:
    """All relays, RELAY_URL first."""
    return [Relay.from_url(url) for url in (settings.relay_url, *settings.relays)]


def choose(settings: Settings) -> Relay | None:
    """The relay of a run: by weight among those that may be used now. None: all of them rest, or have reached their limits."""
    now = clock.now()
    paces = {pace.relay: pace for pace in db.session.scalars(select(Pace).where(Pace.domain == ""))}
    awake = [relay for relay in relays(settings) if _may_be_used(relay, paces.get(relay.name), now)]
    return random.choices(awake, [relay.weight for relay in awake])[0] if awake else None  # noqa: S311


def _may_be_used(relay: Relay, pace: Pace | None, now: datetime) -> bool:
    if pace is None:
        return True
    return not pace.rests(now) and not pace.is_spent(now, relay.rate, _a_day(relay, now))


def _a_day(relay: Relay, now: datetime) -> int | None:
    return relay.warm_up.limit(now.date()) if relay.warm_up else None


@dataclass
class Lane:
    """One run's use of one relay. Order in each claim: learned(), room(), admit(), spent().

    `has_paces`: whether there is any row for this relay. Mostly there is none; it is asked for once in each claim (HAS_PACES).
    """

    relay: Relay
    run_id: int
    connections: int
    domain_rates: dict[str, int]
    has_paces: bool = True
    _domains: dict[int, str] = field(default_factory=dict)  # of the messages under way
    _complaints: dict[str, str] = field(default_factory=dict)  # domains that told us to slow down, and in which words
    _thanks: set[str] = field(default_factory=set)  # domains that took something
    _trying: set[str] = field(default_factory=set)  # domains that come back
    _spent: dict[str, Spent] = field(default_factory=dict)  # how the messages under way were counted

    def hear(self, result: Result) -> None:
        """Note what one answer says of its recipient's domain."""
        if result.outcome is Outcome.accepted:
            if self._trying and (domain := self.domain_of(result.key)) in self._trying:
                self._thanks.add(domain)
            return
        if result.is_about_domain and (domain := self.domain_of(result.key)):
            self._complaints[domain] = result.text
        if result.phase is not Phase.dot and result.outcome is not Outcome.permanent:
            self.unsent(result.key, tried=result.outcome is not Outcome.not_sent)

    def unsent(self, key: int, *, tried: bool = False) -> None:
        """This message did not leave. One that was `tried` counts in its minute all the same: the relay had to answer."""
        for name in {"", self.domain_of(key)}:
            if spent := self._spent.get(name):
                spent.unsent += 1
                spent.untried += not tried

    def domain_of(self, key: int) -> str:
        """The recipient's domain of a message under way."""
        return self._domains.get(key, "")

    def may_go(self, key: int) -> bool:
        """Whether the domain of this message has not told us meanwhile to slow down."""
        return not self._complaints or self._domains.get(key) not in self._complaints

    def learned(self, trouble: RelayTrouble | None, sent: int) -> None:
        """Store what the last chunk taught."""
        now = clock.now()
        own = self._known("")
        self._give_back(own)
        for domain, words in self._complaints.items():
            self._pace(domain).rest(now, words)
        for domain in self._thanks - set(self._complaints):
            if (pace := self._known(domain)) and pace.went_well(now, FREE_AT) and domain not in self.domain_rates:
                db.session.delete(pace)
        if trouble is not None and trouble.kind not in (TroubleKind.login_refused, TroubleKind.tls):
            pace = own or self._pace("")
            pace.rest(now, trouble.text, connections=_CAREFULLY.get(trouble.kind, max(1, self._now_at_once(own) // 2)))
        elif own is not None and sent:
            own.went_well(now, self.relay.connections or self.connections)
        self._domains, self._complaints, self._thanks, self._trying, self._spent = {}, {}, set(), set(), {}

    def _give_back(self, own: Pace | None) -> None:
        back = {name: spent for name, spent in self._spent.items() if spent.unsent}
        if own is not None and (spent := back.pop("", None)):
            own.give_back(spent)
        # all that have a rate, as the claim after this one may want each of them: nobody may hold them in another order
        for domain, pace in self._paces_of(self.domain_rates).items() if back else ():
            if domain in back:
                pace.give_back(back[domain])

    def at_once(self) -> int:
        """How many connections this run may use now.

        Where domains have rates, the relay's own row is there and held from now on: before theirs and before anybody's contact, so
        that runs of two campaigns cannot wait for each other.
        """
        return self._now_at_once(self._pace("") if self.domain_rates else self._known(""))

    def room(self, size: int) -> int:
        """How many of so many messages may be claimed now: the relay's rate and its warm-up, shared by all workers."""
        now = clock.now()
        a_day = _a_day(self.relay, now)
        if self.relay.rate is None and a_day is None:
            return size
        left = self._pace("").left(now, self.relay.rate, a_day)
        return size if left is None else min(size, left)

    def admit(self, messages: Sequence[tuple[int, str]]) -> set[int]:
        """Of these messages (id, address), those whose domain may be written to now. The others wait for their time."""
        domains = {id_: email.rpartition("@")[2].lower() for id_, email in messages}
        self._domains |= domains
        if not self.has_paces and not self.domain_rates:
            return set(domains)
        by_domain: dict[str, list[int]] = defaultdict(list)
        for id_, domain in domains.items():
            by_domain[domain].append(id_)
        paces = self._paces_of([*by_domain])
        admitted: set[int] = set()
        for domain, ids in by_domain.items():
            pace = paces.get(domain)
            if pace is None and domain in self.domain_rates:
                pace = self._pace(domain)
            admitted.update(ids if pace is None else self._some(pace, ids))
        return admitted

    def spent(self, messages: int) -> None:
        if self.relay.rate is not None or self.relay.warm_up is not None:
            self._spent[""] = self._pace("").spend(messages)

    def _some(self, pace: Pace, ids: list[int]) -> list[int]:
        now = clock.now()
        if pace.rests(now):
            assert pace.paused_until is not None  # noqa: S101
            _put_off(ids, pace.paused_until, spread=60)
            return []
        taken = ids
        if pace.connections is not None:
            if not pace.may_try(self.run_id, now, HOLD):
                _put_off(ids, now + timedelta(seconds=5), spread=5)
                return []
            self._trying.add(pace.domain)
            taken = ids[: pace.connections]
        left = pace.left(now, self.domain_rates.get(pace.domain), None)
        if left is not None:
            taken = taken[:left]
            self._spent[pace.domain] = pace.spend(len(taken))
            if len(taken) == left < len(ids):
                _put_off(ids[left:], (pace.minute_at or now) + timedelta(minutes=1), spread=5)
        return taken

    def _now_at_once(self, own: Pace | None) -> int:
        most = self.relay.connections or self.connections
        return most if own is None or own.connections is None else min(own.connections, most)

    def _known(self, domain: str) -> Pace | None:
        return self._paces_of([domain]).get(domain)

    def _paces_of(self, domains: Iterable[str]) -> dict[str, Pace]:
        """Held until the transaction ends, in one order for all."""
        if not self.has_paces:
            return {}
        db.session.flush()
        wanted = select(Pace).where(Pace.relay == self.relay.name).order_by(Pace.domain)
        if is_postgresql():
            wanted = wanted.with_for_update()
        names = set(domains)
        known = db.session.scalars(
            wanted.where(Pace.domain.in_(names)) if len(names) < 20 else wanted.where(Pace.domain != "")
        )
        return {pace.domain: pace for pace in known if pace.domain in names}

    def _pace(self, domain: str) -> Pace:
        known = self._known(domain)
        if known is not None:
            return known
        into = (postgresql.insert if is_postgresql() else sqlite.insert)(Pace)
        fresh = {"relay": self.relay.name, "domain": domain, "changed_at": clock.now()}
        counts = {"failures": 0, "reason": "", "minute_used": 0, "day_used": 0}
        db.session.execute(into.values({**fresh, **counts}).on_conflict_do_nothing())
        self.has_paces = True
        return self._paces_of([domain])[domain]


HAS_PACES = exists().where(Pace.relay == bindparam("relay"))


def _put_off(ids: Sequence[int], until: datetime, *, spread: int) -> None:
    """Not all at the same moment."""
    at = until + timedelta(seconds=random.uniform(0, spread))  # noqa: S311
    db.session.execute(
        update(Message)
        .where(Message.id.in_(ids), Message.state == MessageState.queued)
        .values(next_try_at=at)
        .execution_options(synchronize_session=False)
    )
