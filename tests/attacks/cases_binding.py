"""Attacks 1-22, on the binding: rows of the table."""

import json

import trustme

from tokenbind import Reason, thumbprint
from tokenbind.testing import ClientCertificate

from .cases import by_client, cases, claims, claims_text


X5T = "x5t#S256"


def issue(ca, name="client"):
    """A certificate of *ca*, with that CA's own behind it if it is not the root."""
    leaf = ca.issue_cert(f"{name}.client.example", common_name=name)
    pem = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
    return ClientCertificate(name, pem, leaf.private_key_pem.bytes())


def chained(kit):
    return issue(kit.ca.create_child_ca())


def self_signed(kit):
    ca = trustme.CA()
    return ClientCertificate("self-signed", ca.cert_pem.bytes().decode(), ca.private_key_pem.bytes())


def stolen(thief):
    """A client's token in the hands of *thief*, a function of the kit and the client."""

    def build(kit):
        client = kit.client()
        return kit.mint(client), thief(kit, client)

    return build


def cnf(value):
    """The rightful client, another ``cnf``; a function is called with the client."""
    return claims(cnf=lambda kit: value(kit.client()) if callable(value) else value)


def naming(spell, presented=lambda kit: kit.client()):
    """A token that names what *spell* makes of the presented certificate; both are functions."""

    def build(kit):
        client = presented(kit)
        return kit.sign(kit.claims(kit.client(), cnf={X5T: spell(client)})), client

    return build


def twice(members):
    """The thief with a token whose ``cnf``, as JSON text, *members* makes of the victim's thumbprint and its own."""

    def build(kit):
        thief = kit.client("stranger")
        others = json.dumps(kit.claims(thief, cnf=...))
        return kit.sign(f"{{{members(our_thumbprint(kit), thief.thumbprint)}, {others[1:]}".encode()), thief

    return build


def unbound(**elsewhere):
    """The rightful client with its thumbprint anywhere but in ``cnf``."""
    return claims(cnf=..., **elsewhere)


def our_thumbprint(kit):
    return kit.client().thumbprint


def foreign_cnf(kit):
    return {X5T: kit.client("stranger").thumbprint}


JWK = {"kty": "EC", "crv": "P-256", "x": "1yfLHCpXqFjxCeHHHMVDTcLscpb07KUxudBmOMn8C7Q"}
JWK["y"] = "8_coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8"
JKT = "Fvi_j8Immo6AlgIwpZKqaXnNP_9b09pLKkQHObRebQY"
OTHER_METHODS = {"jkt": JKT, "jwk": JWK, "jwe": "a.b.c.d.e", "jku": "https://127.0.0.1:9/jwks", "kid": "some-key"}

WRONG_TYPES = {"null": None, "list": [], "string": "", "number": 1, "zero": 0, "true": True, "false": False}

BINDING = [
    *cases(
        "control",
        None,
        {
            "minted": by_client(lambda kit: kit.mint(kit.client())),
            "signed": claims(),
            "claims-text": claims_text(lambda text: text),
            "cnf": cnf(lambda client: {X5T: client.thumbprint}),
            "chain": naming(lambda client: client.thumbprint, chained),
            "renewed-with-a-token-of-its-own": naming(
                lambda client: client.thumbprint, lambda kit: kit.renewed(kit.client())
            ),
        },
    ),
    *cases(1, Reason.CERTIFICATE_MISSING, {"no-certificate": stolen(lambda kit, client: None)}),
    *cases(
        2,
        Reason.CERTIFICATE_MISMATCH,
        {
            "other-subject": stolen(lambda kit, client: kit.client("stranger")),
            "same-subject": stolen(lambda kit, client: issue(kit.ca, client.name)),
        },
    ),
    *cases(3, Reason.CERTIFICATE_MISMATCH, {"renewed": stolen(lambda kit, client: kit.renewed(client))}),
    *cases(
        4,
        Reason.TOKEN_UNBOUND,
        {"downgrade": unbound(), "downgrade-no-certificate": lambda kit: (kit.unbound(kit.client()), None)},
    ),
    *cases(
        5, Reason.CONFIRMATION_MALFORMED, {name: cnf(value) for name, value in {**WRONG_TYPES, "empty": {}}.items()}
    ),
    *cases(5, Reason.CONFIRMATION_MALFORMED, {"list-around": cnf(lambda client: [{X5T: client.thumbprint}])}),
    *cases(
        6,
        Reason.CONFIRMATION_MALFORMED,
        {name: cnf({X5T: value}) for name, value in WRONG_TYPES.items()}
        | {
            "list-around": cnf(lambda client: {X5T: [client.thumbprint]}),
            "nested": cnf(lambda client: {X5T: {X5T: client.thumbprint}}),
        },
    ),
    *cases(7, Reason.CONFIRMATION_UNSUPPORTED, {"jkt-only": cnf({"jkt": JKT})}),
    *cases(
        8, Reason.CONFIRMATION_UNSUPPORTED, {"jkt-beside": cnf(lambda client: {X5T: client.thumbprint, "jkt": JKT})}
    ),
    *cases(
        9,
        Reason.CONFIRMATION_UNSUPPORTED,
        {
            f"{name}-beside": cnf(lambda client, name=name: {X5T: client.thumbprint, name: OTHER_METHODS[name]})
            for name in ("jwk", "jwe", "jku", "kid")
        }
        | {
            f"{name}-null": cnf(lambda client, name=name: {X5T: client.thumbprint, name: None})
            for name in OTHER_METHODS
        },
    ),
    *cases(
        10,
        None,
        {
            name: cnf(lambda client, name=name: {X5T: client.thumbprint, name: "anything"})
            for name in ("kc-jkt-type", "x5t#uri", "x5t", "x5t#S512")
        },
    ),
    *cases(
        11,
        Reason.CONFIRMATION_UNSUPPORTED,
        {
            name: cnf(lambda client, member=member: {member: client.thumbprint})
            for name, member in {
                "sha1": "x5t",
                "lower-case": "x5t#s256",
                "upper-case": "X5T#S256",
                "long-name": "x5t#SHA256",
                "sha512": "x5t#S512",
                "space-before": " x5t#S256",
                "nul-after": "x5t#S256\0",
                "no-hash-sign": "x5tS256",
            }.items()
        },
    ),
    *cases(
        12,
        Reason.TOKEN_UNBOUND,
        {
            "top-level": unbound(**{X5T: our_thumbprint}),
            "act": unbound(act=lambda kit: {"sub": "other", "cnf": {X5T: our_thumbprint(kit)}}),
            "near-miss": unbound(CNF=lambda kit: {X5T: our_thumbprint(kit)}),
            "header": by_client(
                lambda kit: kit.sign(
                    kit.claims(kit.client(), cnf=...),
                    header={X5T: our_thumbprint(kit), "cnf": {X5T: our_thumbprint(kit)}},
                )
            ),
        },
    ),
    *cases(
        12,
        Reason.CERTIFICATE_MISMATCH,
        {
            "act-of-the-thief": lambda kit: (
                kit.sign(kit.claims(kit.client(), act={"cnf": foreign_cnf(kit)}, **foreign_cnf(kit))),
                kit.client("stranger"),
            )
        },
    ),
    *cases(12, None, {"ignored": claims(act=lambda kit: {"cnf": foreign_cnf(kit)}, **{X5T: "other"})}),
    *cases(
        17,
        Reason.CERTIFICATE_MISMATCH,
        {
            "intermediate": naming(lambda client: thumbprint(client.peer.chain[1]), chained),
            "root": lambda kit: naming(lambda client: thumbprint(kit.ca_pem.decode()), chained)(kit),
        },
    ),
    *cases(
        19,
        Reason.TOKEN_MALFORMED,
        {
            "cnf-twice-ours-last": twice(
                lambda victim, thief: f'"cnf": {{"{X5T}": "{victim}"}}, "cnf": {{"{X5T}": "{thief}"}}'
            ),
            "cnf-twice-ours-first": twice(
                lambda victim, thief: f'"cnf": {{"{X5T}": "{thief}"}}, "cnf": {{"{X5T}": "{victim}"}}'
            ),
            "thumbprint-twice": twice(lambda victim, thief: f'"cnf": {{"{X5T}": "{victim}", "{X5T}": "{thief}"}}'),
            "name-escaped": twice(lambda victim, thief: f'"cnf": {{"{X5T}": "{victim}", "x5t\\u0023S256": "{thief}"}}'),
            "deep-elsewhere": twice(
                lambda victim, thief: f'"cnf": {{"{X5T}": "{thief}"}}, "a": [{{"b": {{"c": 1, "c": 1}}}}]'
            ),
        },
    ),
    *cases(
        19, None, {"once": twice(lambda victim, thief: f'"cnf": {{"{X5T}": "{thief}"}}, "a": [{{"b": {{"c": 1}}}}]')}
    ),
    *cases(21, None, {"expired": naming(lambda client: client.thumbprint, lambda kit: kit.expired())}, in_process=True),
    *cases(21, None, {"self-signed": naming(lambda client: client.thumbprint, self_signed)}, in_process=True),
]
