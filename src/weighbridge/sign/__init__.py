"""Sign and verify: DSSE envelopes in Sigstore-style bundles, OpenSSF Model Signing statements, and every kind of key.

Knows bytes, values and `now`; it opens no model file and believes nobody: whom to trust is handed in as anchors.
"""
