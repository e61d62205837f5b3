"""How the admin site writes times (Django's FORMAT_MODULE_PATH): to the second, and with the zone."""

DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i:s T"
