"""The commands, in process; one of them as a process too."""

import io
import json
import os
import re
import stat
import subprocess
import sys

from cryptography.hazmat.primitives import serialization
import pytest

from tokenbind.cli import main
from tokenbind.testing import BindingKit


@pytest.fixture
def run(capsys):
    """Call the command line; gives exit status, standard output and standard error."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def files(tokenbind_client, tokenbind_stranger, tmp_path, monkeypatch):
    """A folder with client.pem and stranger.pem, and nothing of an issuer yet; the current one."""
    monkeypatch.chdir(tmp_path)
    tokenbind_client.write(tmp_path)
    tokenbind_stranger.write(tmp_path)
    return tmp_path


@pytest.fixture
def token(run, files):
    """A token for client.pem, minted by the commands."""
    assert 0 == run("keygen", "--out", "issuer.key", "--jwks", "jwks.json")[0]
    status, token, _ = run(*MINT, "--scope", "a b", "--claim", 'tenant={"id":1}')
    assert 0 == status
    return token.strip()


ISSUER_OPTIONS = ["--issuer", "https://as.example", "--audience", "https://api.example"]
MINT = ["mint", "--key", "issuer.key", "--cert", "client.pem", "--client-id", "billing", *ISSUER_OPTIONS]
VERIFY = ["verify", "--jwks", "jwks.json", *ISSUER_OPTIONS]


def test_thumbprint_reads_pem_and_der_alike(run, files, tokenbind_client):
    """And standard input for ``-``."""
    (files / "client.der").write_bytes(tokenbind_client.peer.der)

    for name in ("client.pem", "client.der"):
        assert (0, f"{tokenbind_client.thumbprint}\n", "") == run("thumbprint", name)


def test_thumbprints_of_several_files_are_told_apart(run, files, tokenbind_client, tokenbind_stranger):
    """One line each; as JSON with subject and end of validity."""
    out = run("thumbprint", "client.pem", "stranger.pem")[1]
    assert f"{tokenbind_client.thumbprint}  client.pem\n{tokenbind_stranger.thumbprint}  stranger.pem\n" == out
    [first, _] = json.loads(run("thumbprint", "--json", "client.pem", "stranger.pem")[1])["certificates"]
    assert ("client.pem", tokenbind_client.thumbprint) == (first["file"], first["x5t#S256"])
    assert "CN=client" in first["subject"]
    assert tokenbind_client.peer.not_after.isoformat() == first["not_after"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("thumbprint no-such.pem", "cannot read no-such.pem: No such file"),
        ("thumbprint client.key", "holds a private key"),
        ("keygen --out no-such/key.pem", "cannot write no-such/key.pem"),
        ("keygen --out client.key", "client.key exists; give --force"),
        ("keygen --out new.key --jwks client.pem", "client.pem exists; give --force"),
        ("keygen --out new.key --jwks no-such/jwks", "cannot write no-such/jwks"),
        ("verify x --jwks client.pem --issuer i --audience a", "client.pem is not JSON"),
    ],
)
def test_failures_are_one_sentence_and_status_2(run, files, arguments, message):
    """On standard error, without a traceback; as JSON with --json."""
    status, out, err = run(*arguments.split())
    assert (2, "") == (status, out)
    assert err.startswith("tokenbind: ")
    assert message in err

    (files / "new.key").unlink(missing_ok=True)
    status, out, err = run(*arguments.split(), "--json")
    assert (2, "") == (status, err)
    assert message in json.loads(out)["error"]


def test_keygen_writes_a_private_key_that_only_its_owner_can_read(run, files):
    """Whatever the umask; the JWK Set holds the public part alone."""
    before = os.umask(0)
    try:
        status, out, _ = run("keygen", "--out", "issuer.key", "--algorithm", "EdDSA")
    finally:
        os.umask(before)

    [jwk] = json.loads(out)["keys"]
    assert (0, "EdDSA") == (status, jwk["alg"])
    assert "d" not in jwk
    assert 0o600 == stat.S_IMODE((files / "issuer.key").stat().st_mode)
    assert {"client.key", "client.pem", "issuer.key", "stranger.key", "stranger.pem"} == {
        p.name for p in files.iterdir()
    }


def test_keygen_force_replaces_and_keeps_it_private(run, files):
    """The old file's mode does not matter."""
    (files / "issuer.key").write_text("old")
    (files / "issuer.key").chmod(0o644)
    status, out, _ = run("keygen", "--out", "issuer.key", "--jwks", "jwks.json", "--force", "--json")

    assert 0 == status
    assert json.loads(out)["jwks"] == json.loads((files / "jwks.json").read_text())
    assert 0o600 == stat.S_IMODE((files / "issuer.key").stat().st_mode)


def test_an_encrypted_key_is_minted_with_by_its_password(run, files):
    """And not without it."""
    (files / "password").write_text("open sesame\r\nmore\n")
    run("keygen", "--out", "issuer.key", "--jwks", "jwks.json", "--password-file", "password")
    serialization.load_pem_private_key((files / "issuer.key").read_bytes(), b"open sesame")

    assert 0 == run(*MINT, "--password-file", "password")[0]
    status, _, err = run(*MINT)
    assert (2, True) == (status, "is encrypted, and no password" in err)


@pytest.mark.parametrize("content", [b"", b"\nsecret\n", b"\r\n"])
def test_an_empty_password_leaves_no_key_in_the_clear(run, files, content):
    """The first line is the password; without one nothing is written."""
    (files / "password").write_bytes(content)
    status, _, err = run("keygen", "--out", "issuer.key", "--password-file", "password")

    assert (2, True) == (status, "is empty" in err)
    assert not (files / "issuer.key").exists()


def test_a_binary_password_is_taken_as_it_is(run, files):
    """Not every password is text."""
    (files / "password").write_bytes(b"\xe9\xff\n")
    assert 0 == run("keygen", "--out", "issuer.key", "--jwks", "jwks.json", "--password-file", "password")[0]
    serialization.load_pem_private_key((files / "issuer.key").read_bytes(), b"\xe9\xff")


def test_keygen_destroys_nothing(run, files):
    """No special file is replaced, no link followed, and the JWK Set does not land on the key."""
    os.mkfifo(files / "pipe")
    (files / "link").symlink_to("client.key")
    for arguments, message in (
        ("--out pipe --force", "no regular file"),
        ("--out link --force", "no regular file"),
        ("--out k.pem --jwks ./k.pem", "same file"),
        ("--out client.key --jwks jwks.json", "client.key exists"),
    ):
        status, _, err = run("keygen", *arguments.split())
        assert (2, True) == (status, message in err)
    assert not (files / "jwks.json").exists()
    assert not (files / "k.pem").exists()


def test_claims_cannot_forge_lines_of_output(run, files, token, tokenbind_kit, tokenbind_client):
    """What is not printable is shown as what it is."""
    (files / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    forged = tokenbind_kit.mint(tokenbind_client, subject="x\n\x1b[2KVERIFIED  for you")
    out = run(*VERIFY, "--cert", "client.pem", forged)[1]
    assert r"x\x0a\x1b[2KVERIFIED" in out


def test_a_jwks_of_brackets_is_one_sentence(run, files):
    """Not a traceback of the stack."""
    (files / "jwks.json").write_text("[" * 100_000)
    status, _, err = run(*VERIFY, "x")
    assert (2, "tokenbind: jwks.json is not JSON\n") == (status, err)


def test_a_certificate_with_a_broken_name_still_has_a_thumbprint(run, files, tokenbind_client):
    """Its subject is null in the JSON."""
    der = tokenbind_client.peer.der.replace(b"client", b"\xff\xfe\xfd\xfc\xfb\xfa")
    (files / "odd.der").write_bytes(der)
    [facts] = json.loads(run("thumbprint", "--json", "odd.der")[1])["certificates"]
    assert facts["subject"] is None
    assert 43 == len(facts["x5t#S256"])


def test_a_minted_token_verifies_with_its_certificate_alone(run, files, token):
    """VERIFIED with the client's; REFUSED with the stranger's, and without any."""
    status, out, _ = run(*VERIFY, "--cert", "client.pem", token)
    assert 0 == status
    assert out.startswith("VERIFIED  bound to ")
    assert "a b" in out

    for thief, reason in ((["--cert", "stranger.pem"], "certificate_mismatch"), ([], "certificate_missing")):
        status, out, _ = run(*VERIFY, *thief, token)
        assert 1 == status
        assert out.startswith("REFUSED")
        assert reason in out
        assert token not in out


def test_verify_as_json(run, files, token, tokenbind_client, tokenbind_stranger):
    """Claims and thumbprint, or reason and both thumbprints."""
    verified = json.loads(run(*VERIFY, "--json", "--cert", "client.pem", token)[1])
    assert (True, tokenbind_client.thumbprint) == (verified["verified"], verified["thumbprint"])
    assert {"id": 1} == verified["claims"]["tenant"]

    refused = json.loads(run(*VERIFY, "--json", "--cert", "stranger.pem", token)[1])
    assert (False, "certificate_mismatch") == (refused["verified"], refused["reason"])
    assert (tokenbind_client.thumbprint, tokenbind_stranger.thumbprint) == (refused["expected"], refused["presented"])


def test_verify_takes_the_token_from_standard_input(run, files, token, monkeypatch):
    """Where no process list shows it."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(token.encode() + b"\n")))
    assert 0 == run(*VERIFY, "--cert", "client.pem", "-")[0]


def test_verify_fetches_the_keys(run, files, tokenbind_kit, tokenbind_server, tokenbind_stranger):
    """Without --jwks they come from where the issuer's metadata says; an issuer that is away is 2, not "refused"."""
    served = {}

    def app(environ, start_response):
        start_response("200 OK", [])
        return [json.dumps(served[environ["PATH_INFO"]]).encode()]

    server = tokenbind_server(app, interface="wsgi")
    kit = BindingKit(issuer=server.url)
    served["/.well-known/oauth-authorization-server"] = {"issuer": server.url, "jwks_uri": f"{server.url}/jwks"}
    served["/jwks"] = kit.issuer.jwks()
    (files / "ca.pem").write_bytes(tokenbind_kit.ca_pem)
    kit.client("fetching").write(files)
    arguments = ["verify", kit.mint(kit.client("fetching")), "--issuer", server.url, "--audience", kit.audience]

    assert 0 == run(*arguments, "--ca", "ca.pem", "--cert", "fetching.pem")[0]
    assert "certificate_mismatch" in run(*arguments, "--ca", "ca.pem", "--cert", "stranger.pem")[1]
    status, _, why = run(*arguments, "--cert", "fetching.pem")
    assert (2, True) == (status, "the issuer's keys are not known" in why)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_of_few_characters(files, token, tokenbind_kit, tokenbind_client, encoding):
    """What it cannot show is written in escapes, and does not end the command."""
    (files / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    named = tokenbind_kit.mint(tokenbind_client, subject="名")
    for command in ([*VERIFY, named, "--cert", "client.pem"], ["explain", "x", "--cert", "client.pem"]):
        done = subprocess.run(
            [sys.executable, "-m", "tokenbind", *command],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert b"Traceback" not in done.stderr
        assert (done.returncode, b"\\u540d" in done.stdout) in ((0, True), (1, False))


def test_a_file_is_no_token_and_a_url_is_no_file(run, files, token):
    """Both are said; a token is never looked for on the disk if it cannot be there."""
    (files / "token.txt").write_text(token)
    for command in ("verify", "explain"):
        status, _, why = run(command, "token.txt", "--cert", "client.pem", *ISSUER_OPTIONS, "--jwks", "jwks.json")
        assert (2, True) == (status, "token.txt is a file; give -" in why)
        status, _, why = run(
            command, token, "--cert", "client.pem", *ISSUER_OPTIONS, "--jwks", "https://as.example/jwks"
        )
        assert (2, True) == (status, "--jwks takes a file" in why)
    assert 1 == run(*VERIFY, "x\0y", "--cert", "client.pem")[0]


def test_verify_takes_a_profile(run, files, token, tokenbind_kit, tokenbind_client):
    """A token of Keycloak's is one under its own profile alone."""
    claims = tokenbind_kit.claims(tokenbind_client, typ="Bearer", azp="client")
    foreign = tokenbind_kit.sign(claims, header={"typ": "JWT"})
    (files / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    arguments = [*VERIFY, foreign, "--cert", "client.pem"]

    assert 0 == run(*arguments, "--profile", "keycloak")[0]
    assert "token_type_refused" in run(*arguments)[1]
    assert "claim_missing" in run(*arguments, "--profile", "entra-id", "--algorithm", "ES256")[1]


def test_verify_follows_algorithm_and_binding(run, files, token, tokenbind_kit, tokenbind_client):
    """What is not enabled is refused, with the keyword to set; an unbound token passes only when asked for."""
    status, out, _ = run(*VERIFY, "--algorithm", "EdDSA", "--cert", "client.pem", token)
    assert (1, True) == (status, 'algorithms=("ES256",)' in out)

    (files / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    unbound = tokenbind_kit.unbound(tokenbind_client)
    assert 1 == run(*VERIFY, unbound)[0]
    status, out, _ = run(*VERIFY, "--binding", "when-present", unbound)
    assert (0, True) == (status, "NOT bound" in out)


def test_mint_as_json_and_its_errors(run, files, token):
    """The JSON is the token response; a claim that is no JSON, and a reserved one, are refused."""
    response = json.loads(run(*MINT, "--json", "--lifetime", "60")[1])
    assert ("Bearer", 60) == (response["token_type"], response["expires_in"])

    for claim, message in (("x=y", "needs a JSON value"), ('cnf={"x5t#S256":"x"}', "must not have cnf")):
        status, _, err = run(*MINT, "--claim", claim)
        assert (2, True) == (status, message in err)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["verify"], ["keygen", "--out", "x", "--algorithm", "HS256"]])
def test_wrong_usage_is_status_2(arguments, capsys):
    """argparse's own."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert 2 == caught.value.code
    assert "usage: tokenbind" in capsys.readouterr().err


def test_a_closed_pipe_is_no_traceback(files):
    """As in ``tokenbind thumbprint ... | head -0``."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as closed:
        command = [sys.executable, "-m", "tokenbind", "thumbprint", "client.pem"]
        ended = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)

    assert "Traceback" not in ended.stderr
    assert ended.returncode != 0


def test_help_names_every_command(capsys):
    """With its first line."""
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    for command in ("thumbprint", "keygen", "mint", "verify", "demo"):
        assert f"    {command}" in out


def test_an_rsa_key_for_another_algorithm_says_what_to_do(run, files):
    """An RSA key in PEM does not say what it is for; PS256 is taken."""
    assert "--algorithm RS256" in run("keygen", "--out", "issuer.key", "--algorithm", "RS256")[2]
    assert "" == run("keygen", "--out", "other.key", "--algorithm", "PS256")[2]


def test_version(capsys):
    """As everybody expects."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert re.fullmatch(r"tokenbind \d+\.\d+\.\d+\n", capsys.readouterr().out)
