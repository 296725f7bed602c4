"""Statements through in-toto's own Python bindings (in-toto-attestation, protobuf); run by its own interpreter.

Takes JSON lines of statements: each is parsed, validated, its predicate parsed by the predicate's message where the
bindings have one, and written again as the bindings write it. Prints one JSON line for each. The bindings of 2023 hold
`verifiedLevels` of a verification summary for a text where SLSA has a list, so that message is not used.
"""

import json
import sys

from google.protobuf import json_format
from in_toto_attestation.predicates.link.v0 import link_pb2
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

PREDICATES = {
    "https://in-toto.io/attestation/link/v0.3": link_pb2.Link,
    "https://slsa.dev/provenance/v1": provenance_pb2.Provenance,
    "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
}

for line in sys.stdin:
    message = json_format.Parse(line, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()
    written = json.loads(json_format.MessageToJson(message))
    kind = PREDICATES.get(message.predicate_type)
    if kind is not None:
        predicate = json_format.ParseDict(json.loads(line)["predicate"], kind())
        written["predicate"] = json.loads(json_format.MessageToJson(predicate))
    print(json.dumps({"checked": kind is not None, "statement": written}))
