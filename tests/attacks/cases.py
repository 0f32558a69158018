"""What a row of the attack table is, and how one is built. The rows stand in `cases_binding` and `cases_jwt`.

A row differs from an accepted token in the attacked property alone; the rows named ``control`` are the same
constructions, untouched.
"""

from collections.abc import Callable, Mapping
import json
from typing import Any, NamedTuple

from tokenbind import KeySet, Reason, SigningKey, TokenVerifier
from tokenbind.testing import BindingKit, ClientCertificate
from tokenbind.tokens.compact import base64url


class AttackKit(BindingKit):
    """A kit whose issuer has several keys, each for one algorithm; the verifier would take one more, RS256."""

    def __init__(self):
        super().__init__()
        self.keys = {name: SigningKey.generate(name, kid=f"{name}-key") for name in ("PS256", "ES384", "EdDSA")}
        self.foreign_key = SigningKey.generate("ES256")
        self.foreign_key_with_our_kid = SigningKey.from_pem(self.foreign_key.to_pem(), kid=self.key.kid)
        keys = {"keys": [self.key.public_jwk, *(key.public_jwk for key in self.keys.values())]}
        self.verifier = TokenVerifier(
            issuer=self.issuer.issuer,
            audience=self.audience,
            keys=KeySet.from_jwks(keys),
            algorithms=("ES256", "ES384", "PS256", "RS256", "EdDSA"),
            clock=self.clock,
            monitor=self.monitor,
        )


Build = Callable[[AttackKit], tuple[str, ClientCertificate | None]]


class Case(NamedTuple):
    """One attack: *build* gives the token and whose certificate is presented; without a *reason* it is to pass.

    *over_http* is the reason where the guard sees the attack before the verifier can. *in_process* marks what no
    handshake of `ssl`, or no line of HTTP, can carry.
    """

    name: str
    build: Build
    reason: Reason | None
    over_http: Reason | None
    in_process: bool


def cases(
    attack: int | str,
    reason: Reason | None,
    builds: Mapping[str, Build],
    *,
    over_http: Reason | None = None,
    in_process: bool = False,
) -> list[Case]:
    """Rows for the variants of one attack."""
    prefix = f"attack-{attack}" if isinstance(attack, int) else attack
    return [Case(f"{prefix}-{name}", build, reason, over_http or reason, in_process) for name, build in builds.items()]


def by_client(build_token: Callable[[AttackKit], str]) -> Build:
    """The rightful client presents the token that *build_token* makes."""
    return lambda kit: (build_token(kit), kit.client())


def claims(**changes: Any) -> Build:
    """The rightful client, claims changed; ``...`` takes one away, a function is called with the kit."""
    return by_client(lambda kit: kit.sign(kit.claims(kit.client(), **_of(kit, changes))))


def header(**changes: Any) -> Build:
    """The rightful client, header changed likewise, signed by the issuer."""
    return by_client(lambda kit: kit.sign(kit.claims(kit.client()), header=_of(kit, changes)))


def signed_by(key: Callable[[AttackKit], Any], **changes: Any) -> Build:
    """The rightful client, good claims, signed by another key; *changes* are the header's."""
    return by_client(lambda kit: kit.sign(kit.claims(kit.client()), key=key(kit), header=_of(kit, changes)))


def claims_text(edit: Callable[[str], str | bytes]) -> Build:
    """The rightful client, the JSON text of the claims edited."""
    return by_client(lambda kit: kit.sign(_bytes(edit(json.dumps(kit.claims(kit.client()))))))


def header_text(edit: Callable[[str], str | bytes]) -> Build:
    """The rightful client, the JSON text of the header edited."""

    def build_token(kit):
        members = {"alg": kit.key.algorithm, "typ": "at+jwt", "kid": kit.key.kid}
        return kit.sign(kit.claims(kit.client()), header=_bytes(edit(json.dumps(members))))

    return by_client(build_token)


def token_text(edit: Callable[[str], str]) -> Build:
    """The rightful client, the text of a good token edited."""
    return by_client(lambda kit: edit(kit.mint(kit.client())))


def segment(index: int, edit: Callable[[str], str]) -> Build:
    """The rightful client, one of the three segments of a good token edited."""

    def edit_token(token):
        segments = token.split(".")
        segments[index] = edit(segments[index])
        return ".".join(segments)

    return token_text(edit_token)


def signature(edit: Callable[[bytes], bytes], algorithm: str = "ES256") -> Build:
    """The rightful client, the signature's bytes edited."""

    class Editor:
        def __init__(self, key):
            self.algorithm, self.kid = key.algorithm, key.kid
            self.sign = lambda message: edit(key.sign(message))

    return signed_by(lambda kit: Editor(kit.keys.get(algorithm, kit.key)))


def encoded(value: Any) -> str:
    """A segment that holds *value* as JSON."""
    return base64url(json.dumps(value).encode()).decode()


def _of(kit, changes):
    return {name: change(kit) if callable(change) else change for name, change in changes.items()}


def _bytes(text):
    return text.encode() if isinstance(text, str) else text
