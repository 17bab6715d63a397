"""Search (RFC 4511 4.5), and pages of it (RFC 2696).

Answers are produced as the transport drains. A paged search is the same search, suspended:
its cookie is good for this connection and this identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from protocols.ldap import ber, requests
from protocols.ldap.ber import BadValue, Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import Control, Scope, SearchRequest, SearchResultDone
from protocols.ldap.responses import ENTRY
from protocols.ldap.results import SUCCESS, Failed, ResultCode
from protocols.ldap.session import Answers, PagedSearch, Session
from protocols.ldap.special import special_answer

PAGED_RESULTS: Final = "1.2.840.113556.1.4.319"

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
                for answer in special:
                    channel.send(answer)
                return DONE
        limits = session.identity.limits
        seconds = _least(request.time_limit, limits.seconds)
        if seconds:
            channel.limit_time(seconds)
        page = _page(channel.controls) if channel.controls else None
        if page is not None:
            return await self._paged(session, channel, page, _least(request.size_limit, limits.paged_entries))
        answers = session.identity.search(request)
        await _deliver(answers, channel, 0, _least(request.size_limit, limits.entries))
        return DONE

    async def _paged(self, session: Session, channel: Channel, page: Page, most: int) -> SearchResultDone:
        if page.cookie:
            search = session.paged.pop(page.cookie, None)
            if search is None or not _same(search.request, self.request):
                if search is not None:
                    session.dispose(search.answers)
                raise Failed(ResultCode.UNWILLING_TO_PERFORM, "Unknown cookie")
            if not page.size:
                # RFC 2696 3: the client gives the search up.
                session.dispose(search.answers)
                channel.answer_controls = (page_control(b""),)
                return DONE
        else:
            search = PagedSearch(self.request, session.identity.search(self.request))
        given = await _deliver(search.answers, channel, search.given, most, page.size)
        cookie = b""
        if given is not None:
            search.given = given
            cookie = session.keep_page(search)
        channel.answer_controls = (page_control(cookie),)
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
            if answer[0] == ENTRY:
                if given == most and most:
                    raise Failed(ResultCode.SIZE_LIMIT_EXCEEDED)
                given += 1
            channel.send(answer)
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


def _same(one: SearchRequest, other: SearchRequest) -> bool:
    """RFC 2696 3: all but the control's value stays the same."""
    return one == other


@dataclass(frozen=True, slots=True)
class Page:
    """realSearchControlValue of a request (RFC 2696 2)."""

    size: int
    cookie: bytes


def _page(controls: tuple[Control, ...]) -> Page | None:
    values = [control.value for control in controls if control.oid == PAGED_RESULTS]
    if not values:
        return None
    if len(values) > 1 or values[0] is None:
        raise BadValue("one page size and cookie")
    inside = Cursor(values[0]).enter()
    return Page(inside.integer(), inside.octets())


def page_control(cookie: bytes) -> Control:
    """The answer's: no estimate, and the cookie, empty at the end."""
    return Control(PAGED_RESULTS, value=ber.sequence([ber.integer(0), ber.octets(cookie)]))
