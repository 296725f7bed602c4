"""Rules of others: found by entry point, asked only where they are named, and never able to make anything pass."""

from pathlib import Path

import pytest

from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.scan.engine import Scan, Scanner
from weighbridge.scan.plugins import installed, load_plugins
from weighbridge.store import open_artifact

CODE = '''
from weighbridge.core.finding import Severity
from weighbridge.scan.rule import Rule

class NoWordSecret(Rule):
    """Says when a text holds the word secret."""
    name, summary, severity, formats = "no-word", "a text says secret", Severity.ERROR, ("text",)
    def look(self, reading, place):
        if "secret" in reading.text:
            yield self.finding(place, "says secret")

class Breaks(Rule):
    """Breaks on everything that says break."""
    name, summary, severity, formats = "breaks", "breaks", Severity.NOTE, ("text",)
    def look(self, reading, place):
        if "break" in reading.text:
            raise RuntimeError("sorry")
        yield from ()

class Counts(Rule):
    """Looks at the folder."""
    name, summary, severity, folder = "counts", "counts", Severity.WARNING, True
    def look_folder(self, folder):
        from weighbridge.core.finding import Place
        if len(folder.artifact.members) > 1:
            yield self.finding(Place(path=folder.artifact.members[0].path), "more than one", doubt=True)
RULES = (NoWordSecret, Breaks, Counts)
NOTHING = ()
'''


@pytest.fixture
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    info = site / "acme_rules-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "acme_rules.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.2\n")
    points = "acme = acme_rules:RULES\nempty = acme_rules:NOTHING\ngone = acme_rules:ABSENT\n"
    (info / "entry_points.txt").write_text(f"[weighbridge.rules]\n{points}")
    monkeypatch.syspath_prepend(str(site))


def scan(tmp_path: Path, **texts: str) -> Scan:
    model = tmp_path / "model"
    model.mkdir()
    for name, text in texts.items():
        (model / f"{name}.txt").write_text(text)
    artifact = open_artifact(str(model))
    scanner = Scanner(plugins=load_plugins(["acme"]))
    seen = [scanner.examine(member, artifact.files.open(member)) for member in artifact.members]
    return scanner.finish(artifact, seen)


@pytest.mark.usefixtures("_package")
def test_a_finding_carries_the_name_of_its_origin(tmp_path: Path) -> None:
    found = scan(tmp_path, a="this is secret")
    assert [(f.rule, f.trail) for f in found.findings] == [("acme/no-word", ("rule of acme-rules 1.2",))]
    assert [file.outcome for file in found.files] == [Outcome.FAIL]


@pytest.mark.usefixtures("_package")
def test_a_rule_that_breaks_leaves_the_file_unknown(tmp_path: Path) -> None:
    found = scan(tmp_path, a="break here")
    assert [(item.code, file.outcome) for item, file in zip(found.unread, found.files, strict=True)] == [
        ("internal-error", Outcome.UNKNOWN)
    ]


@pytest.mark.usefixtures("_package")
def test_a_folder_rule_sees_the_folder(tmp_path: Path) -> None:
    found = scan(tmp_path, a="one", b="two")
    assert [(f.rule, f.place.path) for f in found.findings] == [("acme/counts", "a.txt")]
    assert [file.outcome for file in found.files] == [Outcome.UNKNOWN, Outcome.PASS]


@pytest.mark.usefixtures("_package")
def test_what_is_not_named_is_not_imported() -> None:
    import sys

    sys.modules.pop("acme_rules", None)
    assert {"acme", "empty", "gone"} <= set(installed())
    assert "acme_rules" not in sys.modules


@pytest.mark.usefixtures("_package")
@pytest.mark.parametrize(
    ("name", "code"), [("nobody", "no-such-rules"), ("empty", "bad-rules"), ("gone", "bad-rules")]
)
def test_what_cannot_be_loaded_is_refused(name: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_plugins([name])
    assert caught.value.code == code
