"""From options to a weighing: whom to trust, by which policy, within which limits."""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.check import BELIEVES, Ask, Request, weigh
from weighbridge.cli.measuring import progress_line
from weighbridge.cli.output import emit, refuse_output
from weighbridge.core.budget import Limits
from weighbridge.core.durable import write_file
from weighbridge.core.errors import UsageError
from weighbridge.core.report import Report
from weighbridge.core.text import counted, visible
from weighbridge.core.value import replace
from weighbridge.policy import Policy, default_policy, find_policy, ignored_policy, load_policy
from weighbridge.policy.words import Need
from weighbridge.store import Links, in_hub_cache

if TYPE_CHECKING:
    from weighbridge.sign.anchor import Anchor
    from weighbridge.trust.keyring import Keyring


def weigh_as_asked(options: argparse.Namespace, ask: frozenset[Ask]) -> int:
    """Weigh, print, sign the verdict where asked, and return the exit code."""
    if getattr(options, "attest", None):
        from weighbridge.cli.keys import refuse_attest

        refuse_attest(options)
    _refuse_half_baseline(options)
    request = build(options, ask)
    _tell_of_ignored_policy(request.paths)
    with progress_line(request.paths, options) as progress:
        report = weigh(request, progress)
    if getattr(options, "attest", None):
        from weighbridge.cli.keys import attest_report

        attest_report(report, options)
    code = emit(report, options)
    if getattr(options, "write_baseline", None):
        _leave_baseline(report, options)
    return code


def _refuse_half_baseline(options: argparse.Namespace) -> None:
    """A baseline without a reason or an end would hide findings for ever. Raises `UsageError` (`baseline-unbound`)."""
    target = getattr(options, "write_baseline", None)
    if target:
        refuse_output(target)
        if not (options.reason or "").strip() or options.until is None:
            raise UsageError(
                "baseline-unbound",
                "a baseline needs a reason and a last day",
                "--reason TEXT --until 2027-03-31",
            )


def _leave_baseline(report: Report, options: argparse.Namespace) -> None:
    from weighbridge.policy.baseline import write_baseline

    hashes = {file.path: file.sha256 for file in report.files}
    findings = [*report.findings, *(item.finding for item in report.suppressed)]
    data = write_baseline(findings, hashes, reason=options.reason.strip(), until=options.until)
    write_file(Path(options.write_baseline), data + b"\n")
    sys.stderr.write(
        f"wrote {visible(options.write_baseline)}: {counted(len(findings), 'finding')} until {options.until}\n"
    )


def _tell_of_ignored_policy(paths: Sequence[str]) -> None:
    """A policy that came with a model looks as if it had effect; say that it has none."""
    for path in paths:
        found = ignored_policy(path)
        if found:
            sys.stderr.write(f"note: {visible(str(found))} came with the model and is not read\n")


def build(options: argparse.Namespace, ask: frozenset[Ask]) -> Request:
    """The request of `check`, `verify` and `scan`."""
    paths = tuple(options.model) if isinstance(options.model, list) else (options.model,)
    policy = chosen_policy(options.policy, paths)
    signatures = Ask.SIGNATURES in ask
    if ask & BELIEVES:
        policy = _laid_out(policy, options)
    if Ask.CONTENT in ask:
        policy = _widened(policy, options, paths)
    return Request(
        paths=paths,
        command=options.command,
        ask=ask,
        policy=_narrowed(policy, options) if ask & BELIEVES else policy,
        keyring=chosen_keyring(options, policy, paths[0]) if ask & BELIEVES else None,
        now=datetime.now(UTC),
        signatures=tuple(options.signature or ()) if ask & BELIEVES else (),
        ignore_unsigned=signatures and options.ignore_unsigned,
        allow_ignored=tuple(options.allow_uncovered or ()) if signatures else (),
        fail_fast=getattr(options, "fail_fast", False),
        links=Links(options.links),
        accept_links=len(paths) == 1 and in_hub_cache(paths[0]),
        limits=chosen_limits(options, policy.settings.limits),
        jobs=options.jobs or policy.settings.jobs,
        others=tuple(options.sarif or ()) if Ask.CONTENT in ask else (),
        statements=tuple(options.statements or ()) if Ask.STATEMENTS in ask else (),
        base=getattr(options, "base", None),
        state=_state() if ask & BELIEVES else None,
        recallers=_recallers(options) if ask & BELIEVES else (),
    )


def _recallers(options: argparse.Namespace) -> "tuple[Anchor, ...]":
    if not getattr(options, "recall_key", None):
        return ()
    from weighbridge.cli.keys import recallers

    return recallers(options)


def _state() -> Path:
    from weighbridge.evidence.mark import state_dir  # a scan believes nobody, and remembers nothing

    return state_dir(os.environ, Path.home())


def chosen_policy(chosen: str | None, model: Sequence[str]) -> Policy:
    """`--policy`, else the nearest `weighbridge.toml` outside the model, else the default preset."""
    found = chosen or find_policy(Path.cwd(), model=model)
    return load_policy(found, model=model) if found else default_policy()


def _widened(policy: Policy, options: argparse.Namespace, model: Sequence[str]) -> Policy:
    """`--baseline` adds what was accepted, `--rules` who else looks, `--weights` at what."""
    if options.baseline:
        from weighbridge.policy.baseline import read_baseline

        accepted = read_baseline(Path(options.baseline), model=model)
        policy = replace(policy, suppressions=(*policy.suppressions, *accepted))
    if options.loader:
        policy = policy.override("--loader", loaders=(*policy.loaders, *options.loader))
    if options.weights:
        policy = policy.override("--weights", weights=True)
    if options.rules:
        policy = policy.override("--rules", plugins=tuple(dict.fromkeys((*policy.plugins, *options.rules))))
    return policy


def _laid_out(policy: Policy, options: argparse.Namespace) -> Policy:
    """`--layout` asks for a chain that holds it, `--recalls` whether the model still stands, whatever the policy asks."""
    places = policy.settings.evidence
    if options.layout:
        keys = tuple(options.layout_key or ())
        places = replace(places, layout=options.layout, layout_keys=keys, link_dir=options.link_dir)
    if getattr(options, "base", None):
        policy = policy.override("--base", base=Need.REQUIRED)
    if getattr(options, "log_policy", None):
        places = replace(places, log_policy=options.log_policy)
    if options.recalls:
        places = replace(places, recalls=(*places.recalls, *options.recalls))
    return replace(policy, settings=replace(policy.settings, evidence=places))


def _narrowed(policy: Policy, options: argparse.Namespace) -> Policy:
    """`--by` and `--threshold` set what the policy file says about signers; `verify` always wants a signature."""
    if options.by:
        policy = policy.override("--by", signers=tuple(options.by))
    if options.threshold:
        policy = policy.override("--threshold", threshold=options.threshold)
    if options.command == "verify" and policy.signature is not Need.REQUIRED:
        policy = policy.override("verify", signature=Need.REQUIRED)
    return policy


def chosen_keyring(options: argparse.Namespace, policy: Policy, model: str | None) -> "Keyring":
    """The keys and roots of the command line when there are any, else the keyring directory."""
    from weighbridge.cli.keys import keyring_of_options, trust_dir
    from weighbridge.trust.keyring import Keyring, load_keyring

    given = keyring_of_options(options)
    if given is not None and not options.trust:
        return given
    folder = trust_dir(options.trust, policy.settings.trust_dir)
    if not folder.is_dir():
        if options.trust:
            raise UsageError("no-such-path", f'there is no keyring at "{folder}"', "weighbridge trust init")
        return given or Keyring()
    loaded = load_keyring(folder, model=model or None)  # Path("") would be the folder that we are in
    if given is None:
        return loaded
    return replace(
        loaded,
        anchors=(*loaded.anchors, *given.anchors),
        authorities=(*loaded.authorities, *given.authorities),
    )


def chosen_limits(options: argparse.Namespace, limits: Limits) -> Limits:
    """The configured limits, with the command line's on top."""
    given = {
        "bytes": options.max_bytes,
        "depth": options.max_depth,
        "members": options.max_members,
        "seconds": options.timeout,
    }
    return replace(limits, **{name: value for name, value in given.items() if value is not None})
