"""A folder for PYTHONPATH: what lies in it runs at the start of every Python process that a guard started."""
