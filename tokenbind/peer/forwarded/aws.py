"""The certificate in the event that AWS API Gateway gives to a Lambda function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from ...binding import PeerCertificate
from ...binding.pem import malformed, read_certificates
from ...binding.thumbprint import thumbprint_of_der
from ...errors import Reason, Unavailable
from ..source import SSLObject


__all__ = ["EventSource"]

_SOURCE = "forwarded.aws_api_gateway"

# Where bridges from Lambda to WSGI put the event: apig-wsgi, serverless-wsgi, aws-wsgi.
_ENVIRON_KEYS = ("apig_wsgi.full_event", "serverless.event", "awsgi.event")


class EventSource:
    """The peer source for Lambda functions behind API Gateway with mutual TLS; made by `aws_api_gateway`.

    No client can write into the event, so no proxy has to be trusted by its address; who else may invoke the function
    is for its resource policy to say. API Gateway has verified the chain against its trust store.
    """

    hidden_headers: frozenset[bytes] = frozenset()

    def from_scope(self, scope: MutableMapping[str, Any]) -> PeerCertificate | None:
        """From ``scope["aws.event"]``, where Mangum has it."""
        return self.from_event(scope.get("aws.event"))

    def from_environ(self, environ: Mapping[str, Any]) -> PeerCertificate | None:
        """From where apig-wsgi, serverless-wsgi or aws-wsgi have the event."""
        return self.from_event(next((environ[key] for key in _ENVIRON_KEYS if key in environ), None))

    def from_request(
        self,
        headers: Iterable[tuple[bytes, bytes]] = (),
        *,
        socket_peer: object = None,
        socket_name: object = None,
        tls_peer: SSLObject | None = None,
    ) -> PeerCertificate | None:
        """Always ``certificate_source_missing``: the parts of a request have no event; use `from_event`."""
        return self.from_event(None)

    def from_event(self, event: object) -> PeerCertificate | None:
        """From the event itself, of a function or of an authorizer (REQUEST), payload 1.0 or 2.0.

        Args:
            event: What Lambda has called the handler with.

        Raises:
            Unavailable: ``certificate_source_missing``, if this is no event of API Gateway.
            InvalidRequest: ``certificate_malformed``.
        """
        context = event.get("requestContext") if isinstance(event, Mapping) else None
        if not isinstance(context, Mapping) or not ("identity" in context or "http" in context):
            raise Unavailable(
                Reason.CERTIFICATE_SOURCE_MISSING,
                "no information about the peer certificate: there is no event of API Gateway with a requestContext",
            )
        # Payload 1.0 has identity; 2.0 has authentication, which is null without mutual TLS.
        holder = context.get("identity" if "identity" in context else "authentication")
        for key in ("clientCert", "clientCertPem"):
            if holder is None:
                return None
            if not isinstance(holder, Mapping):
                raise malformed("requestContext of the event is not as API Gateway writes it")
            holder = holder.get(key)
        if holder is None or holder == "":
            return None
        chain = read_certificates(holder)
        if len(chain) != 1:
            raise malformed("there is more than one certificate where one belongs")
        return PeerCertificate(thumbprint_of_der(chain[0]), chain, _SOURCE, True)
