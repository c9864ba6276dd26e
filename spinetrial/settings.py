"""Settings of SpineTrial. Everything that differs between installations is an environment variable."""

import importlib
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from spinetrial import env

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.boolean("DEBUG", False)
# Only for plain http on this very machine, as `./dev up` serves it: turns off what needs TLS.
INSECURE_COOKIES = env.boolean("INSECURE_COOKIES", False)
DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / ".data"))).absolute()

SECRET_KEY = env.secret("SECRET_KEY")
# Fernet keys of the encrypted personal data; the first encrypts, the others still decrypt after a key change.
FIELD_KEYS = [key.strip() for key in env.secret("FIELD_KEYS").split(",") if key.strip()]

# Signs the anchors of the audit trail; keep a copy of the anchors and of the .pub file away from this machine.
AUDIT_ANCHOR_KEY_FILE = env.text("AUDIT_ANCHOR_KEY_FILE", str(DATA_DIR / "anchor_key.pem"))

ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
SITE_URL = env.text("SITE_URL", "").rstrip("/")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "crispy_forms",
    "crispy_bootstrap5",
    # Its tables stay empty and none of its pages has an address: allauth.mfa imports it.
    "allauth.account",
    "allauth.mfa",
    "axes",
    "spinetrial.audit",
    "spinetrial.access",
    "spinetrial.review",
    "spinetrial.outbox",
    "spinetrial.crf",
    "patients",
    "randomization",
    "radiotherapy",
    "followup",
    "adverse_events",
    "spinetrial.worklists",
    "spinetrial.analysis",
    "spinetrial.reports",
    "spinetrial.exports",
    "spinetrial.simulation",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Above WhiteNoise, so that static files carry the policy too.
    "spinetrial.access.middleware.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "spinetrial.access.middleware.GateMiddleware",
    # Innermost: turns the answer to a person who is locked out into the page that says so.
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "spinetrial.urls"
WSGI_APPLICATION = "spinetrial.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "spinetrial.access.context.frame",
            ],
        },
    },
]
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# The web, worker and beat processes connect as a role that owns no table. `SPINETRIAL_DB_ROLE=owner` is for
# the few commands that change tables: migrate, makemigrations, mark_demo.
DB_ROLE = env.text("SPINETRIAL_DB_ROLE", "app")
if DB_ROLE not in ("app", "owner"):
    raise ImproperlyConfigured("SPINETRIAL_DB_ROLE must be app or owner.")
_database = env.database("DATABASE_OWNER_URL" if DB_ROLE == "owner" else "DATABASE_URL")
_database["CONN_MAX_AGE"] = 60
_database["CONN_HEALTH_CHECKS"] = True
# One transaction per request would hide where a record is saved; `acting()` opens one for each act.
_database["ATOMIC_REQUESTS"] = False
DATABASES = {"default": _database}
DATABASE_APP_ROLE = env.text("DATABASE_APP_ROLE", env.user_of("DATABASE_URL") or "spinetrial_app")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Where `spinetrial.crf` finds the forms of the trial without importing them.
CRF_INDEX = "spinetrial.crf_index.SPECS"

AUTH_USER_MODEL = "access.User"
# The first refuses whoever is locked out, before a password is looked at.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "spinetrial.access.passwords.NotUsedBeforeValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

SESSION_ENGINE = "django.contrib.sessions.backends.db"
# Logged off so long after the log-in, however busy; and after so long without a request.
SESSION_COOKIE_AGE = SESSION_LIMIT_SECONDS = 8 * 60 * 60
IDLE_SECONDS = 60 * env.integer("IDLE_MINUTES", 30, 5, 8 * 60)

# Signers, administrator, custodian and statistician must enrol a second factor before anything else opens; never
# demanded in a database marked as a demonstration, whose passwords are printed anyway.
REQUIRE_MFA = env.boolean("REQUIRE_MFA", True)
MFA_ADAPTER = "spinetrial.access.second_factor.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_ISSUER = "SpineTrial"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = INSECURE_COOKIES
ACCOUNT_EMAIL_VERIFICATION = "none"

# Five failures lock the user name that was typed, known or not, until an administrator unlocks it.
# AXES_USERNAME_FORM_FIELD is left alone: set to a name that no form posts, nothing is counted.
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_COOLOFF_TIME = None
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_HANDLER = "spinetrial.access.lockout.LockoutHandler"
AXES_USERNAME_CALLABLE = "spinetrial.access.lockout.name_key"
AXES_CLIENT_IP_CALLABLE = "spinetrial.access.lockout.client_address"
AXES_LOCKOUT_CALLABLE = "spinetrial.access.lockout.locked_page"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
# Reverse proxies (addresses or networks) whose X-Forwarded-For is believed; nobody else's is.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
# Limits of requests per person or address: `spinetrial/access/limits.py`.
RATE_LIMITS = True

# The default keeps messages in a cookie; ours may name a subject and stay on the server.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"
# Dates look the same in every language, so that no one reads 03/04 the wrong way round.
FORMAT_MODULE_PATH = "spinetrial.formats"
DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i"

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
# The manifest needs `collectstatic` first, which `./dev up` and the image do and a test run does not.
STATIC_MANIFEST = env.boolean("STATIC_MANIFEST", not DEBUG)
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_DIR / "files"},
    },
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if STATIC_MANIFEST
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        ),
    },
}
WHITENOISE_USE_FINDERS = not STATIC_MANIFEST
WHITENOISE_AUTOREFRESH = DEBUG

EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_PORT = env.integer("EMAIL_PORT", 587, 1, 65535)
EMAIL_HOST_USER = env.text("EMAIL_USER", "")
EMAIL_HOST_PASSWORD = env.secret("EMAIL_PASSWORD", "")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 20
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend" if EMAIL_HOST else "django.core.mail.backends.filebased.EmailBackend"
)
EMAIL_FILE_PATH = DATA_DIR / "mail"
# A message is sent in seconds; what a crashed worker held is taken up by another one after this time.
OUTBOX_LEASE_SECONDS = env.integer("OUTBOX_LEASE_SECONDS", 600, 1, 24 * 60 * 60)
PLAN_SECONDS = env.integer("PLAN_SECONDS", 60 * 60, 1, 24 * 60 * 60)
SEND_SECONDS = env.integer("SEND_SECONDS", 60, 1, 24 * 60 * 60)
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM", "spinetrial@localhost")

# A follow-up form with thirty rows of analgesics sends some 600 fields; a randomisation list is below 1 MB.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "spinetrial.access.uploads.CappedUpload",  # before a byte is stored
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
DATA_UPLOAD_MAX_NUMBER_FILES = 1

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = not INSECURE_COOKIES
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = not INSECURE_COOKIES
LANGUAGE_COOKIE_SAMESITE = "Lax"
# Browsers keep one set of cookies for all ports of localhost, so two copies on one machine need other names. The
# prefix __Host- makes a browser refuse such a cookie from a neighbour in the domain; it needs https.
_cookie = f"%s_{urlsplit(SITE_URL).port or 80}" if INSECURE_COOKIES else "__Host-%s"
SESSION_COOKIE_NAME = _cookie % "sessionid"
CSRF_COOKIE_NAME = _cookie % "csrftoken"
SECURE_HSTS_SECONDS = 0 if INSECURE_COOKIES else 365 * 24 * 60 * 60
SECURE_HSTS_INCLUDE_SUBDOMAINS = not INSECURE_COOKIES
# The reverse proxy that ends TLS must set this header and drop the one a client sent (README, installation).
SECURE_PROXY_SSL_HEADER = None if INSECURE_COOKIES else ("HTTP_X_FORWARDED_PROTO", "https")
# W021 asks for HSTS preload, which the holder of the whole domain can promise, not one application in it.
# W006 asks to lock addresses like names: a whole hospital behind one address; `limits.py` slows addresses instead.
SILENCED_SYSTEM_CHECKS = ["security.W021", "axes.W006"]

CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", "") or env.broker_url(_database)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# The database broker cannot broadcast, so a worker on it takes no remote commands.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = not CELERY_BROKER_URL.startswith("sqla+")
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 10 * 60
# All jobs ask "what is due now" and are idempotent, so a late or doubled tick does no harm.
CELERY_BEAT_SCHEDULE = {
    "plan clocks": {"task": "adverse_events.tasks.plan_clocks", "schedule": 5 * 60},
    "plan reminders": {"task": "followup.tasks.plan_reminders", "schedule": PLAN_SECONDS},
    "send messages": {"task": "spinetrial.outbox.tasks.send_due", "schedule": SEND_SECONDS},
    "make reports": {"task": "spinetrial.reports.tasks.make_reports", "schedule": 5 * 60},
    "forget old reports": {"task": "spinetrial.reports.tasks.forget_old_reports", "schedule": 24 * 60 * 60},
    "import dictionaries": {"task": "adverse_events.tasks.import_dictionaries", "schedule": 5 * 60},
    "run simulations": {"task": "spinetrial.analysis.tasks.run_simulations", "schedule": 5 * 60},
    "anchor": {"task": "spinetrial.audit.tasks.daily_anchor", "schedule": 24 * 60 * 60},
    "tell signers": {"task": "spinetrial.crf.tasks.tell_signers", "schedule": 5 * 60},
    "forget unsent answers": {"task": "followup.tasks.forget_unsent_answers", "schedule": 24 * 60 * 60},
    "forget old drafts": {"task": "spinetrial.crf.tasks.forget_old_drafts", "schedule": 24 * 60 * 60},
}
# `@shared_task` binds to the application that exists at first use, and a check counts once it is imported.
# Loading both here covers web, commands and tests, and keeps them out of `spinetrial/__init__.py`,
# which the pure rooms import too.
for _module in ("spinetrial.celery", "spinetrial.checks"):
    importlib.import_module(_module)

# Standard error only; the container or the service manager keeps the log. Values of a record must not get
# there: `spinetrial.log` cuts them out of database errors.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"()": "spinetrial.log.PlainFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        # Its warnings name the user name and the address of every failure; ours are on the audit trail.
        "axes": {"level": "ERROR"},
        "fontTools": {"level": "WARNING"},
        "matplotlib": {"level": "WARNING"},
    },
}
