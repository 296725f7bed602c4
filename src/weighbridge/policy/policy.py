"""Policy: what a gate asks and what it does with the answers, with Settings: how this machine works while asking.

Both come from one `weighbridge.toml`, laid over the presets that it extends. A policy has a name, a digest over what it
decides (not over comments, order or where a line stood), and remembers for each effective line the file that set it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import date
from pathlib import Path
from typing import Any

from weighbridge.core.budget import Limits
from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.policy.find import Models, refuse_inside, table_of
from weighbridge.policy.preset import PRESETS, preset_bytes
from weighbridge.policy.words import Findings, Line, Need, PolicyRule, StepRule, Suppression, Unknown

MAX_LAYERS = 8
"""Files that may extend each other; more is a mistake."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "verify": ("signed", "intact", "policy"),
    "scan": ("safe", "read", "others", "policy"),
    "trace": ("traced", "data", "approved", "policy"),
    "sweep": ("current",),
}
"""Commands that ask only a part of the policy; all others ask all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where evidence lies that does not lie beside the model (`[evidence]`); relative to the file that says so."""

    statements: tuple[str, ...] = ()
    """Files of bundles, or stores of statements."""
    log_policy: str | None = None
    """Which logs and witnesses count."""
    recalls: tuple[str, ...] = ()
    """Recall lists."""
    lineage: str | None = None
    """The lineage's database, a path or a URL."""
    layout: str | None = None
    """A layout of in-toto that the model's chain must hold."""
    layout_keys: tuple[str, ...] = ()
    """Public keys of its owners, all of whom must have signed it."""
    link_dir: str | None = None
    """The folder of its links; beside the layout when left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Who must agree before a contribution of others leaves quarantine (`[intake]`)."""

    approvals: tuple[tuple[str, int], ...] = ()
    """(role, how many people of it), sorted."""
    waivers: tuple[str, ...] = ()
    """Roles that may waive findings of severity error, with a reason."""
    cedar: str | None = None
    """A Cedar policy that says who may approve and let out what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the program works here; nothing in it changes what the policy asks."""

    trust_dir: str | None = None
    """The keyring; a relative path is resolved against the folder of the file that set it."""
    limits: Limits = field(default_factory=Limits)
    jobs: int | None = None
    format: str = "human"
    color: str = "auto"
    min_severity: str = "note"
    evidence: Places = field(default_factory=Places)
    intake: Intake = field(default_factory=Intake)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is asked of a model. The field docs give the words; `docs/policy.md` explains them to people."""

    name: str
    signature: Need = Need.REQUIRED
    """OPTIONAL lets a model pass that has no signature at all; one that is there must hold."""
    signers: tuple[str, ...] = ()
    """Names of the keyring that count; () for everybody in it."""
    roles: tuple[tuple[str, int], ...] = ()
    """(role, how many different signers of it), sorted."""
    threshold: int = 1
    """How many different signers in all."""
    log: Need = Need.OPTIONAL
    trace: tuple[str, ...] = ()
    """The steps that the model's chain must have, first to last; who may sign which stands in `steps`."""
    steps: tuple[StepRule, ...] = ()
    base: Need = Need.OPTIONAL
    """REQUIRED: somebody trusted must have signed which base it is an adapter for."""
    data: Need = Need.OPTIONAL
    fresh: Need = Need.OPTIONAL
    max_age: int = 30
    """Days after which the list of recalls or the log's head is no longer fresh."""
    recalls: Need = Need.OPTIONAL
    """REQUIRED: without a list of recalls nobody knows whether the model still stands."""
    approval: Need = Need.OPTIONAL
    approvals: tuple[tuple[str, int], ...] = ()
    """(role, how many people of it), sorted."""
    others: tuple[str, ...] = ()
    """Names of scanners whose results (SARIF) must be there."""
    plugins: tuple[str, ...] = ()
    """Installed packages whose rules look too (`[scan] rules`)."""
    loaders: tuple[str, ...] = ()
    """`torch==2.5`: the environment that is judged for (`[scan] loaders`); whatever is not named counts as any."""
    weights: bool = False
    """Look at the numbers of tensors too (`[scan] weights`)."""
    findings: Findings = Findings.NO_ERRORS
    unknown: tuple[tuple[str, Unknown], ...] = (("default", Unknown.UNDECIDED),)
    """(question or `default`, what to do), sorted; use `unknown_for`."""
    valid_until: date | None = None
    """The last day (UTC) of the policy itself; after it the question `policy` is UNKNOWN."""
    rules: tuple[PolicyRule, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    settings: Settings = field(default_factory=Settings)
    """No part of the policy's meaning or digest; nor are the two below."""
    lines: tuple[Line, ...] = ()
    """Every effective line with its source, in the order of the schema (`policy explain`)."""
    sources: tuple[str, ...] = ()
    """The layers, lowest first: presets, then files."""

    def __post_init__(self) -> None:
        if self.signers and self.threshold > len(self.signers):
            raise UsageError(
                "threshold-unreachable",
                f"threshold {self.threshold} can never be met by {len(self.signers)} signers",
            )

    @property
    def questions(self) -> tuple[str, ...]:
        """What the policy asks, each question once, in the order of the screen. Never empty."""
        asked = {
            "signed": True,
            "intact": True,
            "safe": self.findings is not Findings.ANY,
            "read": True,
            "others": bool(self.others),
            "logged": self.log is Need.REQUIRED,
            "traced": bool(self.layout or self.settings.evidence.layout),
            "based": self.base is Need.REQUIRED,
            "data": self.data is Need.REQUIRED,
            "approved": self.approval is Need.REQUIRED or bool(self.approvals),
            "current": self.recalls is Need.REQUIRED,
            "fresh": self.fresh is Need.REQUIRED,
            "policy": self.valid_until is not None,
        }
        return (
            *(question for question, wanted in asked.items() if wanted),
            *(rule.question for rule in self.rules),
        )

    @property
    def layout(self) -> tuple[StepRule, ...]:
        """The steps that are asked for, in their order: those of `trace`, or else every `[[policy.step]]`."""
        rules = {rule.name: rule for rule in self.steps}
        return tuple(rules.get(name, StepRule(name=name)) for name in self.trace or rules)

    def questions_of(self, command: str) -> tuple[str, ...]:
        """The part of `questions` that a command asks: `verify`, `scan` and `trace` answer only their own.

        `trace` asks where the model comes from, whatever the policy asks.
        """
        part = COMMANDS.get(command)
        questions = self.questions if part is None else tuple(q for q in self.questions if q in part)
        return tuple(dict.fromkeys(("traced", *questions))) if command == "trace" else questions

    def unknown_for(self, question: str) -> Unknown:
        """What to do where `question` has no answer."""
        words = dict(self.unknown)
        return words.get(question, words.get("default", Unknown.UNDECIDED))

    @property
    def meaning(self) -> dict[str, Any]:
        """Everything that can change a verdict, in plain types; the digest is taken over this."""
        return {
            "signature": self.signature.value,
            "signers": sorted(self.signers),
            "roles": dict(self.roles),
            "threshold": self.threshold,
            "log": self.log.value,
            "trace": list(self.trace),
            "data": self.data.value,
            "fresh": self.fresh.value,
            "approval": self.approval.value,
            **self._later_words,
            **({"others": sorted(self.others)} if self.others else {}),
            **({"plugins": sorted(self.plugins)} if self.plugins else {}),
            **({"loaders": sorted(self.loaders)} if self.loaders else {}),
            **({"weights": True} if self.weights else {}),
            "findings": self.findings.value,
            "unknown": {question: word.value for question, word in self.unknown},
            "valid-until": self.valid_until.isoformat() if self.valid_until else None,
            "rules": [{"name": r.name, "when": r.when, "require": r.require} for r in self.rules],
            "suppressions": sorted(_meaning(s) for s in self.suppressions),
        }

    @property
    def _later_words(self) -> dict[str, Any]:
        """Words that came after the first digests were taken stand in it only where they are used."""
        said: dict[str, Any] = {
            "steps": [_step_meaning(rule) for rule in self.steps],
            "in-toto": self.settings.evidence.layout is not None,
            "approvals": dict(self.approvals),
            "base": self.base.value if self.base is Need.REQUIRED else None,
            "recalls": self.recalls.value if self.recalls is Need.REQUIRED else None,
            "max-age": self.max_age if self.fresh is Need.REQUIRED else None,
        }
        return {word: value for word, value in said.items() if value}

    @property
    def digest(self) -> str:
        """`sha256:…` over the meaning as JSON with sorted keys (docs/policy.md, "The digest")."""
        canonical = json.dumps(self.meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return "sha256:" + hashlib.sha256(b"weighbridge.policy/v1\x00" + canonical.encode()).hexdigest()

    def override(self, source: str, **words: Any) -> "Policy":
        """The policy with some fields set by an option: `policy.override("--by", signers=("me",))`."""
        lines = [line for line in self.lines if line.key.partition(".")[0] not in words]
        lines += [
            Line(table="policy", key=key, value=_toml(value), source=source) for key, value in words.items()
        ]
        return replace(self, **words, lines=tuple(sorted(lines, key=_line_order)))


def _step_meaning(rule: StepRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "signers": sorted(rule.signers),
        "role": rule.role,
        "threshold": rule.threshold,
        "types": sorted(rule.types),
        "after": None if rule.after is None else list(rule.after),
    }


def _meaning(entry: Suppression) -> list[str]:
    bound = [] if entry.where is None else [entry.where, entry.sha256 or ""]
    return [entry.rule, entry.path, entry.until.isoformat(), *bound]


def default_policy() -> Policy:
    """The preset `default` without reading it: its words are the defaults of `Policy` (a test holds them together).

    Most weighings have no policy file, and the TOML reader would be a twentieth of a small one's time. Its `lines` are
    empty: who wants to see them takes `load_preset`.
    """
    return Policy(name="default", sources=("preset default",))


def load_policy(path: str | Path, *, model: Models = None) -> Policy:
    """The policy of a file, or of a preset by its name, laid over what it extends and over the preset `default`.

    `model` is the model, or all models, that will be judged by it. Raises `UsageError`: `no-such-policy`, `no-such-preset`,
    `policy-inside-model`, `policy-loop`, and what `read_document` raises.
    """
    if str(path) in PRESETS:
        return load_preset(str(path))
    return _compose(_layers_of_file(Path(path), model))


def load_preset(name: str = "default") -> Policy:
    """A preset by its name. Raises `UsageError` (`no-such-preset`)."""
    if name not in PRESETS:
        raise _no_preset(name)
    return _compose(_layers_of_preset(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    source: str
    tables: Mapping[str, Any]
    folder: Path | None = None


def _layers_of_preset(name: str) -> list[_Layer]:
    from weighbridge.policy.document import check_tables, parse_toml

    tables = check_tables(parse_toml(preset_bytes(name), f"preset {name}"), f"preset {name}")
    return [*_base(tables, None, None, 0), _Layer(source=f"preset {name}", tables=tables)]


def _layers_of_file(path: Path, model: Models, depth: int = 0) -> list[_Layer]:
    if depth >= MAX_LAYERS:
        raise UsageError(
            "policy-loop", f'"{visible(str(path))}" extends more than {MAX_LAYERS} files, or itself'
        )
    refuse_inside(path, model)
    tables = table_of(path)
    if tables is None:
        raise UsageError("no-such-policy", f'"{visible(str(path))}" has no table "tool.weighbridge"')
    from weighbridge.policy.document import check_tables

    checked = check_tables(tables, str(path))
    return [*_base(checked, path, model, depth), _Layer(source=str(path), tables=checked, folder=path.parent)]


def _base(tables: Mapping[str, Any], path: Path | None, model: Models, depth: int) -> list[_Layer]:
    """The layers that stand below `tables`: what it extends, and always the preset `default`."""
    below = tables.get("policy", {}).get("extends")
    if below is None:
        from weighbridge.policy.document import check_tables, parse_toml

        name = "default"
        checked = check_tables(parse_toml(preset_bytes(name), "preset default"), "preset default")
        return [_Layer(source="preset default", tables=checked)]
    if below in PRESETS:
        return _layers_of_preset(below)
    if path is None or not below.endswith(".toml"):
        raise _no_preset(below)
    return _layers_of_file(path.parent / below, model, depth + 1)


def _no_preset(name: str) -> UsageError:
    from difflib import get_close_matches

    close = get_close_matches(name, PRESETS, n=1)
    hint = (
        f'did you mean "{close[0]}"?'
        if close
        else f"presets: {', '.join(PRESETS)}; or a path that ends in .toml"
    )
    return UsageError("no-such-preset", f'"{visible(name)}" is no preset and no .toml file', hint)


def _compose(layers: list[_Layer]) -> Policy:
    from weighbridge.policy.document import lay_over

    merged: dict[str, Any] = {}
    for layer in layers:
        merged = lay_over(merged, _resolved(layer))
    sources = tuple(dict.fromkeys(layer.source for layer in layers))
    name = merged.get("policy", {}).get("name") or Path(layers[-1].source.removeprefix("preset ")).name
    return replace(_policy(name, merged), settings=_settings(merged), lines=_lines(layers), sources=sources)


def _resolved(layer: _Layer) -> Mapping[str, Any]:
    """The layer's tables with what depends on the file made plain: its own name, its folder, its suppressions."""
    tables = {name: dict(table) for name, table in layer.tables.items()}
    tables.get("policy", {}).pop("extends", None)
    if layer.folder is not None and "dir" in tables.get("trust", {}):
        tables["trust"]["dir"] = str(layer.folder / tables["trust"]["dir"])
    if layer.folder is not None and "evidence" in tables:
        tables["evidence"] = {
            key: [_placed(layer.folder, one) for one in value]
            if isinstance(value, list)
            else _placed(layer.folder, value)
            for key, value in tables["evidence"].items()
        }
    if layer.folder is not None and "cedar" in tables.get("intake", {}):
        tables["intake"]["cedar"] = str(layer.folder / tables["intake"]["cedar"])
    for entry in tables.get("scan", {}).get("suppress", ()):
        entry["source"] = layer.source
    return tables


def _placed(folder: Path, place: str) -> str:
    """A path relative to the file that names it; a URL as it is."""
    return place if "://" in place else str(folder / place)


def _policy(name: str, merged: Mapping[str, Any]) -> Policy:
    words = merged.get("policy", {})
    unknown = {question: word for question, word in words.get("unknown", {}).items() if question != "*"}
    until = words.get("valid-until")
    return Policy(
        name=name,
        signature=Need(words.get("signature", Need.REQUIRED)),
        signers=tuple(words.get("signers", ())),
        roles=tuple(sorted(words.get("roles", {}).items())),
        threshold=words.get("threshold", 1),
        log=Need(words.get("log", Need.OPTIONAL)),
        trace=tuple(words.get("trace", ())),
        base=Need(words.get("base", Need.OPTIONAL)),
        data=Need(words.get("data", Need.OPTIONAL)),
        fresh=Need(words.get("fresh", Need.OPTIONAL)),
        approval=Need(words.get("approval", Need.OPTIONAL)),
        approvals=tuple(sorted(words.get("approvals", {}).items())),
        max_age=int(words.get("max-age", "30d").removesuffix("d")),
        recalls=Need(words.get("recalls", Need.OPTIONAL)),
        steps=tuple(_step_rule(rule) for rule in words.get("step", ())),
        others=tuple(words.get("others", ())),
        plugins=tuple(merged.get("scan", {}).get("rules", ())),
        loaders=tuple(merged.get("scan", {}).get("loaders", ())),
        weights=merged.get("scan", {}).get("weights", False),
        findings=Findings(words.get("findings", Findings.NO_ERRORS)),
        unknown=tuple(sorted((question, Unknown(word)) for question, word in unknown.items())),
        valid_until=date.fromisoformat(until) if until else None,
        rules=tuple(PolicyRule(**rule) for rule in words.get("rule", ())),
        suppressions=tuple(
            Suppression(**{**entry, "until": date.fromisoformat(entry["until"])})
            for entry in merged.get("scan", {}).get("suppress", ())
        ),
    )


def _step_rule(rule: Mapping[str, Any]) -> StepRule:
    lists = {key: tuple(rule[key]) for key in ("signers", "types", "after") if key in rule}
    return StepRule(**{**rule, **lists})


def _settings(merged: Mapping[str, Any]) -> Settings:
    limits, trust, output, evidence = (
        merged.get(name, {}) for name in ("limits", "trust", "output", "evidence")
    )
    intake = merged.get("intake", {})
    names = {"max-bytes": "bytes", "max-depth": "depth", "max-members": "members", "max-memory": "memory"}
    bounds = {field: limits[key] for key, field in names.items() if key in limits}
    if "timeout" in limits:
        bounds["seconds"] = limits["timeout"]
    return Settings(
        trust_dir=trust.get("dir"),
        limits=Limits(**bounds),
        jobs=limits.get("jobs"),
        format=output.get("format", "human"),
        color=output.get("color", "auto"),
        min_severity=output.get("min-severity", "note"),
        evidence=Places(
            statements=tuple(evidence.get("statements", ())),
            log_policy=evidence.get("log-policy"),
            recalls=tuple(evidence.get("recalls", ())),
            lineage=evidence.get("lineage"),
            layout=evidence.get("layout"),
            layout_keys=tuple(evidence.get("layout-keys", ())),
            link_dir=evidence.get("link-dir"),
        ),
        intake=Intake(
            approvals=tuple(sorted(intake.get("approvals", {}).items())),
            waivers=tuple(intake.get("waivers", ())),
            cedar=intake.get("cedar"),
        ),
    )


def _lines(layers: Iterable[_Layer]) -> tuple[Line, ...]:
    """One line a key (one a question in `unknown`, one an entry in `[[…]]` arrays), each with its last setter."""
    lines: dict[tuple[str, str], Line] = {}
    for layer in layers:
        for table, keys in layer.tables.items():
            for key, value in keys.items():
                for line in _lines_of(table, key, value, layer.source):
                    if key == "unknown" and "*" in value:
                        lines = {at: old for at, old in lines.items() if not old.key.startswith("unknown.")}
                    lines[table, line.key] = line
    return tuple(sorted(lines.values(), key=_line_order))


def _lines_of(table: str, key: str, value: Any, source: str) -> list[Line]:
    if key == "unknown":
        return [
            Line(table=table, key=f"unknown.{question}", value=_toml(word), source=source)
            for question, word in value.items()
            if question != "*"
        ]
    if key == "rule":
        return [
            Line(table=table, key=f"rule {rule['name']}", value=_toml(rule), source=source) for rule in value
        ]
    if key == "step":
        return [
            Line(table=table, key=f"step {rule['name']}", value=_toml(rule), source=source) for rule in value
        ]
    if key == "suppress":
        return [
            Line(table=table, key=f"suppress {item['rule']} {item['path']}", value=_toml(item), source=source)
            for item in value
        ]
    return [Line(table=table, key=key, value=_toml(value), source=source)]


def _line_order(line: Line) -> tuple[int, int, str]:
    from weighbridge.policy.document import TABLES

    words = list(TABLES[line.table])
    word = line.key.partition(".")[0].partition(" ")[0].replace("_", "-")
    return list(TABLES).index(line.table), words.index(word) if word in words else len(words), line.key


def _toml(value: Any) -> str:
    """A value as TOML would write it on one line; good enough to read and to paste."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value}"


def _toml_key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)
