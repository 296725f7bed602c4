"""The statement of a bundle, read once however often it is asked for."""

from functools import lru_cache

from weighbridge.core.errors import InputError, LimitError
from weighbridge.sign import oms
from weighbridge.sign.bundle import Bundle


@lru_cache(maxsize=2)
def parsed(payload: bytes) -> oms.OmsStatement:
    """Statements are read up to three times (plan, signer, contents), and siblings share theirs."""
    return oms.parse_statement(payload)


def readable(bundle: Bundle) -> list[oms.OmsStatement]:
    """The statement of a bundle as a list of one; empty where it cannot be read."""
    try:
        return [] if bundle.code else [parsed(bundle.envelope.payload)]
    except (InputError, LimitError):
        return []
