"""Recall: calling back what turned out to be bad, and finding it again on a machine."""
