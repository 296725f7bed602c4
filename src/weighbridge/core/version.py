"""The version, on the ground floor: everybody may say it, and the package itself stands above all rooms."""

__version__ = "0.1.0"
