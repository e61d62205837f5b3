from __future__ import annotations

import pytest
from django.test import Client

from controlplane.models import Subject


@pytest.mark.django_db
def test_times_of_the_admin_site_have_a_zone_and_seconds(admin: Client, bot: Subject) -> None:
    page = admin.get("/admin/controlplane/enrolmenttoken/add/")
    assert page.status_code == 200
    admin.post("/admin/controlplane/enrolmenttoken/add/", {"name": "host-a"})
    listed = admin.get("/admin/controlplane/enrolmenttoken/").content.decode()
    assert " UTC" in listed
    assert "noon" not in listed
