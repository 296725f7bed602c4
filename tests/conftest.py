"""Shared by every test. Helpers that are not fixtures are imported by name: `from tests.pki import ...`."""
