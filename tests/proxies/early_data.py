"""A client that sends its request as TLS early data, which Python's ssl cannot: OpenSSL's own."""

from __future__ import annotations

from pathlib import Path
import re
import subprocess
from tempfile import TemporaryDirectory

from certificates import Certificates
from clients import HOST
from connections import DEADLINE_SECONDS


__all__ = ["ask_early", "early_data_allowed"]


def early_data_allowed(port: int, certificates: Certificates) -> int:
    """The bytes of early data that the sessions of this server allow."""
    with TemporaryDirectory() as folder:
        said = _ask(port, certificates, Path(folder), sent=_request(certificates))
    allowed = [int(size) for size in re.findall(r"Max Early Data: (\d+)", said)]
    return max(allowed, default=0)


def ask_early(port: int, certificates: Certificates) -> str:
    """What ``openssl s_client`` prints of the owner's second connection, on which it sends its request early."""
    with TemporaryDirectory() as folder:
        session, request = Path(folder, "session"), Path(folder, "request")
        request.write_bytes(_request(certificates))
        _ask(port, certificates, Path(folder), "-sess_out", str(session), sent=_request(certificates))
        return _ask(port, certificates, Path(folder), "-sess_in", str(session), "-early_data", str(request), sent=b"")


def _request(certificates: Certificates) -> bytes:
    token = certificates.tokens[certificates.owner]
    lines = ("GET / HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {token}", "Connection: close", "", "")
    return "\r\n".join(lines).encode()


def _ask(port: int, certificates: Certificates, folder: Path, *arguments: str, sent: bytes) -> str:
    certificate, key = certificates.owner.write(folder)
    ca = folder / "ca.pem"
    ca.write_bytes(certificates.kit.ca_pem)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, "-CAfile", str(ca)]
    command += ["-cert", str(certificate), "-key", str(key), "-tls1_3", "-ign_eof", *arguments]
    done = subprocess.run(
        command, input=sent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE_SECONDS, check=False
    )
    return done.stdout.decode(errors="replace")
