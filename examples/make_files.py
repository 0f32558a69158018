"""Makes the files with which the other programs can be tried: ``python make_files.py``, in an empty folder.

They are a CA (``ca.pem``), a certificate for servers at 127.0.0.1 (``server.pem``), one for a client (``client.pem``),
which is registered as ``billing`` (``clients.json``), and the key with which an authorization server signs
(``issuer.key``, ``jwks.json``). The key of each certificate lies beside it. For tests, not for production: it needs
``tokenbind[testing]``, and the CA's own key is gone when it is done.
"""

import json
import os
from pathlib import Path

from tokenbind.testing import BindingKit


def main() -> None:
    """Write them into the working directory."""
    kit = BindingKit()
    client = kit.client("client")
    client.write(".")
    server = kit.ca.issue_cert("127.0.0.1", "localhost")
    registered = {"billing": {"x5t#S256": client.thumbprint, "scope": "invoices:read"}}
    files = {
        "ca.pem": kit.ca_pem,
        "server.pem": server.cert_chain_pems[0].bytes(),
        "server.key": server.private_key_pem.bytes(),
        "issuer.key": kit.key.to_pem(),
        "jwks.json": json.dumps(kit.issuer.jwks()).encode(),
        "clients.json": json.dumps(registered).encode(),
    }
    for name, content in files.items():
        with open(name, "wb", opener=_only_for_us) as file:
            file.write(content)
    print("wrote client.pem, client.key,", ", ".join(files), "into", Path.cwd())


def _only_for_us(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


if __name__ == "__main__":
    main()
