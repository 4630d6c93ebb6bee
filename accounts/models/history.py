"""What happened to accounts: changes with who made them, and logins with where they came from."""

from django.db import models

from accounts.models.users import User


class AccountEvent(models.Model):
    """One thing that was done to an account. Only ever added."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=254)
    source = models.CharField(max_length=10, default="page", help_text="page, shell or system")
    action = models.CharField(max_length=30)
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="events")
    on = models.CharField(max_length=320, help_text="The address or domain, also when it is gone.")
    outcome = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor}: {self.action} {self.on}"


class Login(models.Model):
    """The logins of a user by one protocol from one address on one day, counted: a mail program has thousands."""

    # No constraint: a login that is written after its user was deleted must not keep others from being written.
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="logins", db_constraint=False)
    protocol = models.CharField(max_length=12)
    ip = models.CharField("IP address", max_length=45)
    day = models.DateField()
    first = models.DateTimeField()
    last = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    agent = models.CharField("program", max_length=200, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "protocol", "ip", "day"], name="login_once_a_day")]
        indexes = [
            models.Index(fields=["user", "last"], name="login_last"),
            models.Index(fields=["day"], name="login_day"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.protocol} {self.ip}"
