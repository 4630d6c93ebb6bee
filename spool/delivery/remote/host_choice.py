"""Which of the hosts that the DNS names for a domain mail is sent to: not to ourselves, not into private networks.

Who owns a domain may write any address into the DNS: that of a machine inside our network, or our own.
"""

from __future__ import annotations

from spool import own_hosts
from spool.delivery.remote.mx import Host, NoRoute


def usable(hosts: list[Host], domain: str, port: int, *, private: bool) -> list[Host]:
    """Those of `hosts`, in the same order, that mail may go to. Raises NoRoute when there is none."""
    own = [host.preference for host in hosts if own_hosts.is_listener(host.ip, port)]
    if own:
        # Hosts behind us would only bring the mail back (RFC 5321 5.1).
        hosts = [host for host in hosts if host.preference < min(own)]
        if not hosts:
            raise NoRoute(f"mail for {domain} loops back to this server", "5.4.6", permanent=True)
    if private:
        return hosts
    public = [host for host in hosts if own_hosts.is_public(host.ip)]
    if not public:
        names = ", ".join(f"{host.name} [{host.ip}]" if host.name != host.ip else host.ip for host in hosts[:5])
        raise NoRoute(
            f"the hosts of {domain} have no public address: {names}; a route or a setting of this server may allow it",
            "5.4.4",
            permanent=True,
        )
    return public
