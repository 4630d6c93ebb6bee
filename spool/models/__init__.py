"""Data of the spool, one module per subject."""

from base.audit.models import AuditEvent
from spool.models.alert import AlertEvent, AlertKind, AlertNotice, AlertRule
from spool.models.attempt import Attempt
from spool.models.bounce import ReceivedBounce
from spool.models.bulkjob import BulkJob, JobState
from spool.models.content import Content, ContentPart, StoredObject
from spool.models.destination import Destination, DestinationDomain, DestinationEncryption
from spool.models.destination_rule import DestinationRule, RuleScope, RuleTLS
from spool.models.dkim import DkimKey, KeyAlgorithm, KeyState
from spool.models.dns import DomainRecord, RecordState
from spool.models.entry import Direction, Entry, Origin, Priority, Status
from spool.models.installation import Installation
from spool.models.list_layout import Density, ListLayout
from spool.models.machine import Duty, Machine, Program
from spool.models.mail_report import DMARCSource, IncomingReport, MailReport, ReportedTLSFailure, ReportKind
from spool.models.mta_sts import MTASTSPolicy
from spool.models.recipient import Kind, Outcome, Recipient
from spool.models.resting_host import RestingHost
from spool.models.route import Route, RouteKind, TLSPolicy
from spool.models.saved_view import SavedView
from spool.models.settings import Settings
from spool.models.source_address import SourceAddress, SourceDay
from spool.models.subspool import Subspool
from spool.models.suppression import Suppression, SuppressionReason
from spool.models.tls_report import ReportState, TLSReport, TLSSessions
from spool.models.trace import Trace
from spool.models.traffic import (
    TrafficBatch,
    TrafficCount,
    TrafficKind,
    TrafficSeries,
    TrafficState,
    TrafficTotal,
)
from spool.models.trashed import Trashed, TrashedRecipient, TrashState
from spool.models.update_server import UpdateServer

__all__ = [
    "AlertEvent",
    "AlertKind",
    "AlertNotice",
    "AlertRule",
    "Attempt",
    "AuditEvent",
    "BulkJob",
    "Content",
    "ContentPart",
    "DMARCSource",
    "Density",
    "Destination",
    "DestinationDomain",
    "DestinationEncryption",
    "DestinationRule",
    "Direction",
    "DkimKey",
    "DomainRecord",
    "Duty",
    "Entry",
    "IncomingReport",
    "Installation",
    "JobState",
    "KeyAlgorithm",
    "KeyState",
    "Kind",
    "ListLayout",
    "MTASTSPolicy",
    "Machine",
    "MailReport",
    "Origin",
    "Outcome",
    "Priority",
    "Program",
    "ReceivedBounce",
    "Recipient",
    "RecordState",
    "ReportKind",
    "ReportState",
    "ReportedTLSFailure",
    "RestingHost",
    "Route",
    "RouteKind",
    "RuleScope",
    "RuleTLS",
    "SavedView",
    "Settings",
    "SourceAddress",
    "SourceDay",
    "Status",
    "StoredObject",
    "Subspool",
    "Suppression",
    "SuppressionReason",
    "TLSPolicy",
    "TLSReport",
    "TLSSessions",
    "Trace",
    "TrafficBatch",
    "TrafficCount",
    "TrafficKind",
    "TrafficSeries",
    "TrafficState",
    "TrafficTotal",
    "TrashState",
    "Trashed",
    "TrashedRecipient",
    "UpdateServer",
]
