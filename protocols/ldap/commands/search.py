"""Search (RFC 4511 4.5), and pages of it (RFC 2696).

Answers are produced as the transport drains. A paged search is the same search, suspended:
its cookie is good for this connection and this identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.controls import Page, page_control
from protocols.ldap.messages import Control, Scope, SearchRequest, SearchResultDone
from protocols.ldap.responses import ENTRY
from protocols.ldap.results import SUCCESS, Failed, ResultCode
from protocols.ldap.session import Answers, PagedSearch, Session, singly
from protocols.ldap.special import special_answer
from protocols.ldap.syncing import PERSISTING, Answer

DONE: Final = SearchResultDone(SUCCESS)


@dataclass(frozen=True, slots=True)
class Search:
    kind: ClassVar = Kind.READ
    answer: ClassVar = 0x65
    verb: ClassVar = "search"

    request: SearchRequest

    @classmethod
    def parse(cls, cursor: Cursor) -> Search:
        return cls(requests.search(cursor))

    async def run(self, session: Session, channel: Channel) -> SearchResultDone:
        request = self.request
        if request.scope is Scope.BASE:
            special = special_answer(request, session)
            if special is not None:
                if channel.controls.sync is not None or channel.controls.persistent is not None:
                    raise Failed(ResultCode.UNWILLING_TO_PERFORM, "Changes of this are not followed")
                for answer in special:
                    channel.send(answer)
                return DONE
        limits = session.identity.limits
        seconds = _least(request.time_limit, limits.seconds)
        if seconds:
            channel.limit_time(seconds)
        controls = channel.controls
        if controls.page is not None:
            most = _least(request.size_limit, limits.paged_entries)
            return await self._paged(session, channel, controls.page, most)
        identity = session.identity if controls.proxied is None else await session.acting(controls)
        notes: list[Control] = []
        answers = identity.search(request, controls, notes.append)
        follows = controls.sync is not None or controls.persistent is not None
        # A copy is whole or of no use: it is as long as all pages may be.
        allowed = limits.paged_entries if follows else limits.entries
        try:
            await _deliver(answers, channel, 0, _least(request.size_limit, allowed))
        finally:
            channel.answer_controls = tuple(notes)
        return DONE

    async def _paged(self, session: Session, channel: Channel, page: Page, most: int) -> SearchResultDone:
        controls = channel.controls.unpaged()
        if page.cookie:
            search = session.paged.pop(page.cookie, None)
            if search is None or (search.request, search.controls) != (self.request, controls):
                # RFC 2696 3: all but the control's value stays the same.
                if search is not None:
                    session.dispose(search.answers)
                raise Failed(ResultCode.UNWILLING_TO_PERFORM, "Unknown cookie")
            if not page.size:
                # RFC 2696 3: the client gives the search up.
                session.dispose(search.answers)
                channel.answer_controls = (page_control(b""),)
                return DONE
        else:
            notes: list[Control] = []
            identity = await session.acting(controls)
            answers = singly(identity.search(self.request, controls, notes.append))
            search = PagedSearch(self.request, controls, answers, notes)
        cookie = b""
        try:
            given = await _deliver(search.answers, channel, search.given, most, page.size)
            if given is not None:
                search.given = given
                cookie = session.keep_page(search)
        finally:
            channel.answer_controls = (page_control(cookie), *search.notes)
        return DONE


async def _deliver(
    answers: Answers, channel: Channel, given: int, most: int, page: int | None = None
) -> int | None:
    """Send answers to their end, or for one page: then how many entries were given so far.

    Over `most` entries the search fails with SIZE_LIMIT_EXCEEDED.
    """
    stop = None if page is None else given + page
    try:
        if given == stop:
            return given
        async for answer in answers:
            if not answer:
                await channel.breathe()
                continue
            if isinstance(answer, list):
                allowed = answer[: most - given] if most else answer
                channel.send_all(allowed)
                given += len(allowed)
                if len(allowed) < len(answer):
                    raise Failed(ResultCode.SIZE_LIMIT_EXCEEDED)
                continue
            if isinstance(answer, Answer):
                if answer is PERSISTING:
                    channel.unlimit_time()
                    most = 0
                    continue
                operation, controls = answer.operation, answer.controls
            else:
                operation, controls = answer, ()
            if operation[0] == ENTRY:
                if given == most and most:
                    raise Failed(ResultCode.SIZE_LIMIT_EXCEEDED)
                given += 1
            channel.send(operation, controls)
            if given == stop:
                return given
            if not given & 31:
                await channel.breathe()
    except Exception:
        await answers.aclose()
        raise
    return None


def _least(asked: int, allowed: int) -> int:
    """The smaller of two limits of which 0 is none."""
    return min(asked, allowed) if asked and allowed else asked or allowed
