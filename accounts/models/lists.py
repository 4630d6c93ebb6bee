"""Mailing lists and who is on them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.addresses import normalised_if_valid, validate_address
from accounts.models.domains import Domain
from accounts.models.limits import SendingLimits
from accounts.models.users import User


class PostingPolicy(models.TextChoices):
    """Who may write to a list."""

    ANYONE = "anyone", _("Anyone")
    MEMBERS = "members", _("Members")
    OWNER = "owner", _("The owner")


class FromRewriting(models.TextChoices):
    """When a list writes in its own name, and not in the author's."""

    NEVER = "never", _("Never")
    DMARC = "dmarc", _("When the author's domain asks for it (DMARC)")
    ALWAYS = "always", _("Always")


class Unsubscribing(models.TextChoices):
    """How members of a list leave it, as its mail says."""

    OWNER = "owner", _("By writing to the owner")
    ONE_CLICK = "one_click", _("By one click")
    NONE = "none", _("Not by themselves")


class MailingList(SendingLimits):
    """An address whose mail goes to each member; bounces go to its owner, never to the one who wrote."""

    address = models.CharField(_("address"), max_length=254, unique=True, validators=[validate_address])
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="lists")
    owner = models.ForeignKey(
        User, verbose_name=_("owner"), on_delete=models.SET_NULL, null=True, blank=True, related_name="owned_lists"
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    posting = models.CharField(_("may post"), max_length=10, choices=PostingPolicy, default=PostingPolicy.ANYONE)
    subject_prefix = models.CharField(_("subject prefix"), max_length=60, blank=True, default="")
    rewrite_from = models.CharField(
        _("write as “Author via list”"),
        max_length=6,
        choices=FromRewriting,
        default=FromRewriting.DMARC,
        db_default=FromRewriting.DMARC,
        help_text=_(
            "Receivers refuse what a list sends in the name of domains that publish a strict DMARC policy. The author then stays in Reply-To."
        ),
    )
    unsubscribe = models.CharField(
        _("members leave"),
        max_length=9,
        choices=Unsubscribing,
        default=Unsubscribing.OWNER,
        db_default=Unsubscribing.OWNER,
        help_text=_(
            "With one click each member gets a copy with a link of its own, which mail programs show as a button. It needs the console's HTTPS address in the settings."
        ),
    )
    description = models.CharField(_("description"), max_length=200, blank=True, default="")

    audit_kind = "list"

    class Meta:
        ordering = ["address"]

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        self.address = normalised_if_valid(self.address)


class ListMember(models.Model):
    """One address on a list."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, related_name="members")
    address = models.CharField(max_length=254, validators=[validate_address])
    enabled = models.BooleanField(default=True)
    added = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing_list", "address"], name="list_member_once")]

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        self.address = normalised_if_valid(self.address)
