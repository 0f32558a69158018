"""Attacks 55-62, on the form of token and JSON: rows of the table. The rightful client presents each."""

import codecs
import json
import zlib

from tokenbind import Reason

from .cases import by_client, cases, claims, claims_text, encoded, header, header_text, segment, token_text


TEXTS = {"claims": claims_text, "header": header_text}
SEGMENTS = {"header": 0, "claims": 1, "signature": 2}


def first(member):
    """*member* before the others, which have the name too."""
    return lambda text: "{" + member + ", " + text[1:]


def last(member):
    return lambda text: text[:-1] + ", " + member + "}"


def with_special_characters(edit):
    """A good token whose signature has ``-`` and ``_`` in it, edited."""

    def build_token(kit):
        while True:
            token = kit.mint(kit.client())
            if {"-", "_"} <= set(token.rpartition(".")[2]):
                return edit(token)

    return by_client(build_token)


def spare_bits(text):
    """The same bytes to a lenient decoder: the last of the 86 characters of a signature has four spare bits."""
    return text[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[text[-1]]


def filled(length):
    """A good token of about *length* characters."""
    return claims(filler="f" * (length * 3 // 4 - 600))


def as_json_serialization(token):
    protected, payload, signature = token.split(".")
    return json.dumps({"protected": protected, "payload": payload, "signature": signature})


def jwe(kit):
    members = {"alg": "PBES2-HS256+A128KW", "enc": "A128CBC-HS256", "p2c": 2**31 - 1, "p2s": "AAAA", "typ": "at+jwt"}
    return ".".join([encoded(members), "AAAA", "AAAA", "AAAA", "AAAA"])


FORM = [
    *cases(
        "control",
        None,
        {
            "token": token_text(lambda token: token),
            "special-characters": with_special_characters(lambda token: token),
            "below-the-limit": filled(16_000),
        }
        | {f"unicode-in-{place}": edited(last('"x": "\\ud83d\\ude00 \u00e9"')) for place, edited in TEXTS.items()},
    ),
    *cases(
        55,
        Reason.TOKEN_MALFORMED,
        {
            name: edited(first(member))
            for name, edited, member in (
                ("alg", header_text, '"alg": "none"'),
                ("alg-same", header_text, '"alg": "ES256"'),
                ("kid", header_text, '"kid": "other"'),
                ("aud", claims_text, '"aud": "https://other.example"'),
                ("exp", claims_text, '"exp": 1'),
                ("exp-escaped", claims_text, '"\\u0065xp": 1'),
                ("iss", claims_text, '"iss": "https://other.example"'),
                ("nested", claims_text, '"a": {"b": [{"c": 1, "c": 1}]}'),
            )
        },
    ),
    *cases(
        56,
        Reason.TOKEN_MALFORMED,
        {
            f"{place}-{name}": edited(edit)
            for place, edited in TEXTS.items()
            for name, edit in {
                "utf-16": lambda text: text.encode("utf-16"),
                "utf-16-be": lambda text: text.encode("utf-16-be"),
                "utf-32": lambda text: text.encode("utf-32-le"),
                "bom": lambda text: codecs.BOM_UTF8 + text.encode(),
                "lone-surrogate": last('"x": "\\ud800"'),
                "lone-surrogate-nested": last('"x": [{"y": ["\\udc00"]}]'),
                "lone-surrogate-name": last('"\\ud800": 1'),
                "surrogate-bytes": lambda text: last('"x": "?"')(text).encode().replace(b"?", b"\xed\xa0\x80"),
                "latin-1": lambda text: last('"x": "\u00e9"')(text).encode("latin-1"),
                "overlong": lambda text: last('"x": "?"')(text).encode().replace(b"?", b"\xc0\xaf"),
            }.items()
        },
    ),
    *cases(
        57,
        Reason.TOKEN_MALFORMED,
        {
            f"{place}-{name}": edited(edit)
            for place, edited in TEXTS.items()
            for name, edit in {
                "deep-lists": last('"x": ' + "[" * 11_000),
                "deep-objects": last('"x": ' + '{"":' * 2_800),
                "deep-closed": last(f'"x": {"[" * 5_500}"\\ud800"{"]" * 5_500}'),
                "5000-digits": last('"x": ' + "9" * 5_000),
                "control-character": last('"x": "\n"'),
                "after-the-end": lambda text: text + "{}",
                "unfinished": lambda text: text[:-1],
            }.items()
        },
    ),
    *cases(57, Reason.CLAIM_MALFORMED, {"exp-huge-list": claims(exp=[0] * 3_000)}),
    *cases(
        58,
        Reason.TOKEN_MALFORMED,
        {f"{place}-padded": segment(index, lambda text: text + "=") for place, index in SEGMENTS.items()}
        | {
            "signature-padded-right": segment(2, lambda text: text + "=="),
            "plus": with_special_characters(lambda token: token.replace("-", "+")),
            "slash": with_special_characters(lambda token: token.replace("_", "/")),
            "spare-bits": segment(2, spare_bits),
            "one-character-more": segment(2, lambda text: text + "AAA"),
            "tilde": segment(2, lambda text: text + "~"),
        },
    ),
    *cases(
        58,
        Reason.TOKEN_MALFORMED,
        {
            f"{place}-{name}": segment(index, lambda text, junk=junk: text[:4] + junk + text[4:])
            for place, index in SEGMENTS.items()
            for name, junk in {
                "space": " ",
                "exclamation-mark": "!",
                "four-of-them": "!!!!",
                "tab": "\t",
                "percent": "%2D",
            }.items()
        }
        | {"latin-1": segment(1, lambda text: text + "\u00e9")},
        over_http=Reason.AUTHORIZATION_MALFORMED,
    ),
    *cases(
        58,
        Reason.TOKEN_MALFORMED,
        {
            "newline-inside": segment(1, lambda text: text[:4] + "\n" + text[4:]),
            "newline-after": token_text(lambda token: token + "\n"),
            "nul-after": token_text(lambda token: token + "\0"),
        },
        over_http=Reason.AUTHORIZATION_MALFORMED,
        in_process=True,
    ),
    *cases(
        59,
        Reason.TOKEN_MALFORMED,
        {
            "1-segment": token_text(lambda token: token.replace(".", "")),
            "2-segments": token_text(lambda token: token.rpartition(".")[0]),
            "4-segments": token_text(lambda token: token + ".AAAA"),
            "5-segments": token_text(lambda token: token + ".AAAA.AAAA"),
            "dot-before": token_text(lambda token: "." + token),
            "dot-after": token_text(lambda token: token + "."),
            "dots": token_text(lambda token: ".."),
        }
        | {f"empty-{place}": segment(index, lambda text: "") for place, index in SEGMENTS.items()},
    ),
    *cases(
        59,
        Reason.TOKEN_MALFORMED,
        {"json-serialization": token_text(as_json_serialization)},
        over_http=Reason.AUTHORIZATION_MALFORMED,
    ),
    *cases(60, Reason.TOKEN_MALFORMED, {"17-kilobytes": filled(17_500), "48-kilobytes": filled(48_000)}),
    *cases(
        61,
        Reason.TOKEN_MALFORMED,
        {
            "zip": by_client(
                lambda kit: kit.sign(
                    zlib.compress(json.dumps(kit.claims(kit.client())).encode(), wbits=-15), header={"zip": "DEF"}
                )
            ),
            "jwe-pbes2": by_client(jwe),
        },
    ),
    *cases(61, Reason.ALGORITHM_REFUSED, {"jws-pbes2": header(alg="PBES2-HS256+A128KW", p2c=2**31 - 1)}),
    *cases(
        62,
        Reason.TOKEN_MALFORMED,
        {
            f"{place}-{name}": edited(lambda text, value=value: value.replace("ALL", text))
            for place, edited in TEXTS.items()
            for name, value in {
                "list": "[ALL]",
                "string": '"text"',
                "number": "1",
                "null": "null",
                "true": "true",
                "space": " ",
            }.items()
        },
    ),
]
