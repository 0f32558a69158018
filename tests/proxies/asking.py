"""How a setup is asked, and what its answers must be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import ssl

from certificates import Certificates
from check import FORMS
from clients import HOST, Client
from connections import REFUSALS, Answer
from programs import Place
from setups import Setup

from tokenbind import Reason
from tokenbind.testing import ClientCertificate


__all__ = ["Asking"]


class Asking:
    """What the checks of one setup are made of; each raises if it does not hold."""

    def __init__(self, setup: Setup, place: Place, certificates: Certificates) -> None:
        self.setup = setup
        self.place = place
        self.certificates = certificates
        self._header = setup.proxy.header
        self._form = FORMS[setup.proxy.folder]
        self._forged = self._form(certificates.owner.pem)
        self._contexts: dict[tuple[ClientCertificate | None, str], ssl.SSLContext] = {}

    @property
    def _attackers(self) -> list[tuple[ClientCertificate | None, Reason]]:
        """The thief, and nobody, with what they are to be told in the log."""
        nobody = [] if self.setup.certificates == "required" else [(None, Reason.CERTIFICATE_MISSING)]
        return [(self.certificates.thief, Reason.CERTIFICATE_MISMATCH), *nobody]

    def _connect(self, client: ClientCertificate | None, protocol: str = "http/1.1", name: str = HOST) -> Client:
        key = client, protocol
        if key not in self._contexts:
            self._contexts[key] = self.certificates.context(client, protocol=protocol)
            self._contexts[key].check_hostname = False  # who the proxy is, attackers do not care
        return Client(self.place.proxy.port, self._contexts[key], name=name)

    def _token(self, client: ClientCertificate | None = None) -> str:
        return self.certificates.tokens[client or self.certificates.owner]

    def _accepted(self, answer: Answer, client: ClientCertificate, size: int = 0) -> None:
        assert answer.status == 200, self._said(answer)
        assert answer.json == self.certificates.claims_of(client) | {"bytes": size}, answer

    def _refused(self, answer: Answer, reason: Reason, status: int = 401) -> None:
        """The answer says no more than that; the log says why, under the answer's reference."""
        said = self._said(answer)
        assert (answer.status, f"refused with {status}, {reason}: " in said) == (status, True), said

    def _said(self, answer: Answer) -> str:
        """The answer, or what the service's log has under its reference."""
        if not answer.reference:
            return str(answer)
        return self.place.service.wait_for_log(rf".*\(reference {answer.reference}\)")[0]

    @contextmanager
    def _noting(self, attack: str, client: ClientCertificate | None) -> Iterator[None]:
        """Say in errors which attack it was."""
        try:
            yield
        except Exception as error:
            error.add_note(f"{attack}, sent by {client}")
            raise

    def _foiled(self, answer: Answer, reason: Reason) -> None:
        """Refused for that reason, or by the proxy."""
        if answer.reference:
            self._refused(answer, reason)
        else:
            assert 400 <= answer.status < 500, answer

    def _refused_by_proxy(self, client: ClientCertificate | None) -> None:
        try:
            with self._connect(client) as connection:
                answer = connection.ask(self._token())
        except REFUSALS:
            answer = None
        status = answer and answer.status
        assert status == self.setup.proxy.without, f"not refused as it should be: {answer}"
