"""A SPIFFE Workload API on a Unix socket, as an agent such as SPIRE's serves it, and SVIDs for it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from threading import Condition
from time import monotonic

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
import grpc
from spiffe._proto import workload_pb2 as messages, workload_pb2_grpc as service


BILLING, REPORTS = "spiffe://example.org/billing", "spiffe://example.org/reports"
DEADLINE_SECONDS = 20


def until(condition):
    """Wait until *condition* returns something true, and return that."""
    pause, end = Condition(), monotonic() + DEADLINE_SECONDS
    with pause:
        while not (value := condition()):
            assert monotonic() < end, "it has not happened in time"
            pause.wait(0.005)
    return value


def svid(ca, spiffe_id=BILLING, *, names=(), chain=(), days=1, **changes):
    """An X.509-SVID of the `trustme.CA` *ca*, as it travels; *changes* are to the message."""
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    issuer_key = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    ca_bits = dict.fromkeys(("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    other_bits = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    alternatives = [x509.UniformResourceIdentifier(spiffe_id), *map(x509.DNSName, names)]
    usage = [x509.ExtendedKeyUsageOID.CLIENT_AUTH, x509.ExtendedKeyUsageOID.SERVER_AUTH]
    leaf = (
        x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **other_bits, **ca_bits), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    pkcs8 = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    given = {
        "spiffe_id": spiffe_id,
        "x509_svid": b"".join(map(der, [leaf, *chain])),
        "x509_svid_key": key.private_bytes(serialization.Encoding.DER, *pkcs8),
        "bundle": bundle(ca),
    }
    return messages.X509SVID(**(given | changes))


def bundle(*cas):
    """The trust bundle of these CAs."""
    return b"".join(der(x509.load_pem_x509_certificate(ca.cert_pem.bytes())) for ca in cas)


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


class WorkloadApi(service.SpiffeWorkloadAPIServicer):
    """Gives one answer to whoever asks, and the next one to whoever is still there.

    Attributes:
        asked: How often a stream was asked for.
        open: How many there are.
        silent: Whether those who ask from now on are told nothing until the next answer.
    """

    def __init__(self, folder):
        self.path = folder / "agent.sock"
        self.asked = self.open = 0
        self.silent = False
        self._answer, self._number, self._changed = grpc.StatusCode.PERMISSION_DENIED, 0, Condition()
        self._server = self._threads = None

    def start(self):
        self._threads = ThreadPoolExecutor(10)
        self._server = grpc.server(self._threads)
        service.add_SpiffeWorkloadAPIServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{self.path}")
        self._server.start()

    def stop(self):
        """As an agent that is stopped: the streams break, the socket is gone."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._threads.shutdown()
            self._server = None

    def give(self, *svids):
        """From now on these, which replace those before."""
        self.answer(messages.X509SVIDResponse(svids=svids))

    def answer(self, answer):
        """A message to send, or a status to end the stream with; None ends it as if all was said."""
        with self._changed:
            self._answer, self._number = answer, self._number + 1
            self._changed.notify_all()

    def FetchX509SVID(self, request, context):  # noqa: N802 - as gRPC names methods
        yield from self._answers(context)

    def FetchX509Bundles(self, request, context):  # noqa: N802
        for answer in self._answers(context):
            bundles = {f"spiffe://{one.spiffe_id.split('/')[2]}": one.bundle for one in answer.svids}
            yield messages.X509BundlesResponse(bundles=bundles)

    def _answers(self, context):
        # The specification's §3: without this header the request may have been forged through a browser or a proxy.
        if ("workload.spiffe.io", "true") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing")
        context.add_callback(self._wake)
        seen = self._number if self.silent else -1
        with self._changed:
            self.asked, self.open = self.asked + 1, self.open + 1
        try:
            while True:
                with self._changed:
                    while self._number == seen and context.is_active():
                        self._changed.wait()
                    answer, seen = self._answer, self._number
                if answer is None or not context.is_active():
                    return
                if isinstance(answer, grpc.StatusCode):
                    context.abort(answer, "no identity issued")
                yield answer
        finally:
            with self._changed:
                self.open -= 1

    def _wake(self):
        with self._changed:
            self._changed.notify_all()
