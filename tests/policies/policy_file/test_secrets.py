from __future__ import annotations

import pytest

from controlplane.models import Connection
from policies.policy_file.plan import Secrets
from policies.policy_file.secrets import differs, opened, sealed


def test_a_webhook_is_kept_encrypted() -> None:
    kept = sealed({"url": "https://hooks.example.com/t0ken", "secret": "whsec_abc"})
    assert "t0ken" not in str(kept)
    assert opened(kept) == {"url": "https://hooks.example.com/t0ken", "secret": "whsec_abc"}


@pytest.mark.django_db
def test_a_password_is_compared_with_the_one_kept(crm: Connection) -> None:
    kept = Connection.objects.get(pk=crm.pk)
    assert not differs(kept, "password", Secrets(password="target-password"))
    assert differs(kept, "password", Secrets(password="another"))
