"""Judging many statements against the bare signature checks in them, side by side: `python bench/attest.py [STATEMENTS]`.

Both run on one core, in turns of one slice each, and processor time is counted, so that what else the machine does falls on
neither. Bare: the bytes to
verify and the key's object lie ready in memory, and only the library's `verify` is called. Judged: the file as it lies on
the disk, to (who, what kind, which digest) for each line, strictly parsed.
"""

import gc
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from weighbridge.attest.batch import judge_lines
from weighbridge.cli.app import GARBAGE
from weighbridge.core.manifest import Digest
from weighbridge.core.statement import Named, Statement, write_statement
from weighbridge.sign import keys
from weighbridge.sign.anchor import KeyAnchor
from weighbridge.sign.dsse import pae
from weighbridge.sign.signer import PemSigner, sign_statement

SLICE = 250
SIGNERS = 20
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def payload(number: int) -> bytes:
    files = Digest("sha256", number.to_bytes(32, "big"))
    tensors = Digest("blake3", (number * 7).to_bytes(32, "big"))
    said = {
        "decision": "approve",
        "timeReviewed": "2026-11-20T14:02:00Z",
        "role": "safety",
        "comment": f"case {number}",
    }
    subject = Named(name=f"model-{number}", files=files, tensors=tensors)
    return write_statement(
        Statement(subjects=(subject,), predicate_type="weighbridge.review/v1", predicate=said)
    )


def measure(algorithm: str, count: int) -> tuple[float, float]:
    """Seconds of the bare checks and of the judging."""
    people = [keys.generate(algorithm) for _ in range(SIGNERS)]
    signers = [PemSigner(keys.private_pem(key)) for key in people]
    anchors = [
        KeyAnchor(name=f"person-{i}", public_key_pem=keys.public_pem(key.public_key()))
        for i, key in enumerate(people)
    ]
    extra: tuple[Any, ...] = (ec.ECDSA(hashes.SHA256()),) if algorithm.startswith("ecdsa") else ()
    rows, lines = [], []
    for number in range(count):
        said, key = payload(number), people[number % SIGNERS]
        rows.append((key.public_key(), keys.sign(key, pae(said)), pae(said)))
        lines.append(sign_statement(said, signers[number % SIGNERS]) + b"\n")
    file = judge_lines(b"".join(lines), "statements.jsonl", anchors, (), NOW)
    bare = judged = 0.0
    for first in range(0, count, SLICE):
        start = time.process_time()
        for public, signature, signed in rows[first : first + SLICE]:
            check: Any = public.verify
            check(signature, signed, *extra)
        middle = time.process_time()
        good = sum(one.is_signed for one in islice(file, SLICE))
        end = time.process_time()
        assert good == min(SLICE, count - first)
        bare, judged = bare + middle - start, judged + end - middle
    return bare, judged


def main() -> None:
    gc.set_threshold(*GARBAGE)  # as the program does
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for algorithm in ("ed25519", "ecdsa-p256"):
        bare, judged = measure(algorithm, count)
        print(
            f"{algorithm:<10}  {count:,} statements: bare {count / bare:,.0f}/s, judged {count / judged:,.0f}/s,"
            f" ratio {bare / judged:.0%} (wanted: at least 80%)"
        )


if __name__ == "__main__":
    main()
