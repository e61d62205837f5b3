"""The pages that people see, a line each: test_pages looks at every one on a telephone and a desk, and asks axe-core about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """``follow``: selectors; the page is where the first link of each leads. ``signed_in``: seen by an admin, else by anybody."""

    address: str
    follow: tuple[str, ...] = ()
    signed_in: bool = True

    def __str__(self) -> str:
        return " ".join((self.address, *self.follow))


_FIRST = ("#result_list a[href*='/change/']",)

PAGES = (
    Page("/login", signed_in=False),
    Page("/"),
    Page("/password"),
    Page("/account"),
    # administration
    Page("/admin/"),
    Page("/admin/try/"),
    Page("/admin/effective/?subject=reader&connection=crm15"),
    Page("/admin/who/?connection=crm15&column=crm.customers.ssn&action=update"),
    Page("/admin/what-if/"),
    Page("/admin/policies/statementrule/"),
    Page("/admin/policies/statementrule/", follow=_FIRST),
    Page("/admin/policies/maskingrule/", follow=_FIRST),
    Page("/admin/policies/maskingrule/", follow=(*_FIRST, "a[href$='/history/']")),
    Page("/admin/controlplane/subject/", follow=_FIRST),
    Page("/admin/controlplane/connection/", follow=_FIRST),
    Page("/admin/controlplane/grant/", follow=_FIRST),
    Page("/admin/controlplane/user/add/"),
    Page("/admin/approvals/workflow/", follow=_FIRST),
    Page("/admin/controlplane/worker/"),
    # approvals
    Page("/approvals/"),
    Page("/approvals/", follow=("ul.requests a",)),
    Page("/approvals/reviews/"),
    Page("/approvals/shapes/"),
    # audit
    Page("/audit/"),
    Page("/audit/sessions/"),
    Page("/audit/entries/"),
    Page("/audit/", follow=("ol.entries a",)),
    Page("/audit/sessions/", follow=("ol.entries a",)),
    Page("/audit/reports/"),
    Page("/audit/reports/refusals/"),
    Page("/audit/reports/access/?subject=reader"),
    Page("/audit/exports/"),
)
