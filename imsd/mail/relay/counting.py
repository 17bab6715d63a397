"""What is counted of a connection for reports on TLS (RFC 8460 4.3): one result for each session.

Only what goes to exchangers that DNS names is counted: hosts that the settings name are nobody's policy. What
never came to TLS for a reason of the network is not (4.3.4, transient failures).
"""

from __future__ import annotations

from imsd.mail.relay.certificates import Problem
from imsd.mail.relay.protection import Protection, policy_domain
from imsd.mail.requiring import REPORT
from imsd.mail.routing import Route, Target
from imsd.mail.security import Wanted
from imsd.store.tls_results import LONGEST, Result
from imsd.trust.policies import Unavailable
from imsd.trust.sts import Policy
from protocols.smtp import client as smtp

SOME = 20
"""Lines of a policy, and TLSA records, that are kept."""


def result_of(
    target: Target,
    route: Route,
    wanted: Wanted,
    policy: Policy | None,
    fault: Unavailable | None,
    protection: Protection | None,
    problem: Problem | None,
    client: smtp.Client | None,
) -> Result | None:
    """None: nothing to count. problem: None for a session that is as it should be; protection: None where it
    is the policy that does not let us connect; fault: why the domain's MTA-STS policy cannot be had."""
    domain = policy_domain(route)
    if not domain or route.hosts or wanted.asks == REPORT or wanted.level == "none":
        return None
    if problem is not None and not problem.kind:
        return None
    kind = problem.kind if problem is not None else ""
    reason = problem.text if problem is not None else ""
    of_dane = kind in ("dnssec-invalid", "dane-required")
    published = protection.published if protection is not None else ()
    if published or of_dane:
        base = protection.server_name if protection is not None else ""
        base = base or (problem.base if problem is not None else "")
        # RFC 7672 2.2.3: what the name is an alias of, where DNSSEC says so.
        base = base or (target.canonical if target.secure else "") or target.host
        named, text = (base, "tlsa"), [str(each) for each in published[:SOME]]
        if not kind and protection is not None and not protection.tlsa:
            kind, reason = "tlsa-invalid", "no record can be used"
    elif policy is not None:
        named, text = (domain, "sts"), policy.lines[: SOME + 3]
    elif fault is not None and not kind:
        named, text, kind, reason = (domain, "sts"), [], fault.kind, str(fault)
    else:
        named, text = (domain, "no-policy-found"), []
    if not kind:
        # What is as it should be needs no details, and shares a row.
        return Result(0, domain, *named, "\n".join(text))
    return Result(
        0,
        domain,
        *named,
        "\n".join(text),
        kind,
        client.transport.getHost().host if client is not None else "",
        target.host[:LONGEST],
        client.greeting.text.split(" ")[0][:LONGEST] if client is not None else "",
        target.address,
        "" if kind == "starttls-not-supported" else reason[:LONGEST],
    )
