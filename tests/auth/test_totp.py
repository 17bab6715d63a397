"""One-time codes."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.auth import totp

# RFC 6238 appendix B, the last six digits.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_the_vectors_of_the_rfc(seconds: int, code: str) -> None:
    assert totp.code(SECRET, seconds // 30) == code
    for late in (-30, 0, 30):
        assert totp.step_of(code, SECRET, seconds + late) == seconds // 30
    for late in (-61, 61):
        assert totp.step_of(code, SECRET, seconds + late) is None


@pytest.mark.parametrize(
    ("password", "parts"),
    [
        ("secret123456", ("secret", "123456")),
        ("secret 123456", ("secret", "123456")),
        ("secret1234567", ("secret1", "234567")),
        ("secret12345", ("secret12345", "")),
        ("secretabcde-23456", ("secret", "abcde-23456")),
        ("secret abcde-23456", ("secret", "abcde-23456")),
        ("secretabcde-234567", ("secretabcde-", "234567")),
        ("secret\n123456", ("secret\n", "123456")),
        ("123456", ("", "123456")),
        ("", ("", "")),
        ("secret\u0661\u0662\u0663\u0664\u0665\u0666", ("secret\u0661\u0662\u0663\u0664\u0665\u0666", "")),
    ],
)
def test_a_code_stands_behind_the_password(password: str, parts: tuple[str, str]) -> None:
    assert totp.divided(password) == parts


@given(st.text(max_size=50))
def test_any_code_may_be_given(given_: str) -> None:
    assert totp.step_of(given_, SECRET, 59) in (None, 0, 1, 2)


def test_what_a_program_is_told() -> None:
    secret = totp.new_secret()
    found = urlsplit(totp.uri(secret, "ann@example.test", "Example & Co"))
    assert (found.scheme, found.netloc) == ("otpauth", "totp")
    assert found.path == "/Example%20%26%20Co:ann%40example.test"
    assert parse_qs(found.query) == {"secret": [secret], "issuer": ["Example & Co"]}


def test_codes_for_emergencies() -> None:
    codes = totp.new_recovery()
    assert len(set(codes)) == totp.RECOVERY
    assert all(re.fullmatch("[a-z2-7]{5}-[a-z2-7]{5}", one) for one in codes)
    assert all(totp.divided(f"x{one}") == ("x", one) for one in codes)
    assert totp.hashed(codes, 1, b"k") != totp.hashed(codes, 2, b"k") != totp.hashed(codes, 2, b"l")
