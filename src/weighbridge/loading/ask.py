"""From what a program says (`key=`, `trust=`, `policy=`, …) to a weighing; the words mean what they mean on the command line.

A program that says nothing gets what `weighbridge check` would do: the nearest policy file outside of the model, and the
keyring of the person who runs it.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weighbridge.check import Ask, Request
from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, replace
from weighbridge.evidence.mark import state_dir
from weighbridge.policy import Policy, default_policy, find_policy, load_policy
from weighbridge.policy.words import Need
from weighbridge.sign.anchor import Anchor
from weighbridge.store import Links, in_hub_cache, read_beside
from weighbridge.trust.keyring import Keyring, from_public_key, keyring_dir, load_keyring

MAX_KEY = 1024**2

PathLike = str | os.PathLike[str]
Key = PathLike | bytes
"""A public key's file, or its PEM text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whom to trust and by which policy, for any number of models."""

    keys: tuple[tuple[str, bytes], ...] = ()
    """(name, PEM) of the public keys that were given."""
    trust: str | None = None
    policy: Policy | str | None = None
    by: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    links: Links = Links.INSIDE
    jobs: int | None = None
    base: str | None = None
    """What an adapter shall be used with; the question `based` is then asked."""

    def settled(self) -> Policy:
        """The policy where no model has a say; raises `UsageError` and `TrustError` for mistakes in policy or keyring."""
        policy = self._policy(None)
        self._keyring(policy, None)
        return policy

    def request(self, model: str, *, only: tuple[str, ...] | None = None) -> Request:
        """The weighing of one model. Raises `UsageError` and `TrustError` for mistakes in policy or keyring."""
        policy = self._policy(model)
        return Request(
            paths=(model,),
            command="check",
            ask=frozenset(Ask),
            policy=policy,
            keyring=self._keyring(policy, model),
            now=datetime.now(UTC),
            signatures=self.signatures,
            links=self.links,
            limits=policy.settings.limits,
            jobs=self.jobs or policy.settings.jobs,
            accept_links=in_hub_cache(model),
            state=state_dir(os.environ, Path.home()),
            base=self.base,
            only=only,
        )

    def _policy(self, model: str | None) -> Policy:
        if isinstance(self.policy, Policy):
            policy = self.policy
        else:
            found = self.policy or find_policy(Path.cwd(), model=model)
            policy = load_policy(found, model=model) if found else default_policy()
        if self.base is not None:
            policy = policy.override("base", base=Need.REQUIRED)
        return policy.override("by", signers=self.by) if self.by else policy

    def _keyring(self, policy: Policy, model: str | None) -> Keyring:
        given: tuple[Anchor, ...] = tuple(from_public_key(pem, name) for name, pem in self.keys)
        if given and self.trust is None:
            return Keyring(anchors=given)
        folder = keyring_dir(self.trust or policy.settings.trust_dir, os.environ, Path.home())
        if not folder.is_dir():
            if self.trust is not None:
                raise UsageError(
                    "no-such-path",
                    f'there is no keyring at "{visible(str(folder))}"',
                    "weighbridge trust init",
                )
            return Keyring(anchors=given)
        loaded = load_keyring(folder, model=model)
        return replace(loaded, anchors=(*loaded.anchors, *given))


def ask(
    *,
    key: Key | Sequence[Key] | None = None,
    trust: PathLike | None = None,
    policy: Policy | PathLike | None = None,
    by: str | Sequence[str] | None = None,
    signature: PathLike | Sequence[PathLike] | None = None,
    links: Links | str = Links.INSIDE,
    jobs: int | None = None,
    base: PathLike | None = None,
) -> Asked:
    """What a program said, read and checked once. Raises `UsageError` (`no-such-path`) and `TrustError`.

    `key`: public keys to trust, as files or PEM bytes. `trust`: a keyring folder. `policy`: a preset, a file, or a
    `Policy`. `by`: only these signers count. `signature`: signature files that do not lie beside the model. `base`: what
    an adapter shall be used with; it is refused with another than the one that it was signed for.
    """
    names = (by,) if isinstance(by, str) else tuple(by or ())
    several = _several(key)
    keys = tuple(_key(one, names, len(several)) for one in several)
    return Asked(
        keys=keys,
        trust=None if trust is None else os.fspath(trust),
        policy=policy if policy is None or isinstance(policy, Policy) else os.fspath(policy),
        by=names,
        signatures=tuple(os.fspath(one) for one in _several(signature)),
        links=Links(links),
        jobs=jobs,
        base=None if base is None else os.fspath(base),
    )


def _several(given: Any) -> tuple[Any, ...]:
    """One thing, several, or none, as a tuple; a text is one thing."""
    if given is None:
        return ()
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def _key(given: Key, names: tuple[str, ...], count: int) -> tuple[str, bytes]:
    """(name, PEM). A key is called by its file; `by` with one key names it."""
    called = names[0] if len(names) == 1 and count == 1 else ""
    if isinstance(given, bytes):
        pem, name = given, called
    else:
        path = os.fspath(given)
        data = read_beside(Path(path), MAX_KEY)
        if data is None:
            raise UsageError("no-such-path", f'there is no file at "{visible(path)}"')
        pem, name = data, called or Path(path).name
    return from_public_key(pem, name).name, pem
