"""One connection's conversation: replies matched to the command they answer (RFC 5321, 2920), and how it ends.

What is said, and why at most one message (or `in_flight` of them) can be in doubt, is in speaking.py.
"""

import contextlib
import math
import selectors
import time
from collections import deque
from collections.abc import Sequence

from preference_center import failpoints
from preference_center.mail.flight import PHASES, Desk, Flight, Step, Words
from preference_center.mail.link import Address, Limits
from preference_center.mail.outcomes import (
    NOT_SENT,
    Journal,
    Outcome,
    Phase,
    RelayTrouble,
    Reply,
    Result,
    TroubleKind,
    clean,
    of_reply,
    trouble_in,
)
from preference_center.mail.relay import Relay
from preference_center.mail.speaking import DOT, ENDS, TOGETHER, Speaker
from preference_center.mail.wire import READ, Gibberish, Gone

_NAMED = (Step.mail, Step.rcpt)  # sender and recipient
_MERE = (Step.reset, *_NAMED)  # a yes to these changes nothing


class Session(Speaker):
    """One connection, from connecting to its end. Once `ended`, `trouble` says whether that tells of the relay."""

    def __init__(
        self,
        relay: Relay,
        addresses: Sequence[Address],
        limits: Limits,
        journal: Journal,
        selector: selectors.BaseSelector,
        desk: Desk,
    ) -> None:
        super().__init__(relay, addresses, limits, journal, selector, desk)
        try:
            self._link.connect()
        except RelayTrouble as trouble:
            self._end(trouble)
        self._settle()

    def begin(self) -> None:
        """Take on as many messages as may be on their way here; say() says them in one go."""
        while self.ready and (flight := self.desk.take(self.features)) is not None:
            self._line_up(flight)

    def say(self) -> None:
        """Say what prepare() put together, now that the journal knows which messages end in it."""
        parts, self._parts = self._parts, []
        try:
            self._wire.write(*parts)
            self._writing = not self._wire.flushed
            self._restart_clock()
        except Gone as gone:
            self._gone(gone)
        self._settle()

    def on_ready(self, mask: int) -> None:
        """The selector says the socket can be read or written."""
        if self.ended:
            return
        try:
            if self.opening:
                self._link.on_ready(mask)
                if not self._link.opening:
                    self._opened()
            else:
                if not self._wire.flushed:
                    self._wire.flush()
                if mask & READ:
                    self._replies.extend(self._wire.read())
                self._hear()
                if self._writing:
                    self._go_on_writing()
        except Gone as gone:
            self._gone(gone)
        except RelayTrouble as trouble:
            self._end(trouble)
        if not self.has_words:  # else say() comes next
            self._settle()

    def on_time(self, now: float) -> None:
        """Called now and then: ends what has waited too long."""
        if now >= self.deadline and not self.ended and not self.has_words:  # who has words was answered just now
            self._gone(Gone("no answer in time"))
            self._settle()

    def rest(self) -> None:
        """Between two hand-overs: the next message here may meet a connection the relay has since given up."""
        self._kept, self.kept_since = True, time.monotonic()

    def is_quiet(self) -> bool:
        """Whether a resting connection is still usable."""
        return not self.ended and not self.opening and self._wire.is_quiet()

    def quit(self) -> None:
        """Say goodbye without waiting for the answer, and close."""
        if not self.busy and not self.opening and not self.ended:
            with contextlib.suppress(Gone):
                self._wire.write(b"QUIT\r\n")
        self._end(self.trouble)

    def drop(self) -> None:
        """Close at once, whatever is on its way."""
        self._end(None)

    # Hearing.

    def _hear(self) -> None:
        replies, expected = self._replies, self._expected
        if not replies:
            return
        while replies and not self.ended:
            reply = replies.popleft()
            if not expected:
                self._unasked(reply)
            elif reply.code == 250 and expected[0][0] in _MERE:
                expected.popleft()
                self._kept = False
            elif reply.code == 421:
                self._shown_the_door(reply)
            else:
                self._take_answer(reply)
        if not self._unsaid:
            self._restart_clock()

    def _unasked(self, reply: Reply) -> None:
        """A goodbye to an idle connection harms nobody; anything else there is out of step."""
        if self._unsaid:
            self._retire(trouble_in(Phase.mail, reply))  # a goodbye may come at any time (RFC 5321 3.8)
            raise Gibberish("the relay answered before it was asked")
        self._end(None)

    def _take_answer(self, reply: Reply) -> None:
        step, flight = self._expected.popleft()
        self._chunks -= step is Step.chunk
        try:
            if flight is None:
                if step is Step.reset and not reply.ok:
                    raise Gibberish("the relay refused RSET")
            elif step in ENDS and flight.refusal is None and self._has_left(flight):
                self._delivered(flight, reply)
            elif step is Step.data:
                self._may_send(flight, reply)
            elif step in _NAMED:
                if not reply.ok:
                    self._refused(step, flight, reply)
            elif step is Step.chunk and flight.refusal is not None:
                self._close_case(flight)  # its octets were read and thrown away (RFC 3030 2)
                self._needs_reset = True
            else:
                self._interrupted(flight, reply)
        except Gibberish:
            self._expected.appendleft((step, flight))
            self._replies.clear()  # whatever they answer, it is not what stands first now
            raise
        self._kept = False

    def _refused(self, step: Step, flight: Flight, reply: Reply) -> None:
        """The answer to MAIL or RCPT was no. With PIPELINING the case stays open until DATA is answered too."""
        self._refuse(flight, PHASES[step], reply)
        if not self._link.features.pipelining:
            self._needs_reset = step is Step.rcpt
            self._unsaid.clear()
            self._close_case(flight)

    def _may_send(self, flight: Flight, reply: Reply) -> None:
        """The answer to DATA."""
        if reply.code != 354:
            self._refuse(flight, Phase.data, reply)
            self._needs_reset = True
            self._close_case(flight)
        elif flight.refusal is None:
            self._body(flight)
        elif flight.refusal.phase is Phase.rcpt:
            # The relay wants a message for nobody (RFC 2920 3.1): an empty one ends it and goes nowhere.
            self._needs_reset = True
            self._unsaid.appendleft(Words((Step.empty_dot,), None, (DOT,)))
            self._close_case(flight)
        else:
            self._close_case(flight)
            self._end(self.trouble)

    def _body(self, flight: Flight) -> None:
        if not self.desk.still_wanted(flight):  # MAIL left with the dot before it, perhaps long ago
            # After 354 there is no way back but hanging up; nothing is delivered without the final dot.
            text = "stopped before the body was sent"
            self.desk.report(Result(flight.envelope.key, Outcome.not_sent, Phase.data, None, None, text))
            self._end(self.trouble)
            return
        failpoints.hit("smtp.body")
        if len(flight.envelope.data) <= TOGETHER and not self._dying:
            self._dot(flight, flight.envelope.data)
            return
        self._expected.appendleft((Step.body, flight))
        if not self._dying:
            self._wire.write(flight.envelope.data)
            self._writing = True

    def _delivered(self, flight: Flight, reply: Reply) -> None:
        """The answer to the final dot."""
        key, code = flight.envelope.key, reply.code
        if 300 <= code < 400:
            raise Gibberish(f"the relay answered the message with {code}")
        failpoints.hit("smtp.reply")
        self._journal.reply(key, code)
        if code < 300:
            self.desk.report(Result(key, Outcome.accepted, Phase.dot, code, None, ""))
        else:
            self._refuse(flight, Phase.dot, reply)
            self._needs_reset = self._chunked
            self._close_case(flight)

    def _interrupted(self, flight: Flight, reply: Reply) -> None:
        """The relay refused the message before its end; the connection cannot be brought back into step."""
        self._refuse(flight, Phase.body, reply)
        self._close_case(flight)
        self._end(self.trouble)

    def _refuse(self, flight: Flight, phase: Phase, reply: Reply) -> None:
        """The first refusal of a message counts; the commands already behind it are bound to fail too."""
        if flight.refusal is not None:
            return
        if reply.code < 400:
            raise Gibberish(f"the relay answered {phase} with {reply.code}")
        flight.refusal = of_reply(flight.envelope.key, phase, reply)
        self._retire(trouble_in(phase, reply))

    def _close_case(self, flight: Flight) -> None:
        if flight.refusal is None:
            return
        if flight.refusal.phase is not Phase.dot:
            about_us = flight.refusal.outcome is Outcome.not_sent
            self._note_nothing_left(flight, None if about_us else flight.refusal.code)
        self.desk.report(flight.refusal)

    def _note_nothing_left(self, flight: Flight, code: int | None = None) -> None:
        """Where its end is in the journal, it meant nothing."""
        if flight.dot_at < math.inf:
            self._journal.reply(flight.envelope.key, code or NOT_SENT)

    # Endings.

    def _retire(self, trouble: RelayTrouble | None) -> None:
        """When the relay is in trouble, begin nothing more here; leave when what is on its way has ended."""
        if trouble is not None:
            self.retiring = True
            self.trouble = trouble if trouble.graver_than(self.trouble) else self.trouble

    def _shown_the_door(self, reply: Reply) -> None:
        """421: the relay closes the connection (RFC 5321 3.8); the message it answers was not accepted."""
        step, flight = self._expected[0]
        # Meeting a connection that was closed while it rested says nothing about the relay or the message.
        if not self._kept:
            self._retire(trouble_in(PHASES[step], reply))
            if flight is not None:
                if step in ENDS:
                    self._journal.reply(flight.envelope.key, reply.code)
                self._forget(flight)
                self._refuse(flight, PHASES[step], reply)
                self._close_case(flight)
        self._give_back_rest()
        self._end(self.trouble)

    def _gone(self, gone: Gone) -> None:
        """The connection broke, or waited too long. Its last replies count; the phase judges what they leave open."""
        if self.opening:
            trouble = self._link.failed(gone)
            if trouble is not None:
                self._end(trouble)
            return
        self._dying = True
        self._replies.extend(gone.last_words)
        try:
            self._hear()
        except Gone as again:
            gone = again
        if self.ended:
            return
        if self.busy:
            if not self._kept:
                self._retire(RelayTrouble(TroubleKind.closing, f"the connection to the relay broke: {gone}"))
            self._judge_head(str(gone))
        self._give_back_rest()
        self._end(self.trouble)

    def _judge_head(self, words: str) -> None:
        """Settle the message the relay was busy with (the phase table of the send protocol)."""
        awaited = [*self._expected, *((words.steps[0], words.flight) for words in self._unsaid)]
        step, flight = next((item for item in awaited if item[1] is not None), (None, None))
        if step is None or flight is None:
            return
        unheard = step is Step.mail and not self._has_left(flight)
        if unheard and not flight.given_back and (self._kept or self._carried > 1):
            # Not a word about it: it met a connection that had been given up before. It is tried again, once.
            flight.given_back = True
            return
        self._forget(flight)
        if flight.refusal is not None:
            self._close_case(flight)
            return
        self._settle_as_it_stands(step, flight, words)

    def _settle_as_it_stands(self, step: Step, flight: Flight, words: str) -> None:
        outcome = Outcome.not_sent
        if self._has_left(flight):
            step, outcome = Step.dot, Outcome.uncertain
        else:
            self._note_nothing_left(flight)
        self.desk.report(Result(flight.envelope.key, outcome, PHASES[step], None, None, clean(words)))

    def _give_back_rest(self) -> None:
        """Messages that had to wait behind another one and whose end never left: another connection takes them."""
        waiting = [flight for _, flight in self._expected] + [words.flight for words in self._unsaid]
        for flight in dict.fromkeys(flight for flight in waiting if flight is not None):
            if flight.refusal is not None:
                self._close_case(flight)
            elif self._has_left(flight):
                self._settle_as_it_stands(Step.dot, flight, "the connection broke before the relay answered")
            else:
                self._note_nothing_left(flight)
                flight.dot_at = math.inf
                self.desk.give_back(flight)
        self._expected.clear()
        self._unsaid.clear()

    def _forget(self, flight: Flight) -> None:
        self._expected = deque(item for item in self._expected if item[1] is not flight)
        self._unsaid = deque(words for words in self._unsaid if words.flight is not flight)

    def _end(self, trouble: RelayTrouble | None) -> None:
        self.trouble = trouble
        self.ended, self.opening = True, False
        self._give_back_rest()
        self._link.close()

    def _settle(self) -> None:
        """After each event: say goodbye if it is time to, and tell the selector what is wanted now."""
        if self.ended:
            return
        if self.opening:
            self.deadline = self._link.deadline
        elif not self.busy:
            self.deadline = math.inf
            if self.retiring or self._carried >= self._limits.messages_per_connection:
                self.quit()
                return
        self._link.register()
