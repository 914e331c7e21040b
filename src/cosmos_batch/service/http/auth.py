"""Authentication: API keys in a header, signed session cookies for browsers, and the check of the origin."""

from __future__ import annotations

import hashlib
import re
import secrets

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from cosmos_batch.service.api_keys import ApiKeyCache
from cosmos_batch.service.http.errors import ApiError
from cosmos_batch.service.settings import is_loopback

COOKIE = "cosmos_batch_session"
SESSION_SECONDS = 12 * 3600
_SAFE = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(:[0-9]{0,5})?")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^\s/?#@\\]*)")


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

    def admits(self, name: str) -> bool:
        """Tell whether requests that were authenticated as `name` are still answered. Raises LedgerError.

        `name`: of a key, or "" of a request that needed none.
        """
        return self._keys.knows(name) if name else not self.keys_required

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

    def check_host(self, request: Request) -> None:
        """Check Host and Origin of a request. Raises ApiError for malformed ones, and for a foreign host.

        A page of another site can make its own name resolve to 127.0.0.1; it cannot leave the header out.
        """
        _origin_host(request.headers.get("origin"))
        hosts = request.headers.getlist("host")
        if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
            raise ApiError(400, "bad_host", f"the header Host is no host: {', '.join(hosts)[:80]!r}")
        if self._local and hosts and not is_loopback(_without_port(hosts[0])):
            message = f"this server is not called {hosts[0][:80]!r}; use 127.0.0.1 or localhost"
            raise ApiError(403, "wrong_host", message)

    def check_site(self, request: Request) -> None:
        """Check the origin of a request. Raises ApiError for a write that a page of another site sends."""
        origin = _origin_host(request.headers.get("origin"))
        foreign = origin is not None and origin != request.headers.get("host", "").lower()
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


def _origin_host(origin: str | None) -> str | None:
    """Get host and port of an origin; "" of the origin "null", None without one. Raises ApiError for no origin."""
    if origin is None or origin == "null":
        return None if origin is None else ""
    match = _ORIGIN.fullmatch(origin)
    if not match or (match[1] and not _HOST.fullmatch(match[1])):
        raise ApiError(400, "bad_origin", f"the header Origin is no origin: {origin[:80]!r}")
    return match[1].lower()


def _without_port(host: str) -> str:
    """Get the host name of a Host header."""
    if host.startswith("["):
        return host.partition("]")[0].lstrip("[")
    return host.partition(":")[0]
