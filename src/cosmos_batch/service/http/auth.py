"""Authentication: API keys in a header, signed session cookies for browsers, and the check of the origin."""

from __future__ import annotations

import hashlib
import secrets
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from cosmos_batch.service.api_keys import ApiKeyCache
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.settings import is_loopback

COOKIE = "cosmos_batch_session"
SESSION_SECONDS = 12 * 3600
_SAFE = ("GET", "HEAD", "OPTIONS")


class Authenticator:
    """Authenticates requests by bearer key or session cookie; rejects cross-site writes."""

    def __init__(self, keys: ApiKeyCache, *, local: bool) -> None:
        """`local`: the server listens on a loopback address, where no key is needed as long as there is none."""
        self._keys = keys
        self._local = local
        self._cookies = URLSafeTimedSerializer(  # its key is new with each server, which ends the sessions
            secrets.token_bytes(32), salt=COOKIE, signer_kwargs={"digest_method": hashlib.sha256}
        )

    @property
    def keys_required(self) -> bool:
        """Whether a request needs a key: on a loopback address, only once there is one."""
        return not self._local or self._keys.in_force

    @property
    def cached(self) -> bool:
        """Whether `authenticate` answers a known key without reading the ledger."""
        return self._keys.fresh

    def key_name(self, request: Request) -> str | None:
        """Get the name of the request's key; "" where no key is needed, None without a valid one."""
        if not self.keys_required:
            return ""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._keys.match(token.strip())
        return self._session_name(request.cookies.get(COOKIE, ""))

    def authenticate(self, request: Request) -> str:
        """Get the name of the request's key, "" where no key is needed. Raises ApiError and LedgerError."""
        self.check_site(request)
        name = self.key_name(request)
        if name is None:
            raise ApiError(
                401,
                "invalid_api_key",
                "an API key is needed: send 'Authorization: Bearer cb_...'; cosmos-batch keys add makes one",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return name

    def check_site(self, request: Request) -> None:
        """Check host and origin of a request. Raises ApiError for a write that a page of another site sends."""
        host = request.headers.get("host", "")
        if self._local and not is_loopback(_without_port(host)):
            raise ApiError(
                403, "wrong_host", f"this server is not called {host[:80]!r}; use 127.0.0.1 or localhost"
            )
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if request.method not in _SAFE and (foreign or request.headers.get("sec-fetch-site") == "cross-site"):
            raise ApiError(403, "cross_site", "a page of another site may change nothing here")

    def open_session(self, request: Request, name: str, response: Response) -> None:
        """Set the session cookie of a key on a response; the cookie is valid for `SESSION_SECONDS`."""
        response.set_cookie(
            COOKIE,
            str(self._cookies.dumps(name)),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    def _session_name(self, cookie: str) -> str | None:
        try:
            name = str(self._cookies.loads(cookie, max_age=SESSION_SECONDS))
        except BadSignature:  # forged, or expired
            return None
        return name if self._keys.knows(name) else None


def _without_port(host: str) -> str:
    """Get the host name of a Host header."""
    if host.startswith("["):
        return host.partition("]")[0].lstrip("[")
    return host.partition(":")[0]
