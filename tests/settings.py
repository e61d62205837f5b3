"""The control plane's settings under test: secrets and addresses of engines are made here, unless the environment gives them."""

import os

from tests import (
    engines,
    pure,  # noqa: F401  before anything imports the wire modules
)

os.environ.update(engines.announced())

from controlplane.settings import *  # noqa: F403
from controlplane.settings import DATABASES

DATABASES["default"]["TEST"] = {"NAME": "test_tidegate" + os.environ.get("TIDEGATE_TEST_DB_SUFFIX", "")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # people's passwords only: the real hash takes 0.2 s a sign-in
