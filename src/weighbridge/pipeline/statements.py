"""The statements about a run: our own, and the same as SLSA provenance; signed and left beside what the run made."""

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path

from weighbridge.attest import predicates, resource
from weighbridge.attest.predicates import kind_named
from weighbridge.attest.predicates.provenance import RUN_BUILD, Provenance
from weighbridge.attest.predicates.training import Training
from weighbridge.attest.resource import Resource
from weighbridge.core.durable import one_writer, write_file
from weighbridge.core.errors import LimitError
from weighbridge.core.statement import Named, Statement, write_statement
from weighbridge.core.version import __version__
from weighbridge.core.wire import write_json
from weighbridge.evidence import statements_path
from weighbridge.sign.bundle import MAX_STATEMENTS_FILE
from weighbridge.sign.signer import AnySigner, sign_all
from weighbridge.store import read_beside

BUILDER = "urn:weighbridge:run"
"""Whose word it is: this recorder's, on a machine and with a key that the signature names."""


def payload_of(word: str, value: object, subjects: Sequence[Named]) -> bytes:
    """The payload of a statement of one of our kinds."""
    kind = kind_named(word)
    if kind is None:
        raise AssertionError(word)
    predicate = predicates.write(kind, value)
    return write_statement(Statement(subjects=tuple(subjects), predicate_type=kind.type, predicate=predicate))


def signed_lines(payload: bytes, signers: Sequence[AnySigner]) -> tuple[bytes, ...]:
    """One bundle for each signer."""
    found = sign_all(payload, signers)
    return tuple(line for line in (found.siblings or found.primary).split(b"\n") if line.strip())


def run_lines(run: Training, products: Sequence[Named], signers: Sequence[AnySigner]) -> tuple[bytes, ...]:
    """Both statements about a run, signed by each signer."""
    payloads = (payload_of("training", run, products), payload_of("provenance", provenance_of(run), products))
    return tuple(line for payload in payloads for line in signed_lines(payload, signers))


def provenance_of(run: Training) -> Provenance:
    """The run as SLSA v1 tells it. The environment stands in it as one digest; our own statement lists it."""
    code: tuple[Resource, ...] = ()
    if run.git:
        code = (
            Resource(what=Named(name="code", others=(("gitCommit", run.git.commit),)), uri=run.git.remote),
        )
    lock = hashlib.sha256(write_json([list(row) for row in run.environment])).hexdigest()
    external = {"step": run.name, "command": list(run.command), "parameters": dict(run.parameters)}
    internal = {"exitCode": run.exit_code, "host": dict(run.host)}
    if run.git:
        internal["codeDiffersFromCommit"] = run.git.dirty
    if run.environment:
        internal["environment"] = f"sha256:{lock}"
    return Provenance(
        build_type=RUN_BUILD,
        builder=BUILDER,
        external=external | ({"plan": run.plan} if run.plan else {}),
        internal=internal,
        dependencies=(*(resource.of_material(one) for one in run.materials), *code),
        builder_version=(("weighbridge", __version__),),
        invocation=str(uuid.uuid4()),
        started=run.started,
        finished=run.finished,
    )


def leave_beside(product: Path, lines: Sequence[bytes]) -> Path:
    """Add lines to `PRODUCT.attestations.jsonl`: all of them, or none. Raises as `append`."""
    target = statements_path(product)
    append(target, lines)
    return target


def append(target: Path, lines: Sequence[bytes]) -> None:
    """Add lines to a file of statements, whole or not at all. Raises `UsageError` (`cannot-write`, `not-a-file`),
    `BrokenError` (`disk`, `busy`), `LimitError` (`limit-json`).
    """
    with one_writer(target.parent):
        there = read_beside(target, MAX_STATEMENTS_FILE) or b""
        kept = there if not there or there.endswith(b"\n") else there + b"\n"
        data = kept + b"".join(line + b"\n" for line in lines)
        if len(data) > MAX_STATEMENTS_FILE:
            raise LimitError(
                "limit-json", f'"{target.name}" would have more than {MAX_STATEMENTS_FILE} bytes'
            )
        write_file(target, data)
