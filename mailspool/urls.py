"""URLs: the admin site at `/admin/`, metrics beside it. /healthz and /readyz are answered by health.Probes."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from mailspool.metrics import metrics

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("metrics", metrics),
]
