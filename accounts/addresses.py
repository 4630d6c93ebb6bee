"""The spelling of addresses: what is one, and when two are the same mailbox."""

import ipaddress
import re
import unicodedata
from collections.abc import Iterator

import idna
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

# Octets of a domain (RFC 5321 4.5.3.1.2), of an address that is one of ours, and of any that is taken: a local part of
# more than 64 is nobody's fault (4.5.3.1: no limits where there need be none); ours for bounces of lists have more.
LONGEST_DOMAIN = 255
LONGEST_ADDRESS = 254
LONGEST_PATH = 320

_DOT_ATOM = re.compile(
    r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]+(\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]+)*"
)
_QUOTED = re.compile(r'"([ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"')
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class InvalidAddress(ValueError):
    """The text is not an e-mail address; the message says why."""


def normalise_domain(domain: str) -> str:
    """The one spelling of a domain: lower-case A-labels (RFC 5891), without a trailing dot.

    Raises InvalidAddress.
    """
    name = domain.rstrip(".")
    if name.startswith("["):
        return _normalise_literal(name)
    if not name.isascii():
        try:
            # As registries and browsers do it: UTS 46, non-transitional. "faß" is a name of its own, and not "fass".
            name = idna.encode(name, uts46=True).decode("ascii")
        except UnicodeError as error:
            raise InvalidAddress(
                _("%(text)s is not a valid internationalised domain name") % {"text": repr(domain)}
            ) from error
    labels = name.split(".")
    if not name or len(name) > LONGEST_DOMAIN or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidAddress(_("%(text)s is not a valid domain name") % {"text": repr(domain)})
    return name.lower()


def _normalise_literal(literal: str) -> str:
    """An address in brackets (RFC 5321 4.1.3). Raises InvalidAddress."""
    text = literal.lower()
    try:
        if text.endswith("]") and text.startswith("[ipv6:"):
            return f"[ipv6:{ipaddress.IPv6Address(text[6:-1])}]"
        if text.endswith("]"):
            return f"[{ipaddress.IPv4Address(text[1:-1])}]"
    except ValueError:
        pass
    raise InvalidAddress(
        _("%(text)s is not an IP address in brackets, as in [192.0.2.1] or [IPv6:2001:db8::1]")
        % {"text": repr(literal)}
    )


def split_address(address: str) -> tuple[str, str]:
    """`address` as (local part as written, normalised domain). Raises InvalidAddress."""
    local_part, at, domain = address.rpartition("@")
    if not at or not local_part:
        raise InvalidAddress(
            _("%(text)s needs a local part and a domain, as in ann@example.org") % {"text": repr(address)}
        )
    if len(address.encode("utf-8", "surrogatepass")) > LONGEST_PATH:
        raise InvalidAddress(
            _("%(text)s… is longer than %(most)s octets") % {"text": repr(address[:40]), "most": LONGEST_PATH}
        )
    if not (_DOT_ATOM.fullmatch(local_part) or _QUOTED.fullmatch(local_part)):
        raise InvalidAddress(
            _("the local part of %(text)s has a character that needs quotes, or none at all") % {"text": repr(address)}
        )
    normal = normalise_domain(domain)
    if len(local_part) + len(normal) >= LONGEST_PATH:
        raise InvalidAddress(
            _("%(text)s… is longer than %(most)s octets") % {"text": repr(address[:40]), "most": LONGEST_PATH}
        )
    return local_part, normal


def normalise_address(address: str) -> str:
    """The spelling under which an address is looked up: lower case, domain in A-labels. Raises InvalidAddress."""
    local_part, domain = split_address(address.strip())
    return f"{local_part.lower()}@{domain}"


def key_of(address: str) -> str:
    """The one key of an address: under it mail is counted, searched, blocked and trusted. Never raises.

    Lower case, without quotes that nothing needs, and with the domain in A-labels: how the local part is written makes
    no difference to any host that people use, though only the host itself may know (RFC 5321 2.4, 4.1.2). It is never
    what mail is delivered by: that is the address as it was written. A text that is no address is its own lower case.
    """
    key = address.lower()
    if key.isascii():
        if not key.endswith((".", "]")) and '"' not in key:
            return key
    else:
        key = unicodedata.normalize("NFC", key)
    local_part, at, domain = key.rpartition("@")
    if not at:
        return key
    try:
        domain = normalise_domain(domain)
    except InvalidAddress:
        pass
    return f"{_without_needless_quotes(local_part)}@{domain}"


def other_key(address: str) -> str | None:
    """The key of an address that is written otherwise; None for most, which are their own key.

    What a row has beside an address, in a column with an index of those few alone.
    """
    key = key_of(address)
    return None if key == address else key[:LONGEST_PATH]


def enclosing(domain: str) -> Iterator[str]:
    """A domain and those that it is in, the nearest first: a.b.example, b.example, example."""
    labels = domain.split(".")
    return (".".join(labels[start:]) for start in range(len(labels)))


def domain_of(address: str) -> str:
    """The domain of an address, as its key has it; "" for the null sender."""
    return key_of(address).rpartition("@")[2]


def _without_needless_quotes(local_part: str) -> str:
    if not _QUOTED.fullmatch(local_part):
        return local_part
    text = _QUOTED_PAIR.sub(r"\1", local_part[1:-1])
    if _DOT_ATOM.fullmatch(text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def normalised_if_valid(address: str) -> str:
    """The normal spelling, or the text as it is when it is no address: its field's validator says so."""
    try:
        return normalise_address(address)
    except InvalidAddress:
        return address


def validate_address(address: str) -> None:
    """Model and form validator for an e-mail address."""
    try:
        normalise_address(address)
    except InvalidAddress as error:
        raise ValidationError(str(error), code="address") from error


def validate_domain(domain: str) -> None:
    """Model and form validator for a domain name."""
    try:
        normalise_domain(domain)
    except InvalidAddress as error:
        raise ValidationError(str(error), code="domain") from error
