"""An OpenID provider on this machine: oidc-provider-mock's, whose tokens can be forged on their way out.

What it answers is its own, but for the ID token, which is signed with a key of ours so that a test can change it.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import requests
import werkzeug.serving
from joserfc import jwt
from joserfc.jwk import RSAKey

with warnings.catch_warnings():
    # It uses a part of Authlib that is to go.
    warnings.simplefilter("ignore")
    from oidc_provider_mock._app import app as provider_app


class OpenIDProvider:
    """Runs in a thread. `person` says who there is; `authorize` is a person who signs in there."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._app = provider_app(require_nonce=True)
        self._key, self._other_key = RSAKey.generate_key(2048, {"kid": "1"}), RSAKey.generate_key(2048, {"kid": "1"})
        self._forged = self._name = ""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = werkzeug.serving.make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def person(self, subject: str, **claims: Any) -> None:
        """Somebody, and what is said of them."""
        requests.put(f"{self.issuer}/users/{subject}", json=claims, timeout=10).raise_for_status()

    def authorize(self, url: str, subject: str) -> str:
        """Sign in at the URL that a browser was sent to; where it is sent back to."""
        assert url.startswith(f"{self.issuer}/"), url
        answer = requests.post(url, data={"sub": subject}, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    @contextmanager
    def forging(self, what: str) -> Iterator[None]:
        """Have `iss`, `aud`, `nonce`, `exp` or the `signature` of each token be wrong."""
        self._forged = what
        yield
        self._forged = ""

    @contextmanager
    def named(self, issuer: str) -> Iterator[None]:
        """Have the provider call itself something else."""
        self._name = issuer
        yield
        self._name = ""

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path, head = environ["PATH_INFO"], []

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            head[:] = [status, headers]
            return lambda octets: None

        body = b"".join(self._app(environ, begin))
        status, headers = head
        if status.startswith("200") and path in ("/jwks", "/oauth2/token", "/.well-known/openid-configuration"):
            body = json.dumps(self._changed(path, json.loads(body))).encode()
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, headers)
        return [body]

    def _changed(self, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        if path == "/jwks":
            return {"keys": [self._key.as_dict(private=False)]}
        if path == "/oauth2/token":
            return {**answer, "id_token": self._signed(answer["id_token"])}
        return {**answer, "issuer": self._name or answer["issuer"]}

    def _signed(self, token: str) -> str:
        claims = json.loads(_decoded(token.split(".")[1]))
        claims.pop("at_hash", None)
        wrong = {"iss": "https://other.example", "aud": ["another-client"], "nonce": "another", "exp": 1_000_000_000}
        if self._forged in wrong:
            claims[self._forged] = wrong[self._forged]
        key = self._other_key if self._forged == "signature" else self._key
        return jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
