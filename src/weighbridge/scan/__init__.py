"""Look for dangerous content without loading anything: engine, one rule a file, contracts as reviewed data."""
