"""Where a store is: one frozen `Address`, read from a URL or from another library's client, that hides its password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ..exceptions import StoreConfigError

_TLS_OF_SCHEME = {"redis": False, "valkey": False, "rediss": True, "valkeys": True, "unix": False}
_EXAMPLE = "redis://localhost:6379/0, rediss://user:password@host:6380 or unix:///path/to/socket"
_FILES = {"ssl_ca_certs": "ca_file", "ssl_certfile": "cert_file", "ssl_keyfile": "key_file"}
_NO = frozenset({"0", "f", "false", "n", "no", "none", "off"})


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A server's place and the settings to enter it; `path` (a unix socket) stands instead of `host` and `port`.

    `verify` checks the server's certificate, `check_hostname` that it is made out to `host`. Neither `repr` nor `str`
    shows the password; `to_url()` does.
    """

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    username: str | None = None
    password: str | None = None
    db: int = 0
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    check_hostname: bool = True

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a redis://, rediss://, valkey://, valkeys:// or unix:// URL; StoreConfigError, which never quotes what
        may be a part of a password.
        """
        if not isinstance(url, str):
            raise StoreConfigError(f"a store address is a URL such as {_EXAMPLE}, not a {type(url).__name__}")
        scheme, found, rest = url.strip().partition("://")
        scheme = scheme.lower()
        if not found:
            raise StoreConfigError(f"the store address has no scheme: write it like {_EXAMPLE}")
        if scheme not in _TLS_OF_SCHEME:
            shown = scheme[:20] if scheme.isalnum() else "..."
            raise StoreConfigError(f"'{shown}://' is not a scheme of a store address: write it like {_EXAMPLE}")
        try:
            parts = urlsplit(f"{scheme}://{rest}")
        except ValueError:
            raise StoreConfigError(f"the host of the store address cannot be read: write it like {_EXAMPLE}") from None
        # An unescaped '#', '/' or '?' in a password ends the host there, and what is left of it looks like a port.
        if scheme != "unix" and "@" in parts.path + parts.query + parts.fragment:
            raise StoreConfigError(
                "the store address has an '@' after its host: write special characters of the user name and password"
                " percent-encoded (urllib.parse.quote(password, safe=''))"
            )
        settings: dict[str, Any] = {"tls": _TLS_OF_SCHEME[scheme]}
        settings |= _options(dict(parse_qsl(parts.query)))
        if parts.username:
            settings["username"] = unquote(parts.username)
        if parts.password:
            settings["password"] = unquote(parts.password)
        if scheme == "unix":
            settings["path"] = unquote(parts.path)
            if not settings["path"]:
                raise StoreConfigError("the store address names no socket: write it like unix:///path/to/socket")
            return cls(**settings)
        settings["host"] = unquote(parts.hostname or "localhost")
        try:
            settings["port"] = 6379 if parts.port is None else parts.port
        except ValueError:
            settings["port"] = 0
        if not settings["port"]:
            raise StoreConfigError(
                f"the port of the store address (host '{settings['host']}') is not a number from 1 to 65535:"
                f" write it like {_EXAMPLE}"
            )
        text = unquote(parts.path).strip("/")
        if text and "db" not in settings:
            settings["db"] = _db(text, f"{settings['host']}:{settings['port']}")
        return cls(**settings)

    @classmethod
    def from_client(cls, client: Any) -> Address:
        """The address that a client of the redis or valkey package uses, sync or asyncio; StoreConfigError."""
        pool = getattr(client, "connection_pool", None)
        kwargs = getattr(pool, "connection_kwargs", None)
        if not isinstance(kwargs, Mapping):
            raise StoreConfigError(
                f"client= takes a redis.Redis or redis.asyncio.Redis, not a {type(client).__name__}; or give a url"
            )
        settings: dict[str, Any] = {
            name: kwargs[name] for name in ("host", "path", "username", "password") if kwargs.get(name) is not None
        }
        settings |= {name: int(kwargs[name]) for name in ("port", "db") if kwargs.get(name) is not None}
        provider = kwargs.get("credential_provider")
        if provider is not None:
            user, *secret = provider.get_credentials()
            settings["username"], settings["password"] = (user, secret[0]) if secret else (None, user)
        settings = {name: value.decode() if isinstance(value, bytes) else value for name, value in settings.items()}
        settings |= _options({name: _text(kwargs[name]) for name in kwargs if kwargs[name] is not None})
        settings["tls"] = "SSL" in getattr(pool, "connection_class", type).__name__
        return cls(**settings)

    @property
    def label(self) -> str:
        """``host:port`` or the socket's path: how messages name the server."""
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def moved(self, host: str, port: int) -> Address:
        """The same settings at another host (an empty one: the same host) and port."""
        return replace(self, host=host or self.host, port=port, path=None)

    def to_url(self) -> str:
        """The URL that `parse` reads back to this address, **with the password**: for a process, not for people."""
        return self._url(quote(self.password or "", safe=""))

    def __str__(self) -> str:
        return self._url("***")

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def _url(self, password: str) -> str:
        user = quote(self.username or "", safe="")
        enter = f"{user}:{password}@" if self.password else f"{user}@" if user else ""
        options: dict[str, str] = {
            option: value for option, name in _FILES.items() if (value := getattr(self, name)) is not None
        }
        if not self.verify:
            options["ssl_cert_reqs"] = "none"
        if not self.check_hostname:
            options["ssl_check_hostname"] = "false"
        if self.path is not None:
            if self.db:
                options["db"] = str(self.db)
            place = f"unix://{enter}{quote(self.path)}"
        else:
            place = f"{'rediss' if self.tls else 'redis'}://{enter}{self.label}/{self.db}"
        return f"{place}?{urlencode(options)}" if options else place


def _options(given: Mapping[str, str]) -> dict[str, Any]:
    """What the query of a URL, or redis-py's settings of the same names, say; other options are not ours."""
    settings: dict[str, Any] = {}
    for name, value in given.items():
        if name in _FILES:
            settings[_FILES[name]] = value
        elif name == "ssl_cert_reqs":
            settings["verify"] = value.lower() not in {"none", "optional", "cert_none", "cert_optional"}
        elif name == "ssl_check_hostname":
            settings["check_hostname"] = value.lower() not in _NO
        elif name in ("username", "password"):
            settings[name] = value
        elif name == "db":
            settings["db"] = _db(value, "its query")
    return settings


def _db(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise StoreConfigError(f"the database of the store address ({where}) is a number such as 0, not '{text[:20]}'")
    return int(text)


def _text(value: Any) -> str:
    return str(getattr(value, "name", value))
