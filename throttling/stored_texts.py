"""What limits and the guard say of a message."""

from functools import partial

from django.utils.translation import gettext_noop as _

from accounts.models import Metric
from base.stored_texts import known, known_as
from throttling import wording

known(_("Caught by the anomaly guard"))
for _metric in Metric:
    for _template in wording.templates(_metric):
        known_as(_template, partial(wording.again, _metric))
