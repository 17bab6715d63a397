"""May this host have mail sent on: the decision of the Routing Restrictions dialog (ims_spec 3.11.1).

1. A host on the list of who never may is refused.
2. Otherwise any of the criteria that are set allows: the host's address, the address of ours that
   it came to, a login.
3. The product let everybody relay when none of these was set, or when it knew only who may not. Here
   both refuse, unless `routing.allow_open_relay` asks for exactly that (15-A7).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which of the dialog's options are set."""

    deny: bool = False
    allow: bool = False
    local: bool = False
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a connection: on the lists, and logged in."""

    denied: bool = False
    allowed: bool = False
    local: bool = False
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """denied: by the list of who never may, which no override of the routing table lifts."""

    allowed: bool
    rule: str
    denied: bool = False


def decide(criteria: Criteria, facts: Facts, open_relay: bool = False) -> Verdict:
    """Whether a host may relay, and by which rule."""
    if criteria.deny and facts.denied:
        return Verdict(False, "its address is on the list of who never may relay", True)
    if criteria.allow and facts.allowed:
        return Verdict(True, "its address may relay")
    if criteria.local and facts.local:
        return Verdict(True, "it came to an address of ours from which all may relay")
    if criteria.authenticated and facts.authenticated:
        return Verdict(True, "it is authenticated")
    if criteria.allow or criteria.local or criteria.authenticated:
        return Verdict(False, "it meets no criterion that is set")
    if open_relay:
        return Verdict(True, "no criterion is set and routing.allow_open_relay is on")
    return Verdict(False, "no criterion is set")
