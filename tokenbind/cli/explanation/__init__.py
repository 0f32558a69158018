"""What `tokenbind explain` finds out, free of files and printing: sentences for operators, and never a verdict."""

from .causes import binding_causes, named_value
from .findings import Finding, bounded
from .known_certificates import HASHES, KnownCertificate, known_certificates
from .lenient_token import LenientToken, read_token
from .spellings import readings
from .token_findings import Expected, certificate_findings, token_findings
from .token_kinds import PROFILES


__all__ = [
    "HASHES",
    "PROFILES",
    "Expected",
    "Finding",
    "KnownCertificate",
    "LenientToken",
    "binding_causes",
    "bounded",
    "certificate_findings",
    "known_certificates",
    "named_value",
    "read_token",
    "readings",
    "token_findings",
]
