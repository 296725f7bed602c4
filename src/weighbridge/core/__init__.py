"""The ground floor: six nouns that every room shares. Imports nothing of ours above itself.

Artifact   the files of a model or data set, read-only
Manifest   its measured contents; the subject of every statement
Statement  somebody's signed sentence about a manifest (lives in `weighbridge.sign`)
Finding    what our own examination saw
Evidence   PASS, FAIL or UNKNOWN, with the reason, to one question that the policy asks
Verdict    ADMITTED, REFUSED or UNDECIDED, with the reasons
"""
