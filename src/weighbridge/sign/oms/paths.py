"""Names in OMS statements: which are canonical, and which paths a statement leaves out (OMS sections 6.1 and 6.2)."""

from collections.abc import Callable, Iterable

from weighbridge.sign.bundle import signature_names
from weighbridge.sign.oms.content import OmsStatement

default_ignores = (".git", ".gitattributes", ".github", ".gitignore")
"""Left out at the model's root by every OMS tool (OMS section 6.2); `sub/.git` is not."""

HARMLESS = frozenset({".gitattributes", ".gitignore"})
"""Files that the format leaves out, that ordinary Hub folders have, and that nothing loads."""


def name_problem(name: str) -> str:
    """Why a name is not a canonical path inside the model (OMS section 6.1.2); "" when it is."""
    if "\x00" in name:
        return "name-nul"
    if name.startswith("/"):
        return "name-absolute"
    parts = name.split("/")
    if ".." in parts:
        return "name-escapes"
    if "" in parts or "." in parts:
        return "name-not-canonical"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "name-not-utf8"
    return ""


def left_out(path: str, ignore_paths: Iterable[str]) -> bool:
    """Whether signing with these `ignore_paths` leaves `path` out."""
    return matcher((*default_ignores, *signature_names(), *ignore_paths))(path)


def ignorer(statement: OmsStatement) -> Callable[[str], bool]:
    """Tells whether the statement leaves a path out on purpose. A path that it lists is never left out."""
    if statement.nameless:
        return lambda path: False
    matches = matcher((*default_ignores, *statement.ignore_paths))
    return lambda path: path not in statement.paths and matches(path)


def matcher(ignores: Iterable[str]) -> Callable[[str], bool]:
    """Exact relative paths and what lies below them; no patterns (OMS section 6.2.1)."""
    wanted = frozenset(ignores)
    roots = frozenset(path.partition("/")[0] for path in wanted)

    def matches(path: str) -> bool:
        if path.partition("/")[0] not in roots:
            return False
        parts = path.split("/")
        return any("/".join(parts[:count]) in wanted for count in range(1, len(parts) + 1))

    return matches
