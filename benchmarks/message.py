"""What it costs to take in a message: summarize of 4 KiB, scan of a 25 MiB attachment.

    python -m benchmarks.message

Bounded to a few seconds. Wanted: under 150 microseconds, over 300 MB/s, on one core.
"""

import base64
import sys
import time
import timeit

from protocols.message.scan import Scan, Scanner, scan
from protocols.message.summary import summarize

HEADER = """Return-Path: <bounce-123@lists.example.org>
Received: from mx1.example.net (mx1.example.net [192.0.2.1])
\tby mail.example.test (imsd) with ESMTPS id 4f2a1b3c
\tfor <alice@example.test>; Mon, 23 Nov 2026 18:00:00 +0000
Received: from smtp.example.org (smtp.example.org [198.51.100.7])
\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))
\tby mx1.example.net with ESMTPS id ABCDEF0123
\tfor <alice@example.test>; Mon, 23 Nov 2026 17:59:58 +0000 (UTC)
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=sel1;
\th=from:to:subject:date:message-id:mime-version:content-type;
\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR
\tdzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR
From: "Bob Builder" <bob@example.org>
To: Alice Liddell <alice@example.test>, "Carol, C." <carol@example.test>
Cc: dave@example.net
Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_Wien?= and more
Date: Mon, 23 Nov 2026 18:59:57 +0100
Message-ID: <20261123175957.12345@smtp.example.org>
In-Reply-To: <CAF00@mail.example.test>
References: <CAEE@mail.example.test> <CAF00@mail.example.test>
MIME-Version: 1.0
List-Unsubscribe: <mailto:unsub@example.org>
Content-Type: multipart/{kind}; boundary="----=_Part_123_456.789"

------=_Part_123_456.789
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Hello Alice,=20

"""
LINE = "And this is one more line of quite ordinary text, to fill.\n"
NEXT = "------=_Part_123_456.789\n"
END = "------=_Part_123_456.789--\n"


def typical() -> bytes:
    """About 4 KiB: alternative text and HTML under a header as mail has it."""
    html = "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<html>\n"
    text = HEADER.replace("{kind}", "alternative") + LINE * 21 + NEXT + html + f"<p>{LINE.strip()}</p>\n" * 18
    return (text + END).replace("\n", "\r\n").encode()


def large(size: int = 25 * 1024 * 1024) -> bytes:
    """A text part and an attachment of size octets, encoded."""
    lines = base64.encodebytes(bytes(range(256)) * 1024).replace(b"\n", b"\r\n")
    part = "Content-Type: application/zip\nContent-Transfer-Encoding: base64\n\n"
    head = (HEADER.replace("{kind}", "mixed") + LINE + NEXT + part).replace("\n", "\r\n").encode()
    return head + lines * (size // len(lines) + 1) + END.encode()


def in_pieces(data: bytes, piece: int = 65536) -> Scan:
    scanner = Scanner()
    for at in range(0, len(data), piece):
        scanner.feed(data[at : at + piece])
    return scanner.finish()


def main() -> None:
    message = typical()
    rounds = 2000
    # Processor time: what else runs on the machine shall not count.
    timer = time.process_time
    each = min(timeit.repeat(lambda: summarize(message), timer=timer, number=rounds, repeat=5)) / rounds * 1e6
    print(f"summarize {len(message)} octets: {each:.0f} microseconds ({1e6 / each:.0f}/s)")
    data = large()
    whole = min(timeit.repeat(lambda: scan(data), timer=timer, number=1, repeat=5))
    pieces = min(timeit.repeat(lambda: in_pieces(data), timer=timer, number=1, repeat=5))
    print(f"scan {len(data) / 1e6:.0f} MB at once: {len(data) / 1e6 / whole:.0f} MB/s")
    print(f"scan {len(data) / 1e6:.0f} MB in pieces of 64 KiB: {len(data) / 1e6 / pieces:.0f} MB/s")
    print(f"Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
