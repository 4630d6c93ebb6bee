"""The spelling of addresses: what is one, and when two are the same mailbox."""

import re

from django.core.exceptions import ValidationError

# RFC 5321 4.5.3.1: octets of a local part, a domain, and a path without its brackets.
LONGEST_LOCAL_PART = 64
LONGEST_DOMAIN = 255
LONGEST_ADDRESS = 254

_DOT_ATOM = re.compile(
    r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]+(\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]+)*"
)
_QUOTED = re.compile(r'"([ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"')
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_ADDRESS_LITERAL = re.compile(r"\[[0-9A-Za-z:.\-]{2,60}\]")


class InvalidAddress(ValueError):
    """The text is not an e-mail address; the message says why."""


def normalise_domain(domain: str) -> str:
    """The one spelling of a domain: lower-case A-labels (RFC 5891), without a trailing dot.

    Raises InvalidAddress.
    """
    name = domain.rstrip(".")
    if _ADDRESS_LITERAL.fullmatch(name):
        return name.lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise InvalidAddress(f"{domain!r} is not a valid internationalised domain name") from error
    labels = name.split(".")
    if not name or len(name) > LONGEST_DOMAIN or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidAddress(f"{domain!r} is not a valid domain name")
    return name.lower()


def split_address(address: str) -> tuple[str, str]:
    """`address` as (local part as written, normalised domain). Raises InvalidAddress."""
    local_part, at, domain = address.rpartition("@")
    if not at or not local_part:
        raise InvalidAddress(f"{address!r} needs a local part and a domain, as in ann@example.org")
    if len(local_part.encode("utf-8", "surrogatepass")) > LONGEST_LOCAL_PART:
        raise InvalidAddress(f"the local part of {address!r} is longer than {LONGEST_LOCAL_PART} octets")
    if not (_DOT_ATOM.fullmatch(local_part) or _QUOTED.fullmatch(local_part)):
        raise InvalidAddress(f"the local part of {address!r} has a character that needs quotes, or none at all")
    return local_part, normalise_domain(domain)


def normalise_address(address: str) -> str:
    """The spelling under which an address is looked up: lower case, domain in A-labels. Raises InvalidAddress."""
    local_part, domain = split_address(address.strip())
    return f"{local_part.lower()}@{domain}"


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
