"""`python -m weighbridge.scan.contracts`: write the compiled form of the contract files."""

from weighbridge.scan.contracts.compiled import write

write()
