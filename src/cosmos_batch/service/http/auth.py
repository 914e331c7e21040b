"""Who may ask: API keys in a header, or a cookie for what a browser loads by itself; and which sites may not."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from cosmos_batch.service.api_keys import ApiKeyCache
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.settings import is_loopback

COOKIE = "cosmos_batch_session"
SESSION_SECONDS = 12 * 3600.0
_SAFE = ("GET", "HEAD", "OPTIONS")


class Authenticator:
    """Lets requests in."""

    def __init__(self, ring: ApiKeyCache, *, local: bool) -> None:
        """`local`: the server listens on this machine alone, so that it needs no keys."""
        self._ring = ring
        self._local = local
        self._secret = secrets.token_bytes(32)  # sessions end with the server

    @property
    def keys_required(self) -> bool:
        """Whether a request needs a key: on a loopback address, only once there is one."""
        return not self._local or self._ring.in_force

    @property
    def fresh(self) -> bool:
        """Whether asking `admit` needs no ledger, most likely."""
        return self._ring.fresh

    def who(self, request: Request) -> str | None:
        """The name of the request's key; "" where none is needed; None where it has none that counts."""
        if not self.keys_required:
            return ""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._ring.match(token.strip())
        return self._of_session(request.cookies.get(COOKIE, ""))

    def admit(self, request: Request) -> str:
        """The name of the request's key, "" where none is needed. Raises Refusal."""
        self.check_site(request)
        name = self.who(request)
        if name is None:
            raise ApiError(
                401,
                "invalid_api_key",
                "an API key is needed: send 'Authorization: Bearer cb_...'; cosmos-batch keys add makes one",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return name

    def check_site(self, request: Request) -> None:
        """Raises Refusal where a browser asks on behalf of a page that this server did not give it."""
        host = request.headers.get("host", "")
        if self._local and not is_loopback(_name_of(host)):
            raise ApiError(
                403, "wrong_host", f"this server is not called {host[:80]!r}; use 127.0.0.1 or localhost"
            )
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if request.method not in _SAFE and (foreign or request.headers.get("sec-fetch-site") == "cross-site"):
            raise ApiError(403, "cross_site", "a page of another site may change nothing here")

    def open_session(self, request: Request, name: str, response: Response) -> None:
        """Give a browser what it shows instead of the key, for a while."""
        body = f"{name}:{time.time() + SESSION_SECONDS:.0f}"
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE,
            f"{body}:{self._sign(body)}",
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="strict",
            secure=secure,
        )

    def _of_session(self, cookie: str) -> str | None:
        body, _, signature = cookie.rpartition(":")
        name, _, until = body.partition(":")
        if not hmac.compare_digest(self._sign(body).encode(), signature.encode("utf-8", "replace")):
            return None
        alive = float(until) > time.time() and self._ring.knows(name)
        return name if alive else None

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, body.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _name_of(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0].lstrip("[")
    return host.partition(":")[0]
