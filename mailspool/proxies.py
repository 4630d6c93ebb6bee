"""Who is really there, when a proxy of ours stands between: the client's address from X-Forwarded-For."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from spool.sockets.addresses import plain_ip

View = Callable[[HttpRequest], HttpResponse]


class ClientAddress:
    """Sets REMOTE_ADDR to the last address of X-Forwarded-For that is not a proxy of ours (MAILSPOOL_PROXIES).

    What stands further left came from the client itself, who may write there what it likes; without a proxy the header
    is worth nothing at all.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response
        self._proxies = [ipaddress.ip_network(network) for network in settings.MAILSPOOL_PROXIES]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.META["REMOTE_ADDR"] = plain_ip(str(request.META.get("REMOTE_ADDR", "")))
        if self._proxies:
            request.META["REMOTE_ADDR"] = self._client(request)
        return self.get_response(request)

    def _client(self, request: HttpRequest) -> str:
        nearest = str(request.META.get("REMOTE_ADDR", ""))
        forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
        while self._is_proxy(nearest) and forwarded:
            text = forwarded.pop().strip()
            try:
                nearest = str(ipaddress.ip_address(plain_ip(text)))
            except ValueError:
                break
        return nearest

    def _is_proxy(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            # A unix socket has no address: only a proxy of ours can open it.
            return text == ""
        return any(address in network for network in self._proxies)
