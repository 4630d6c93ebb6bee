"""Day first, as German has it; 24 hours. What is not here is Django's. MINUTE_FORMAT is our own (base.times)."""

DATE_FORMAT = SHORT_DATE_FORMAT = "d.m.Y"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "d.m.Y H:i:s T"
MINUTE_FORMAT = "d.m.Y H:i T"
MONTH_DAY_FORMAT = "d.m."
