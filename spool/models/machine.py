"""The machines that share this database, and the programs that run on them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Machine(models.Model):
    """One that has ever told of itself, until it is forgotten. What it does now is told by its programs.

    `drain_since` is set from Drain to Resume: it outlives the machine's programs.
    """

    name = models.CharField(max_length=100)
    since = models.DateTimeField(help_text="When it first told of itself.")
    drain_since = models.DateTimeField(null=True)
    drain_by = models.CharField(max_length=320, default="", blank=True, help_text="Who asked for it.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["name"], name="machine_name")]

    def __str__(self) -> str:
        return self.name


class Program(models.Model):
    """A process of ours, by the last sign of life that it gave (spool.monitoring.heartbeat). It goes when that ends in
    order."""

    key = models.CharField(max_length=250, help_text="Machine, kind, host and process.")
    machine = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=40)
    born = models.DateTimeField()
    seen = models.DateTimeField(help_text="By the database's clock.")
    drains = models.BooleanField(help_text="Whether it knows that its machine is to be drained.")
    busy = models.PositiveIntegerField(help_text="What it has in hand: transactions, messages under lease, jobs.")
    shows = models.JSONField(default=dict, help_text="What else it says of itself.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["key"], name="program_key")]

    def __str__(self) -> str:
        return self.key


class Duty(models.Model):
    """What one program at a time does for all machines; who has it says so again before `until`."""

    name = models.CharField(max_length=20)
    holder = models.CharField(max_length=250, default="", blank=True, help_text="A program's key.")
    until = models.DateTimeField(help_text="By the database's clock.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["name"], name="duty_name")]

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
