"""weighbridge: the checkpoint every AI model passes between whoever trained it and whoever depends on it.

Start reading in `weighbridge.check`: it is the whole product on one page.
"""

__version__ = "0.1.0"
