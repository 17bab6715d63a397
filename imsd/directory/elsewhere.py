"""Other servers that the settings name: what they hold is asked of them (ims_spec 7.5, Referrals).

Whoever asks for something that a row's base holds is referred there; a search from above it is continued
there, besides what is found here. What is in no naming context of ours and in no row is asked of the
default referral. The referrals of the tree itself are entries: `referring`.
"""

from __future__ import annotations

from dataclasses import dataclass

from imsd.directory import referring
from imsd.directory.tree import Tree
from imsd.errors import HeldElsewhere, NoSuchEntry
from imsd.settings.directory import Ldap
from protocols.ldap import dn
from protocols.ldap.dn import DN
from protocols.ldap.messages import Scope


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """rows: base and URL of each other server. default: a URL, "" for none."""

    rows: tuple[tuple[DN, str], ...] = ()
    default: str = ""

    @classmethod
    def of(cls, page: Ldap) -> Elsewhere:
        return cls(tuple((dn.parse(row.base), row.url) for row in page.referrals), page.default_referral)

    def __bool__(self) -> bool:
        return bool(self.rows or self.default)

    def refer(self, name: DN, here: Tree, scope: Scope | None) -> None:
        """Raises HeldElsewhere for a name that another server holds. scope: of a search there."""
        if not name:
            return
        place = _place(here, name)
        # The nearest base above the name: of those above, the longest.
        found = max(
            ((base, url) for base, url in self._outside(here) if _under(place, _place(here, base))),
            key=lambda row: len(row[0]),
            default=None,
        )
        if found is not None:
            base, url = found
            below = ",".join(map(str, name.rdns[: len(place) - len(_place(here, base))]))
            raise HeldElsewhere(referring.url(url, str(base), below, scope))
        if self.default and not here.holds(name):
            raise HeldElsewhere(referring.url(self.default, str(name), "", scope))

    def continued(self, name: DN, here: Tree, scope: Scope) -> list[str]:
        """URLs of the servers where a search is to go on. name: its base, empty for everything."""
        urls = []
        place = _place(here, name) if name else ()
        for base, url in self._outside(here):
            depth = len(_place(here, base)) - len(place)
            if (not name or _under(_place(here, base), place)) and (
                depth == 1 if scope is Scope.ONE else depth > 0 and scope is not Scope.BASE
            ):
                urls.append(referring.url(url, str(base), "", referring.continued(scope)))
        return urls

    def _outside(self, here: Tree) -> list[tuple[DN, str]]:
        """Rows that do not claim the organisation itself: those would send everybody away."""
        tops = [_place(here, dn.parse(suffix.text)) for suffix in here.suffixes]
        return [
            (base, url) for base, url in self.rows if not any(_under(top, _place(here, base)) for top in tops)
        ]


Place = tuple[str, ...]


def _place(here: Tree, name: DN) -> Place:
    """Normal RDNs from the top down, the same for a name under either suffix."""
    try:
        path, _ = here.locate(name)
    except NoSuchEntry:
        return tuple(rdn.normal for rdn in reversed(name.rdns))
    return ("", *(rdn.normal for rdn in path))


def _under(place: Place, above: Place) -> bool:
    return place[: len(above)] == above
