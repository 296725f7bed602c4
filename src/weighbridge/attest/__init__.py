"""What people state about how a model came to be: typed predicates, attestations, the steps of a chain.

    bytes of a `*.jsonl` file ─attestation.read→ Attestation ─predicates.read→ a typed predicate ─step_of→ Step

A statement counts for what its signer may say, and only about the digests that it names. Who may say what is the
policy's to decide; nothing here knows a policy, a network or a clock.
"""
