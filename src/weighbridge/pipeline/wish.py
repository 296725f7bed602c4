"""What somebody asks to have recorded, and whether that can be done at all."""

from pathlib import Path

from weighbridge.attest import fields
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, field
from weighbridge.pipeline.material import Input, refuse_overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to record."""

    name: str
    """The step, as a layout calls it."""
    materials: tuple[Input, ...]
    products: tuple[Path, ...]
    command: tuple[str, ...]
    """As it is run; what is written down has no secrets."""
    folder: Path = field(default_factory=Path.cwd)
    """Where it runs."""
    parameters: tuple[tuple[str, str], ...] = ()
    host: frozenset[str] = frozenset()
    """Of `host.FACTS`: what may be told of the machine beyond the platform's name."""
    keep_failed: bool = False
    """State also what a failed command left."""


def check_wish(wish: Wish) -> None:
    """Raises `UsageError` (`bad-option`, `no-such-path`, `paths-overlap`) before anything is measured."""
    try:
        fields.word({"name": wish.name}, "name", None, "the step")
    except InputError as error:
        raise UsageError("bad-option", error.message, "--name train") from None
    if not wish.products:
        raise UsageError("bad-option", "no product is named", "--products OUT")
    for given in wish.materials:
        if not given.path.exists():
            raise UsageError("no-such-path", f'there is no material at "{visible(str(given.path))}"')
    for product in wish.products:
        if not product.absolute().parent.is_dir():
            raise UsageError("cannot-write", f'there is no folder for the product "{visible(str(product))}"')
    refuse_overlap([one.path for one in wish.materials], wish.products)
