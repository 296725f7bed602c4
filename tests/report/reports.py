"""Reports as the desk would make them, for the tests of every renderer."""

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Confidence, FileResult, Finding, Place, Severity, Unread
from weighbridge.core.manifest import Difference
from weighbridge.core.report import Report, SignatureResult, Subject, Suppressed
from weighbridge.core.verdict import Decision, Verdict

DIGEST = "sha256:5f1c" + "0" * 56 + "9e02"
OTHER = "sha256:c09d" + "0" * 56 + "41aa"

SHELL = Finding(
    rule="pickle-unsafe-call",
    severity=Severity.ERROR,
    confidence=Confidence.HIGH,
    place=Place(path="extra/head.bin", parts=("archive/data.pkl",), offset=42),
    message="loading this file runs a shell command",
    trail=("30  GLOBAL   posix system", "42  REDUCE   ('curl …',)            calls posix.system"),
    fix="weighbridge convert ./chat-7b --drop extra/head.bin",
)
REMOTE_CODE = Finding(
    rule="config-remote-code",
    severity=Severity.WARNING,
    confidence=Confidence.MEDIUM,
    place=Place(path="config.json", line=9),
    message="config asks the loader to run code from the repository",
    trail=('"auto_map": {"AutoModel": "modeling_x.XModel"}',),
)
SIGNED = SignatureResult(
    outcome="pass",
    why="signed by release@acme.example",
    by="release@acme.example",
    roles=("publisher",),
    how="OpenSSF model signing 1.0, key ECDSA P-256",
    when="2026-11-20T14:02:00Z",
    covers="4 of 4 files; none extra, missing or changed",
    key="3f9a",
    bundle="chat-7b/model.sig",
)
FILES = (
    FileResult(path="config.json", size=512, format="json", outcome=Outcome.PASS, sha256="aa" * 32),
    FileResult(
        path="extra/head.bin", size=2048, format="pytorch-zip", outcome=Outcome.FAIL, sha256="bb" * 32
    ),
    FileResult(path="model.safetensors", size=13_500_000_000, format="safetensors", outcome=Outcome.PASS),
    FileResult(path="tokenizer.json", size=100, format="json", outcome=Outcome.PASS, sha256="cc" * 32),
)


def row(question: str, outcome: Outcome, why: str, **more: object) -> Evidence:
    return Evidence(question=question, outcome=outcome, why=why, **more)  # type: ignore[arg-type]


def refused() -> Report:
    """`check` of a signed model with a pickle that runs a command."""
    return Report(
        command="check",
        verdict=Verdict(
            decision=Decision.REFUSED,
            reasons=("safe: 1 error in 1 of 4 files: pickle-unsafe-call", "data: training set not stated (unknown, admitted)"),
            admitted_unknowns=("data",),
        ),
        subject=Subject(name="chat-7b", files=4, bytes=13_500_002_660, files_digest=DIGEST, tensors_digest="blake3:" + "ab" * 32),
        evidence=(
            row("signed", Outcome.PASS, "key ECDSA P-256, 2026-11-20", by="release@acme.example"),
            row("intact", Outcome.PASS, "4 of 4 files equal what was signed"),
            row("safe", Outcome.FAIL, "1 of 4 files can run code when loaded", by="weighbridge scan", code="error-finding"),
            row("read", Outcome.PASS, "4 of 4 files"),
            row("data", Outcome.UNKNOWN, "training set not stated", code="not-answered"),
        ),
        signatures=(SIGNED,),
        files=FILES,
        findings=(REMOTE_CODE, SHELL),
        suppressed=(Suppressed(finding=REMOTE_CODE, reason="modeling_x.py was read by two people", until="2027-02-01"),),
        policy=("production", "sha256:" + "de" * 32),
        started="2026-11-20T14:05:00Z",
        seconds=3.14,
        tool_version="0.1.0",
    )  # fmt: skip


def verified() -> Report:
    """`verify` of a good model, with a second signature by a stranger."""
    stranger = SignatureResult(
        outcome="unknown",
        why="nobody in the keyring has this key",
        code="signer-unknown",
        bundle="chat-7b/model.sig.2",
    )
    return Report(
        command="verify",
        verdict=Verdict(
            decision=Decision.ADMITTED, reasons=("signed: release@acme.example", "intact: 4 of 4 files")
        ),
        subject=Subject(name="chat-7b", files=4, bytes=13_500_002_660, files_digest=DIGEST),
        evidence=(row("signed", Outcome.PASS, "1 of 1 signers"), row("intact", Outcome.PASS, "4 of 4 files")),
        signatures=(SIGNED, stranger),
        policy=("default", "sha256:" + "de" * 32),
        started="2026-11-20T14:05:00Z",
        seconds=0.08,
        tool_version="0.1.0",
    )


def tampered() -> Report:
    """`verify` after somebody edited a file, added one, lost one and changed two tensors."""
    difference = Difference(
        changed=("model.safetensors", "tokenizer_config.json"),
        added=("adapter.bin",),
        removed=("LICENSE",),
        tensors_changed=("layers.17.up_proj", "layers.17.down_proj"),
    )
    broken = SignatureResult(
        outcome="fail",
        why="4 files differ from what was signed",
        code="contents-differ",
        by="release@acme.example",
        how="OpenSSF model signing 1.0, key ECDSA P-256",
        bundle="chat-7b/model.sig",
        difference=difference,
    )
    return Report(
        command="verify",
        verdict=Verdict(decision=Decision.REFUSED, reasons=("intact: 4 files differ from what was signed",)),
        subject=Subject(name="chat-7b", files=4, bytes=13_500_002_660, files_digest=OTHER),
        evidence=(
            row("signed", Outcome.PASS, "1 of 1 signers", by="release@acme.example"),
            row("intact", Outcome.FAIL, "4 files differ from what was signed", code="contents-differ"),
        ),
        signatures=(broken,),
        policy=("default", "sha256:" + "de" * 32),
        seconds=0.08,
        tool_version="0.1.0",
    )


def unsigned() -> Report:
    """`verify` of a model without a signature."""
    return Report(
        command="verify",
        verdict=Verdict(decision=Decision.UNDECIDED, reasons=("signed: no signature found (unknown)",)),
        subject=Subject(name="chat-7b", files=4, bytes=13_500_002_660, files_digest=OTHER),
        evidence=(
            row("signed", Outcome.UNKNOWN, "no signature found", code="no-signature", details=("looked in chat-7b/model.sig",)),
            row("intact", Outcome.UNKNOWN, "nothing to compare with", code="no-signature"),
        ),
        policy=("default", "sha256:" + "de" * 32),
        seconds=0.02,
        tool_version="0.1.0",
    )  # fmt: skip


def undecided() -> Report:
    """`scan` of a folder of which three files could not be read."""
    unread = (
        Unread(place=Place(path="a.rknn"), code="format-unknown", message="format not supported"),
        Unread(place=Place(path="b.rknn"), code="format-unknown", message="format not supported"),
        Unread(place=Place(path="big.zip"), code="limit-bytes", message="stopped at 10 GiB unpacked"),
    )
    return Report(
        command="scan",
        verdict=Verdict(
            decision=Decision.UNDECIDED, reasons=("read: 3 of 41 files not read whole (unknown)",)
        ),
        subject=Subject(name="downloads", files=41, bytes=3_200_000_000, files_digest=OTHER),
        evidence=(
            row("safe", Outcome.PASS, "no error and no doubt in 41 files"),
            row("read", Outcome.UNKNOWN, "3 of 41 files not read whole", code="format-unknown"),
        ),
        files=(FileResult(path="config.json", size=1, format="json", outcome=Outcome.PASS),),
        findings=(REMOTE_CODE,),
        unread=unread,
        policy=("default", "sha256:" + "de" * 32),
        seconds=12.4,
        tool_version="0.1.0",
    )


EVERY = (refused, verified, tampered, unsigned, undecided)


def hostile(text: str) -> Report:
    """A report in which everything that may come from a model is `text`."""
    place = Place(path=text, parts=(text, text), offset=7)
    finding = Finding(
        rule="pickle-unsafe-call", severity=Severity.ERROR, confidence=Confidence.LOW, place=place, message=text,
        trail=(text,), fix=text, doubt=True,
    )  # fmt: skip
    signature = SignatureResult(
        outcome="fail", why=text, code="contents-differ", by=text, roles=(text,), how=text, when=text, covers=text,
        key=text, bundle=text,
        difference=Difference(changed=(text,), added=(text,), removed=(text,), tensors_changed=(text,)),
    )  # fmt: skip
    return Report(
        command="check",
        verdict=Verdict(decision=Decision.REFUSED, reasons=(f"safe: {text}",), admitted_unknowns=()),
        subject=Subject(name=text, files=1, bytes=1, files_digest=DIGEST),
        evidence=(
            row("signed", Outcome.FAIL, text, by=text, details=(text,)),
            row("safe", Outcome.UNKNOWN, text, by=text),
            row("rule:x", Outcome.PASS, text, by=text),
        ),
        signatures=(signature,),
        files=(FileResult(path=text, size=1, format=text, outcome=Outcome.FAIL, sha256="aa" * 32),),
        findings=(finding, finding),
        unread=(Unread(place=place, code="format-unknown", message=text),),
        suppressed=(Suppressed(finding=finding, reason=text, until="2027-02-01"),),
        policy=(text, "sha256:" + "de" * 32),
        started="2026-11-20T14:05:00Z",
        seconds=0.1,
        tool_version="0.1.0",
    )
