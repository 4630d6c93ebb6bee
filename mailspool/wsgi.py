"""The web process's entry point for gunicorn."""

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from base import garbage
from mailspool import query_limit, start
from mailspool.heartbeat_thread import WithHeartbeat
from mailspool.schema_gate import WhenSchemaFits

start.begin(program=True)
query_limit.install()
application = WithHeartbeat(WhenSchemaFits(get_wsgi_application()))
# The pages too, before gunicorn forks: its workers then share them, and the first request doesn't wait for them.
get_resolver().url_patterns  # noqa: B018
# A search through all of that, and through long lists of networks, would take as long as a page does.
garbage.settle()
