"""Shared fixtures. The folder itself is on the import path, so that tests can say `from pki import ...`."""
