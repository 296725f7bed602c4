"""A policy out of its files: each laid over what it extends, and all over a preset.

Not here: the strict reader of one file (`document`), and what the words mean (`policy`, `judge`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from weighbridge.core.budget import Limits
from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.policy.find import Models, refuse_inside, table_of
from weighbridge.policy.lines import effective_lines
from weighbridge.policy.policy import Intake, Places, Policy, Settings
from weighbridge.policy.preset import PRESETS, preset_bytes
from weighbridge.policy.words import Findings, Need, PolicyRule, StepRule, Suppression, Unknown

MAX_LAYERS = 8
"""Files that may extend each other; more is a mistake."""


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
    return replace(
        _policy(name, merged),
        settings=_settings(merged),
        lines=effective_lines((layer.source, layer.tables) for layer in layers),
        sources=sources,
    )


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
