"""Reports on TLS (RFC 8460): the record, the JSON, what strangers send in its place."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.store.tls_results import Result
from imsd.trust import tlsrpt
from imsd.trust.tlsrpt import BadReport, Heading, destinations, mail_address


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=TLSRPTv1;rua=mailto:a@b.test"], ("mailto:a@b.test",)),
        (["v=TLSRPTv1; rua=https://b.test/v1;"], ("https://b.test/v1",)),
        (["v=TLSRPTv1 ; x=1; rua=mailto:a@b.test , https://b.test/"], ("mailto:a@b.test", "https://b.test/")),
        (["v=TLSRPTv1; rua=mailto:a@b.test; rua=mailto:c@b.test"], ("mailto:a@b.test", "mailto:c@b.test")),
        (["v=TLSRPTv1;rua=http://b.test/,ftp://b.test/,mailto:nobody,https:///x"], ()),
        (["v=TLSRPTv1;rua=https://user@b.test/,https://b.test:99999/,https://b.test/\x07"], ()),
        (["v=TLSRPTv1;rua=mailto:a@b.test", "v=TLSRPTv1;rua=mailto:c@b.test"], ()),
        (["v=spf1 -all", "v=TLSRPTv1;rua=mailto:a@b.test"], ("mailto:a@b.test",)),
        (["v=TLSRPTv12;rua=mailto:a@b.test"], ()),
        (["v=TLSRPTv1"], ()),
        ([], ()),
        (["v=TLSRPTv1;rua=" + ",".join(f"mailto:a{n}@b.test" for n in range(50))], 5),
    ],
)
def test_records(texts: list[str], found: Any) -> None:
    got = destinations(texts)
    assert len(got) == found if isinstance(found, int) else got == found


def test_addresses() -> None:
    assert mail_address("mailto:a%2Bb@c.test?subject=x") == "a+b@c.test"
    assert mail_address("mailto:a@b@c.test") == mail_address("mailto:a%0D%0Ab@c.test") == ""


HEADING = Heading("Company-X", "sts-reporting@company-x.example", 16_892, "company-y.example")
POLICY = "version: STSv1\nmode: testing\nmx: *.mail.company-y.example\nmax_age: 86400"
STS = Result(16_892, "company-y.example", "company-y.example", "sts", POLICY)


def failed(result: str, **more: str) -> Result:
    return replace(STS, result=result, **more)


RESULTS = [
    (STS, 5326),
    (
        failed("certificate-expired", sending_ip="2001:db8:abcd:12::1", mx="mx1.mail.company-y.example"),
        100,
    ),
    (
        failed(
            "starttls-not-supported",
            sending_ip="2001:db8:abcd:13::1",
            mx="mx2.mail.company-y.example",
            receiving_ip="203.0.113.56",
        ),
        200,
    ),
    (
        failed(
            "validation-failure",
            sending_ip="198.51.100.62",
            mx="mx-backup.mail.company-y.example",
            receiving_ip="203.0.113.58",
            reason="X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
        ),
        3,
    ),
]

# The example of RFC 8460 B, but for the id, which is ours, and the page that we have none of.
EXAMPLE = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "2016-04-01.company-y.example@company-x.example",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": [
                    "version: STSv1",
                    "mode: testing",
                    "mx: *.mail.company-y.example",
                    "max_age: 86400",
                ],
                "policy-domain": "company-y.example",
                "mx-host": ["*.mail.company-y.example"],
            },
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:12::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "failed-session-count": 100,
                },
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "2001:db8:abcd:13::1",
                    "receiving-mx-hostname": "mx2.mail.company-y.example",
                    "receiving-ip": "203.0.113.56",
                    "failed-session-count": 200,
                },
                {
                    "result-type": "validation-failure",
                    "sending-mta-ip": "198.51.100.62",
                    "receiving-mx-hostname": "mx-backup.mail.company-y.example",
                    "receiving-ip": "203.0.113.58",
                    "failed-session-count": 3,
                    "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
                },
            ],
        }
    ],
}


def test_a_report_has_the_form_of_the_example() -> None:
    made = tlsrpt.report(HEADING, RESULTS)
    assert made == EXAMPLE
    assert json.loads(gzip.decompress(tlsrpt.encode(made))) == EXAMPLE
    assert HEADING.filename == "company-x.example!company-y.example!1459468800!1459555199.json.gz"


def test_policies_stand_apart() -> None:
    tlsa = Result(1, "b.test", "mx.b.test", "tlsa", "3 1 1 00\n3 1 1 11")
    found = tlsrpt.report(HEADING, [(Result(1, "b.test", "b.test"), 2), (tlsa, 1)])["policies"]
    assert [each["policy"] for each in found] == [
        {"policy-type": "no-policy-found", "policy-domain": "b.test"},
        {"policy-type": "tlsa", "policy-string": ["3 1 1 00", "3 1 1 11"], "policy-domain": "mx.b.test"},
    ]
    assert "failure-details" not in found[0]


def test_what_is_written_is_read() -> None:
    read = tlsrpt.parse(tlsrpt.inflate(tlsrpt.encode(EXAMPLE)))
    assert (read.organization, read.report_id) == ("Company-X", EXAMPLE["report-id"])
    assert (read.begins, read.ends) == (1_459_468_800_000_000, 1_459_555_199_000_000)
    assert (read.total("successes"), read.total("failures")) == (5326, 303)
    assert read.domains == ("company-y.example",)
    assert read.policies[0]["details"][2]["failure-reason-code"] == "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"


def test_drafts_and_mistakes_are_read() -> None:
    odd = {
        "policies": [
            {
                "policy": {"policy-string": "version: STSv1\r\nmode: testing", "mx-host": "mx.b.test"},
                "summary": {"total-successful-session-count": True, "total-failure-session-count": -5},
                "failure-details": [{"failed-session-count": 10**30, "result-type": "a\x1b[2Jb"}, 7],
            },
            None,
        ],
        "date-range": "yesterday",
        "organization-name": ["x"],
    }
    read = tlsrpt.parse(json.dumps(odd).encode())
    policy = read.policies[0]
    assert policy["policy-string"] == ["version: STSv1", "mode: testing"] and policy["mx-host"] == [
        "mx.b.test"
    ]
    assert (policy["successes"], policy["failures"]) == (0, 0)
    assert policy["details"][0] == {"result-type": "a [2Jb", "failed-session-count": 10**12}
    assert (read.organization, read.begins) == ("", 0)


def test_what_is_too_much_is_cut_or_refused() -> None:
    many = {"policies": [{"failure-details": [{"result-type": "x" * 600}] * 1_500}] * 3 + [{}] * 300}
    read = tlsrpt.parse(json.dumps(many).encode())
    assert sum(len(each["details"]) for each in read.policies) == tlsrpt.MOST_DETAILS
    assert len(read.policies) == tlsrpt.MOST_POLICIES
    assert len(read.policies[0]["details"][0]["result-type"]) == tlsrpt.LONGEST
    bomb = gzip.compress(b" " * (tlsrpt.MOST + 1))
    assert len(bomb) < 10_000
    with pytest.raises(BadReport, match="larger than"):
        tlsrpt.inflate(bomb)
    with pytest.raises(BadReport, match="cut"):
        tlsrpt.inflate(gzip.compress(b"{}")[:-5])
    with pytest.raises(BadReport, match="larger than"):
        tlsrpt.parse(b" " * (tlsrpt.MOST + 1))
    with pytest.raises(BadReport):
        tlsrpt.parse(b"[" * 100_000)


def _odd(value: Any) -> bytes:
    policies = [value, {"policy": value, "summary": value, "failure-details": [value]}]
    return json.dumps({"policies": policies, "date-range": value, "report-id": value}).encode()


VALUES = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(st.binary(max_size=200) | VALUES.map(_odd))
def test_garbage_is_no_report(data: bytes) -> None:
    for read in (tlsrpt.parse, tlsrpt.inflate):
        try:
            read(data)
        except BadReport:
            pass
