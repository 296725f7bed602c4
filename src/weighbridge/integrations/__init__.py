"""Watching over other libraries: what they open is weighed first, and they get the bytes that were weighed.

`guarding` is one guard, `active` asks all that are on, `shelf` keeps what they admitted under its name; `patching` puts hooks
into libraries that are there and that come, `libraries`, `pickles` and `hub` say what is hooked; `child` carries a guard into
other processes. Every library is imported by whoever uses it, never here.
"""

from weighbridge.integrations.guarding import Guard, guard

__all__ = ["Guard", "guard"]
