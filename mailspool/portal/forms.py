"""The forms of the user site, in its look. What they check beyond their fields is the business of accounts.actions."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.fields import ALIAS, FORWARDING, LIST, USER, USER_DEFAULTS, excesses
from accounts.forms.accounts import (
    AliasFields,
    ListFields,
    UserFields,
    members_input,
    password_input,
    targets_input,
)
from accounts.forms.comparing import Comparing
from accounts.forms.placed import PlacedForm, addresses_in
from accounts.models import Alias, Domain, DomainUserDefaults, MailingList, Role, Status, User
from accounts.models.spam import SPAM_FIELDS
from security import login_protection
from security.models import Protocol


class Looks:
    """Mixed into a form: fields look like those of the spool's pages."""

    fields: dict[str, forms.Field]

    def dress(self) -> None:
        for field in self.fields.values():
            if not isinstance(field.widget, forms.CheckboxInput | forms.CheckboxSelectMultiple | forms.RadioSelect):
                field.widget.attrs["class"] = "ms-field"
            if isinstance(field.widget, forms.Textarea):
                field.widget.attrs["rows"] = 4


class LoginForm(Looks, AuthenticationForm):
    """Address and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("E-mail address")
        self.dress()


class SettingsForm(Looks, Comparing):
    """What people may change about themselves."""

    class Meta:
        model = User
        fields = ["name", "language"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dress()


class ForwardingForm(Looks, Comparing):
    """Where copies go."""

    class Meta:
        model = User
        fields = FORWARDING.names
        labels = {"forward_to": _("Forward to")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dress()

    def clean_forward_to(self) -> str:
        return "\n".join(addresses_in(self.cleaned_data["forward_to"], as_written=True))


class SpamForm(Looks, Comparing):
    """What is done with the own spam."""

    class Meta:
        model = User
        fields = SPAM_FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dress()


class PasswordForm(Looks, forms.Form):
    """A new password, by who knows the old one or administers the account."""

    old = forms.CharField(
        label=_("Old password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    new = forms.CharField(
        label=_("New password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 8 characters, nothing common, not like your address."),
    )
    again = forms.CharField(
        label=_("New password again"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, user: User, ip: str = "", needs_old: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self._ip = ip
        if not needs_old:
            del self.fields["old"]
        self.dress()

    def clean_old(self) -> str:
        """Whoever sits at a browser that was left open may guess as little here as at a login."""
        old: str = self.cleaned_data["old"]
        closed = login_protection.closed(self.user.email, self._ip)
        if closed is None:
            if self.user.check_password(old):
                login_protection.succeeded(self.user.email, self._ip)
                return old
            closed = login_protection.failed(self.user.email, self._ip, old, Protocol.WEB)
        if closed is not None:
            raise ValidationError(
                ngettext(
                    "Too many wrong passwords; try again in %(minutes)s minute.",
                    "Too many wrong passwords; try again in %(minutes)s minutes.",
                    closed.minutes,
                )
                % {"minutes": closed.minutes}
            )
        raise ValidationError(_("That is not the old password."))

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        new, again = self.cleaned_data.get("new"), self.cleaned_data.get("again")
        if new and again and new != again:
            self.add_error("again", _("The two new passwords differ."))
        elif new:
            try:
                validate_password(new, self.user)
            except ValidationError as error:
                self.add_error("new", error)
        return cleaned


class _InDomain(Looks, PlacedForm):
    """A user, alias or list of one domain."""

    def __init__(self, *args: Any, domain: Domain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.domain = domain
        self.dress()
        self.fields[self.address_field].widget.attrs["placeholder"] = f"name@{domain.name}"

    def clean(self) -> dict[str, Any] | None:
        address = str(self.cleaned_data.get(self.address_field) or "").strip().lower()
        if address and "@" not in address:
            address = self.cleaned_data[self.address_field] = f"{address}@{self.domain.name}"
        if address and address.rpartition("@")[2] != self.domain.name:
            self.add_error(self.address_field, _("The address has to be in %(domain)s.") % {"domain": self.domain.name})
            return self.cleaned_data
        return super().clean()


class UserForm(_InDomain, UserFields):
    """A user of the domain."""

    new_password = password_input(forms.PasswordInput(attrs={"autocomplete": "new-password"}))

    class Meta:
        model = User
        fields = USER.inputs_in_domain

    def __init__(self, *args: Any, is_own: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        roles = [(role.value, role.label) for role in (Role.USER, Role.DOMAIN_ADMINISTRATOR)]
        self.fields["role"].choices = roles  # type: ignore[attr-defined]
        if is_own:
            # Nobody takes the own role or locks themselves out.
            for name in ("role", "status"):
                del self.fields[name]

    def clean_status(self) -> Status:
        return Status(self.cleaned_data["status"])

    def clean(self) -> dict[str, Any] | None:
        require_within(self, self.domain)
        return super().clean()


class DefaultsForm(Looks, Comparing):
    """What new users of the domain start with."""

    class Meta:
        model = DomainUserDefaults
        fields = USER_DEFAULTS.fields

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dress()

    def clean(self) -> dict[str, Any] | None:
        require_within(self, self.instance.domain)
        return super().clean()


def require_within(form: forms.ModelForm, domain: Domain) -> None:
    """Add an error for each limit that is looser than the domain's."""
    for name, sentence in excesses(domain, list(form.cleaned_data.items())):
        form.add_error(name, sentence)


class AliasForm(_InDomain, AliasFields):
    """An alias of the domain and whom it stands for."""

    targets = targets_input(forms.Textarea)

    class Meta:
        model = Alias
        fields = ALIAS.inputs_in_domain


# Up to so many users the owner of a list is chosen among them; of more the address is typed.
MOST_CHOICES: Final = 200


class _TypedUser(forms.ModelChoiceField):
    """One of many users, by the address."""

    def __init__(self, chosen: forms.ModelChoiceField, users: QuerySet[User], domain: Domain) -> None:
        super().__init__(
            users,
            to_field_name="email",
            required=chosen.required,
            label=chosen.label,
            help_text=chosen.help_text,
            widget=forms.TextInput(
                attrs={"class": "ms-field", "placeholder": f"name@{domain.name}", "autocomplete": "off"}
            ),
            error_messages={"invalid_choice": _("No user of this domain has that address.")},
        )

    def prepare_value(self, value: Any) -> Any:
        """Of a row's key, too, which is what a form is given at first."""
        return super().prepare_value(User.objects.filter(pk=value).first() if isinstance(value, int) else value)

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.strip().lower() if isinstance(value, str) else value)


class ListForm(_InDomain, ListFields):
    """A mailing list of the domain; boxes take many members at once."""

    new_members = members_input(forms.Textarea)
    old_members = forms.CharField(
        label=_("Remove members"),
        required=False,
        widget=forms.Textarea,
        help_text=_("One per line or comma-separated."),
    )

    class Meta:
        model = MailingList
        fields = [*LIST.inputs_in_domain, "old_members"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        users, owner = User.objects.filter(domain=self.domain), self.fields["owner"]
        assert isinstance(owner, forms.ModelChoiceField)
        if users[: MOST_CHOICES + 1].count() > MOST_CHOICES:
            self.fields["owner"] = _TypedUser(owner, users, self.domain)
            self.fields["owner"].show_hidden_initial = owner.show_hidden_initial
        else:
            owner.queryset = users
        if self.instance.pk is None:
            del self.fields["old_members"]

    def clean_old_members(self) -> list[str]:
        return addresses_in(self.cleaned_data["old_members"])

    def clean(self) -> dict[str, Any] | None:
        require_within(self, self.domain)
        return super().clean()
