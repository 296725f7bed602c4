"""Trust: whom this machine believes. A keyring names them, a quorum counts them, keygen makes keys.

Nothing here is ever read from inside a model, and nobody is trusted because they were seen first.
"""
