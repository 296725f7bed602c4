"""Statements that tests make: people with keys, and what they state about artifacts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weighbridge.attest import predicates
from weighbridge.attest.attestation import Attestation, judge_all
from weighbridge.attest.predicates import kind_named
from weighbridge.attest.predicates.dataset import Dataset
from weighbridge.attest.predicates.review import Decision, Review
from weighbridge.attest.predicates.training import Training
from weighbridge.attest.step import Material, Relation
from weighbridge.attest.subject import Subject, subject_of
from weighbridge.core.statement import Named, Statement, write_statement
from weighbridge.measure import Plan, measure
from weighbridge.sign import keys
from weighbridge.sign.anchor import KeyAnchor
from weighbridge.sign.bundle import read_lines
from weighbridge.sign.signer import PemSigner, sign_statement
from weighbridge.store import open_artifact

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
THEN = "2026-11-20T14:02:00Z"


class Person:
    """Somebody with a key of their own."""

    def __init__(self, name: str, *roles: str, key: "Person | None" = None) -> None:
        self.name, self.roles = name, roles
        self.private = key.private if key else keys.generate("ed25519")
        self.signer = PemSigner(keys.private_pem(self.private))

    @property
    def anchor(self) -> KeyAnchor:
        public = keys.public_pem(self.private.public_key())
        return KeyAnchor(name=self.name, roles=self.roles, public_key_pem=public)

    def leave(self, folder: Path) -> tuple[Path, Path]:
        """NAME.key and NAME.pub."""
        private, public = folder / f"{self.name}.key", folder / f"{self.name}.pub"
        private.write_bytes(keys.private_pem(self.private))
        private.chmod(0o600)
        public.write_bytes(keys.public_pem(self.private.public_key()))
        return private, public

    def states(self, word: str, value: Any, *about: Named) -> bytes:
        """One line of a file of statements."""
        kind = kind_named(word)
        assert kind is not None
        return self.signs(
            Statement(subjects=about, predicate_type=kind.type, predicate=predicates.write(kind, value))
        )

    def signs(self, statement: Statement) -> bytes:
        """The same for any statement."""
        return sign_statement(write_statement(statement), self.signer) + b"\n"

    # The usual sentences.

    def collected(self, data: Named, *sources: Named, step: str = "collect") -> bytes:
        materials = tuple(Material(what=one, relation=Relation.DERIVED_FROM) for one in sources)
        return self.states(
            "dataset", Dataset(title=data.name, licence="CC-BY-4.0", step=step, sources=materials), data
        )

    def ran(self, name: str, product: Named, *materials: tuple[Relation, Named], **more: Any) -> bytes:
        run = Training(
            name=name, started=THEN, finished=THEN, exit_code=0, recorder="weighbridge 0.1.0",
            materials=tuple(Material(what=what, relation=relation) for relation, what in materials), **more,
        )  # fmt: skip
        return self.states("training", run, product)

    def reviewed(self, model: Named, decision: str = "approve", role: str = "") -> bytes:
        return self.states("review", Review(decision=Decision(decision), time=THEN, role=role), model)


def judged(lines: bytes, people: Sequence[Person], now: datetime = NOW) -> tuple[Attestation, ...]:
    """A file of statements, by whom we trust."""
    return judge_all(read_lines(lines, "attestations.jsonl"), [one.anchor for one in people], (), now)


def subject(path: Path) -> Subject:
    """An artifact as it is measured."""
    artifact = open_artifact(str(path))
    manifest = measure(artifact, Plan(tensors=True)).manifest
    return subject_of(artifact.name, manifest, single=artifact.single)


def thing(name: str, number: int) -> Named:
    """Something that has a digest and no files."""
    return Named(name=name, others=(("sha256", f"{number:064x}"),))


ANOTHER_SPELLING = {
    "letter case": ("zoé fischer", "ZOÉ Fischer"),
    "width": ("zoe", "\uff5a\uff4f\uff45"),
    "ligature": ("fiona", "\ufb01ona"),
    "composition": ("zo\u00e9", "zoe\u0301"),
    "an unseen joiner": ("zoe", "zo\u200de"),
    "an unseen filler": ("zoe", "zoe\u3164"),
    "spaces": ("zoe fischer", "zoe\u00a0 fischer"),
    "sharp s": ("zoe straße", "zoe STRASSE"),
}
"""Names that nobody can tell apart, or that only a keyboard does."""
IN_A_KEYRING = sorted(set(ANOTHER_SPELLING) - {"an unseen joiner"})
"""A keyring refuses hidden characters."""
ONE_PERSON = ("two keys", "two names on one key", "tied by the keyring alone", *ANOTHER_SPELLING)


def one_person(how: str, *roles: str) -> tuple[Person, Person, tuple[Person, ...]]:
    """Somebody who signs as two, and the keyring that lets them."""
    names = ANOTHER_SPELLING.get(how, ("zoe", "zoe" if how == "two keys" else "zara"))
    first = Person(names[0], *roles)
    second = Person(names[1], *roles, key=first if how == "two names on one key" else None)
    if how == "tied by the keyring alone":
        return first, second, (first, second, Person("zara", *roles, key=first))
    return first, second, (first, second)
