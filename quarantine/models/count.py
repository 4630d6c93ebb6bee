"""What each scanner and check did, day by day: for statistics and for its health."""

from django.db import models


class CheckCount(models.Model):
    """One scanner or check on one day (UTC)."""

    day = models.DateField()
    name = models.CharField(max_length=120)
    runs = models.PositiveBigIntegerField(default=0, help_text="Messages it was asked about.")
    hits = models.PositiveBigIntegerField(default=0, help_text="Messages in which it found something.")
    failures = models.PositiveBigIntegerField(default=0, help_text="Times that it did not answer.")
    seconds = models.FloatField(default=0, help_text="Time it took for those that it answered.")
    last_answer = models.DateTimeField(null=True, blank=True)
    last_failure = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True, help_text="When it began to answer nobody.")
    last_error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "name"], name="checkcount_day_name")]

    def __str__(self) -> str:
        return f"{self.name} on {self.day}"

    @property
    def average_ms(self) -> float:
        answered = self.runs - self.failures
        return self.seconds / answered * 1000 if answered > 0 else 0.0
