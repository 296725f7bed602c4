"""The transparency log: what was stated, in which order, and that nobody changed it afterwards.

A log is a folder of plain files (C2SP tlog-tiles), its head a signed note (`checkpoint`), its entries digests of
statements. `sequencer` numbers entries in SQL, `publish` writes files, `witness` cosigns growth and nothing else,
`client` and `proof` believe only what keys, quorum and hashes prove, `audit` replays all, `mirror` copies what is proved.
Bodies of statements are elsewhere. docs/formats/tlog.md
"""
