"""URLs: the Overview and the admin site at `/admin/`, metrics beside it.

/healthz and /readyz are answered by health.Probes.
"""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from mailspool.metrics import metrics
from mailspool.overview.urls import urls as overview_urls

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    *overview_urls(),
    path("admin/", admin.site.urls),
    path("metrics", metrics),
]
