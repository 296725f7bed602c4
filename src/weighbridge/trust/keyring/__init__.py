"""The keyring: a folder that names the identities whom this machine trusts, written by people and read strictly.

`trust.toml` says who; the files beside it are their public keys, roots, revocation lists and trusted roots. The format is
docs/formats/keyring.md. Everything is read and checked when the keyring is loaded, so that a mistake in it is an error
here and not a surprise in a verdict.

Anybody who can write the folder decides whom you trust: a folder or file that everybody may write is refused. Who owns it
is not looked at, since containers and build machines mount keyrings that somebody else owns. Deliberately not here:
trust on first use, a keyring that came with a model, and private keys.

Reading it is named here, since that is what nearly everybody wants; edits are in `editing`, what `trust show` tells in
`standing`.
"""

from weighbridge.trust.keyring.folder import FILE, keyring_dir
from weighbridge.trust.keyring.reading import Keyring, from_public_key, load_keyring

__all__ = ["FILE", "Keyring", "from_public_key", "keyring_dir", "load_keyring"]
