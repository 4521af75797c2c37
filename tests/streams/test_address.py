"""Addresses: what they read, what they refuse, what they never show."""

from __future__ import annotations

import copy
import pickle

import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from datagraph.exceptions import StoreConfigError
from datagraph.streams.address import Address

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "url, expected",
    [
        ("redis://localhost", Address()),
        ("redis://", Address()),
        ("  valkey://db.example:7000/3 ", Address(host="db.example", port=7000, db=3)),
        ("REDIS://h", Address(host="h")),
        ("redis://[::1]:7/1", Address(host="::1", port=7, db=1)),
        ("redis://:p%40ss%2F@h", Address(host="h", password="p@ss/")),
        ("redis://me:p@ss@h:1", Address(host="h", port=1, username="me", password="p@ss")),
        ("redis://h?db=4&password=p", Address(host="h", db=4, password="p")),
        ("redis://h?socket_timeout=3&max_connections=9", Address(host="h")),
        ("rediss://h:6380", Address(host="h", port=6380, tls=True)),
        ("valkeys://h?ssl_cert_reqs=none", Address(host="h", tls=True, verify=False)),
        ("rediss://h?ssl_check_hostname=False", Address(host="h", tls=True, check_hostname=False)),
        (
            "rediss://h?ssl_ca_certs=/a%20b/ca.pem&ssl_certfile=/c&ssl_keyfile=/k",
            Address(host="h", tls=True, ca_file="/a b/ca.pem", cert_file="/c", key_file="/k"),
        ),
        ("unix:///run/x.sock", Address(path="/run/x.sock")),
        ("unix://me:pw@/run/x%20y.sock?db=2", Address(path="/run/x y.sock", username="me", password="pw", db=2)),
    ],
)
def test_a_url_says_where_the_store_is(url: str, expected: Address) -> None:
    """Every kind of URL is read to the settings that it names, and options that are not ours are passed over."""
    assert Address.parse(url) == expected


@pytest.mark.parametrize(
    "url, words",
    [
        ("", "has no scheme"),
        ("localhost:6379", "has no scheme"),
        ("http://localhost:6379", "'http://' is not a scheme"),
        ("redis://h:port", "port of the store address (host 'h')"),
        ("redis://h:0", "port of the store address"),
        ("redis://h:99999", "port of the store address"),
        ("redis://h:1/main", "(h:1) is a number such as 0, not 'main'"),
        ("redis://h:1/-1", "is a number such as 0"),
        ("redis://h?db=x", "is a number such as 0"),
        ("redis://[::1", "host of the store address"),
        ("unix://", "names no socket"),
        (f"redis://me:{SECRET}", "port of the store address (host 'me')"),
        (f"redis://:{SECRET}#tail@h:1", "percent-encoded"),
        (f"redis://:{SECRET}/tail@h:1", "percent-encoded"),
        (f"redis://:pre?{SECRET}@h:1", "percent-encoded"),
        (f"{SECRET}@://h", "'...://' is not a scheme"),
    ],
)
def test_a_bad_url_is_refused_in_one_line_that_shows_no_password(url: str, words: str) -> None:
    """The message names what is wrong and the host, and quotes nothing that may be a piece of a password."""
    with pytest.raises(StoreConfigError) as caught:
        Address.parse(url)
    text = str(caught.value)
    assert words in text
    assert "\n" not in text
    assert SECRET not in text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_something_else_than_text_is_no_address() -> None:
    """The type that was given is named."""
    with pytest.raises(StoreConfigError, match="not a dict"):
        Address.parse({"url": "redis://"})  # type: ignore[arg-type]


@pytest.mark.parametrize("url", [f"redis://:{SECRET}@h:1/2", f"unix://me:{SECRET}@/s", f"rediss://h?password={SECRET}"])
def test_neither_repr_nor_str_shows_the_password(url: str) -> None:
    """Both show three stars instead; the label shows no user either."""
    address = Address.parse(url)
    assert SECRET not in f"{address} {address!r} {address.label}"
    assert "***" in str(address)
    assert "@" not in address.label


@given(
    st.builds(
        Address,
        host=st.sampled_from(["localhost", "10.0.0.1", "::1", "a-b.example"]),
        port=st.integers(1, 65535),
        path=st.none()
        | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map(lambda t: "/" + t),
        username=st.none() | st.text(st.characters(codec="utf-8"), min_size=1),
        password=st.none() | st.text(st.characters(codec="utf-8"), min_size=1),
        db=st.integers(0, 99),
        ca_file=st.none() | st.text(st.characters(codec="utf-8"), min_size=1),
        verify=st.booleans(),
        check_hostname=st.booleans(),
    )
)
def test_to_url_is_read_back_to_the_same_address(address: Address) -> None:
    """Whatever is in names, passwords and paths survives the way through a URL."""
    back = Address.parse(address.to_url())
    if address.path is not None:  # a socket's URL carries no host
        back = Address(
            **{name: getattr(back, name) for name in Address.__slots__} | {"host": address.host, "port": address.port}
        )
    assert back == address


def test_an_address_can_be_compared_hashed_copied_and_sent() -> None:
    """Attaching twice compares addresses, and a worker process gets one."""
    address = Address.parse(f"rediss://me:{SECRET}@h:1/2")
    assert len({address, copy.copy(address), pickle.loads(pickle.dumps(address))}) == 1


@pytest.mark.parametrize(
    "client, expected",
    [
        (redis.Redis(host="h", port=7, db=2, password="p"), Address(host="h", port=7, db=2, password="p")),
        (redis.asyncio.Redis.from_url("unix:///s?db=3"), Address(path="/s", db=3)),
        (redis.Redis(unix_socket_path="/s"), Address(path="/s")),
        (redis.Redis.from_url("rediss://u:p@h:3"), Address(host="h", port=3, username="u", password="p", tls=True)),
        (
            redis.Redis(ssl=True, ssl_cert_reqs="none", ssl_check_hostname=False),
            Address(tls=True, verify=False, check_hostname=False),
        ),
        (
            redis.Redis(credential_provider=redis.UsernamePasswordCredentialProvider("u", "p")),
            Address(username="u", password="p"),
        ),
        (
            redis.Redis(credential_provider=redis.UsernamePasswordCredentialProvider(password="p")),
            Address(password="p"),
        ),
    ],
)
def test_a_client_of_the_redis_package_is_an_address_too(client: object, expected: Address) -> None:
    """Its settings are taken over; the client itself is not used."""
    assert Address.from_client(client) == expected


def test_another_object_is_refused_as_a_client() -> None:
    """The message says what is taken and what was given."""
    with pytest.raises(StoreConfigError, match=r"takes a redis\.Redis .* not a dict"):
        Address.from_client({"host": "h"})


def test_moved_keeps_the_settings_and_changes_the_place() -> None:
    """An empty host, which a cluster node may answer, means the host that was asked."""
    address = Address.parse(f"rediss://me:{SECRET}@h:1")
    assert address.moved("", 2) == Address.parse(f"rediss://me:{SECRET}@h:2")
    assert address.moved("other", 2).label == "other:2"
