"""Django's settings: everything that differs between deployments comes from the environment (environment.py)."""

from __future__ import annotations

from pathlib import Path

from csp.constants import NONE, SELF

from controlplane import environment as _env
from controlplane.oidc import configuration as _oidc

BASE_DIR = Path(__file__).resolve().parent.parent
_environment = _env.read_environment()

# --- what the deployment says -------------------------------------------------------------------------------------------
SECRET_KEY = _env.secret_key(_environment)
TIDEGATE_FERNET_KEYS = _env.fernet_keys(_environment)
TIDEGATE_SIGNING_SEED = _env.signing_seed(_environment)
TIDEGATE_PUBLIC_URL = _env.public_url(_environment)
TIDEGATE_BROKER_URL = _env.required(_environment, "TIDEGATE_BROKER_URL", "redis://host:port/db of the broker")
DATABASES = {"default": _env.database(_environment)}
ALLOWED_HOSTS = _env.allowed_hosts(_environment, TIDEGATE_PUBLIC_URL)
_mail = _env.mail(_environment)
TIDEGATE_OIDC = _oidc.read(_environment)  # None: people sign in with local accounts only
TIDEGATE_LOCAL_SIGN_IN = _env.local_sign_in(_environment)
_https = TIDEGATE_PUBLIC_URL.startswith("https://")

# --- what workers are told ----------------------------------------------------------------------------------------------
TIDEGATE_MAX_STALENESS = 3600  # seconds a worker goes on with a bundle that nobody confirmed
TIDEGATE_LONG_POLL = 25  # seconds a worker's request for a newer bundle may wait

# --- Django -------------------------------------------------------------------------------------------------------------
DEBUG = False
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "controlplane.apps.AdminConfig",
    "controlplane",  # before Django's auth: its changepassword makes an audit entry
    "django.contrib.auth",
    "django.contrib.humanize",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "csp",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "policies",
    "approvals",
    "audit",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "controlplane.middleware.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "controlplane.sessions.SessionLimits",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "controlplane.urls"
WSGI_APPLICATION = "controlplane.wsgi.application"
AUTH_USER_MODEL = "controlplane.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "controlplane" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "controlplane.navigation.navigation",
            ]
        },
    }
]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
FORMAT_MODULE_PATH = ["controlplane.formats"]
USE_I18N = True

# --- sign-in, sessions, transport ---------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
if TIDEGATE_OIDC:
    AUTHENTICATION_BACKENDS.append("controlplane.oidc.backend.Backend")
OIDC_USE_PKCE = True
OIDC_PKCE_CODE_CHALLENGE_METHOD = "S256"
OIDC_TOKEN_USE_BASIC_AUTH = True
OIDC_TIMEOUT = 5  # seconds, of each request to the provider
OIDC_MAX_STATES = 10  # sign-ins begun at the same time in one browser
OIDC_AUTHENTICATION_CALLBACK_URL = "oidc_callback"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "start"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_AGE = 30 * 60  # without a request; SessionLimits moves it on
TIDEGATE_SESSION_SECONDS = 12 * 3600  # then even a busy session is over
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # a link in an e-mail must find the approver signed in
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_SECURE = _https
CSRF_TRUSTED_ORIGINS = [TIDEGATE_PUBLIC_URL]
if _https:
    SESSION_COOKIE_NAME = "__Host-tidegate"
    CSRF_COOKIE_NAME = "__Host-tidegate-csrf"
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # TLS ends at the reverse proxy in front of gunicorn
SECURE_REFERRER_POLICY = "same-origin"  # the signed links of approvers must not leak
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- static files -------------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # straight from the packages: no collectstatic to forget
WHITENOISE_AUTOREFRESH = False

# --- e-mail -------------------------------------------------------------------------------------------------------------
EMAIL_BACKEND = _mail.backend
EMAIL_FILE_PATH = _mail.directory or None
EMAIL_HOST = _mail.host
EMAIL_PORT = _mail.port
EMAIL_HOST_USER = _mail.user
EMAIL_HOST_PASSWORD = _mail.password
EMAIL_USE_TLS = _mail.tls
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = _environment.get("TIDEGATE_EMAIL_FROM", "") or "tidegate@localhost"
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- queue --------------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = TIDEGATE_BROKER_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]  # what arrives from the broker is data, never code
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "approvals.expire": {"task": "approvals.expire", "schedule": 5.0},
    "approvals.deliver": {"task": "approvals.deliver", "schedule": 5.0},
    "audit.seal": {"task": "audit.seal", "schedule": 5.0},
    "controlplane.forget": {"task": "controlplane.forget", "schedule": 3600.0},
    "audit.drop_old_files": {"task": "audit.drop_old_files", "schedule": 3600.0},
}

# --- REST ---------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "controlplane.access_tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["controlplane.permissions.AdminWritesAuditorReads"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["controlplane.parsers.Json"],
    "DEFAULT_PAGINATION_CLASS": "controlplane.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend", "rest_framework.filters.SearchFilter"],
    "DEFAULT_SCHEMA_CLASS": "controlplane.openapi.Schema",
    "EXCEPTION_HANDLER": "controlplane.problems.problem_response",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tidegate control plane",
    "VERSION": "1",
    "DESCRIPTION": "Who may connect where, with what, what is masked, denied or held; and the workers' own endpoints.",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "controlplane.openapi.describe_problems"],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "ENUM_NAME_OVERRIDES": {
        "Outcome": "controlplane.models.OUTCOMES",
        "Default": "controlplane.models.Connection.DEFAULTS",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- logs: one line per event on stderr, never a secret -----------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "controlplane.log_lines.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": _environment.get("TIDEGATE_LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # Django's own line for a 4xx holds the path, and paths of approvers hold signed links.
        "django.request": {"level": "ERROR"},
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        # Two lines for each task that succeeded, every few seconds, would hide all others.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}

# --- the admin site's looks ---------------------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "Tidegate",
    "SITE_HEADER": "Tidegate",
    "SITE_SUBHEADER": "Gateway for PostgreSQL",
    "SITE_URL": "/",
    "SITE_SYMBOL": "waves",
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "/static/tidegate/mark.svg"}],
    "STYLES": ["/static/tidegate/admin.css"],
    "SCRIPTS": ["/static/tidegate/admin.js"],
    "SIDEBAR": {"navigation": "controlplane.navigation.sidebar"},
}
