"""The pages that people see, a line each: test_pages looks at every one on a telephone and a desk, and asks axe-core about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """``follow``: a selector; the page is where its first link leads. ``signed_in``: seen by an admin, else by anybody."""

    address: str
    follow: str = ""
    signed_in: bool = True

    def __str__(self) -> str:
        return f"{self.address}{' first' if self.follow else ''}"


_FIRST = "#result_list a[href*='/change/']"

PAGES = (
    Page("/login", signed_in=False),
    Page("/"),
    Page("/password"),
    # administration
    Page("/admin/"),
    Page("/admin/try/"),
    Page("/admin/effective/?subject=reader&connection=crm15"),
    Page("/admin/who/?connection=crm15&column=crm.customers.ssn&action=update"),
    Page("/admin/what-if/"),
    Page("/admin/policies/statementrule/"),
    Page("/admin/policies/statementrule/", follow=_FIRST),
    Page("/admin/policies/maskingrule/", follow=_FIRST),
    Page("/admin/controlplane/subject/", follow=_FIRST),
    Page("/admin/controlplane/connection/", follow=_FIRST),
    Page("/admin/controlplane/grant/", follow=_FIRST),
    Page("/admin/controlplane/user/add/"),
    Page("/admin/approvals/workflow/", follow=_FIRST),
    Page("/admin/controlplane/worker/"),
    # approvals
    Page("/approvals/"),
    # audit
    Page("/audit/"),
    Page("/audit/exports/"),
)
