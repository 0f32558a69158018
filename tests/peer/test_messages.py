"""What an operator is told who has set something up wrongly: the remedy, with nothing that a client writes into it."""

import pytest

from tokenbind import ConfigurationError
from tokenbind.peer import Trust, forwarded

from .forwarding import ANYONE, DER, FORMS, HEADER, WAYS, header_of, malformed, preset, value_of
from .trusting import untrusted


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_the_preset_of_another_product(form, name):
    """A value that another preset would read is refused with the names of those that would; their own names none."""
    value = value_of(form, DER)
    for _, other in WAYS:
        if other not in FORMS[form.removesuffix("_of_apache")][1]:
            said = malformed(preset(other), (header_of(other), value))
            assert f"forwarded.{name}" in said
            assert f"forwarded.{other} " not in said
    assert "looks like" not in malformed(preset(name), (header_of(name), value[:-9] + b"!" * 9))


@pytest.mark.parametrize("value", [b"", b"x", b"-----BEGIN", b"\xff" * 64, b"51fb71b1da8b5fe3ebaaeed835840da77992acde"])
def test_what_looks_like_nothing(value):
    assert "looks like" not in malformed(preset("apache"), (HEADER.encode(), b"?" + value))


@pytest.mark.parametrize(
    "host", ["https://api.example", "api.example/v1", "*.example", "b\xfccher.example", b"api.example", "", " ", None]
)
def test_hosts_that_are_no_names(host):
    with pytest.raises(ConfigurationError, match="names of hosts alone") as error:
        forwarded.nginx(header="X-Cert", trusted_proxy=ANYONE, hosts=["api.example", host])
    assert f"{host!a}" in str(error.value)


def test_a_host_that_is_refused():
    """It is quoted as ASCII, and cut, for whoever sends it may write what he likes."""
    source = preset("nginx", hosts=["api.example"])
    for host, said in (
        (b"shop.example", "its host, 'shop.example'"),
        (b"a\r\nb\x1b[2J\xe9", r"its host, 'a\r\nb\x1b[2j\xe9'"),
        (b"x" * 1000, "its host, '" + "x" * 80 + "'"),
        (b"", "not one Host"),
    ):
        untrusted(lambda host=host: source.from_request([(b"host", host)]), said)
    untrusted(lambda: source.from_request([]), "not one Host")
    untrusted(lambda: source.from_request([(b"host", b"api.example")] * 2), "not one Host")


@pytest.mark.parametrize("path", ["api.sock", "./api.sock"])
def test_a_relative_path_of_a_socket(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="absolute path") as error:
        Trust.unix_socket(path)
    assert f"'{tmp_path}/api.sock'" in str(error.value)


@pytest.mark.parametrize(
    ("text", "network", "address"),
    [("10.0.0.4/8", "10.0.0.0/8", "10.0.0.4"), ("2001:db8::7/32", "2001:db8::/32", "2001:db8::7")],
)
def test_an_address_with_the_length_of_a_prefix(text, network, address):
    with pytest.raises(ConfigurationError, match=f"{network}: .* or {address} ") as error:
        Trust.addresses(text)
    assert "host bits" not in str(error.value)


def test_a_secret_that_is_not_there(secret):
    """The path stands in the message once."""
    missing = secret.with_suffix(".missing")
    for file, why in ((missing, "No such file"), (secret.parent, "no regular file")):
        with pytest.raises(ConfigurationError, match=why) as error:
            Trust.secret_header("X-Proxy-Secret", file=file)
        assert 1 == str(error.value).count(str(file))
