from __future__ import annotations

import pytest

from controlplane import services
from controlplane.models import Connection
from policies.policy_file.plan import Secrets
from policies.policy_file.secrets import differs
from tests.certificates import issued


@pytest.mark.django_db
def test_a_password_is_compared_with_the_one_kept(crm: Connection) -> None:
    kept = Connection.objects.get(pk=crm.pk)
    assert not differs(kept, "password", Secrets(password="target-password"))
    assert differs(kept, "password", Secrets(password="another"))


@pytest.mark.django_db
def test_so_is_the_key_of_a_client_certificate(crm: Connection) -> None:
    own = issued("tidegate")
    assert differs(crm, "client_key", Secrets(client_key=own.key))
    crm.tls_client_cert = own.certificate
    services.keep_secrets(crm, client_key=own.key, actor="a test")
    kept = Connection.objects.get(pk=crm.pk)
    assert not differs(kept, "client_key", Secrets(client_key=f"\n{own.key}\n"))
    assert differs(kept, "client_key", Secrets(client_key=issued("another").key))
