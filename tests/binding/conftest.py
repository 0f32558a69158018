"""The vector of RFC 8705 Appendix A, which every test of the core is held against."""

import json
from pathlib import Path
import ssl
from typing import NamedTuple

from hypothesis import settings
import pytest


settings.register_profile("tokenbind", deadline=None, max_examples=60)  # no deadline: a busy machine is no defect
settings.load_profile("tokenbind")


class AppendixA(NamedTuple):
    pem: str
    der: bytes
    thumbprint: str
    not_canonical: str


@pytest.fixture(scope="session")
def appendix_a():
    """The certificate of Appendix A, its thumbprint, and the value of §3.1 that no certificate has."""
    vector = json.loads(Path(__file__).parents[1].joinpath("vectors", "rfc8705-appendix-a.json").read_text())
    pem = vector["certificate_pem"]
    return AppendixA(
        pem, ssl.PEM_cert_to_DER_cert(pem), vector["cnf"]["x5t#S256"], vector["not_canonical_example_of_section_3_1"]
    )
