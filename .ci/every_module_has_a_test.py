"""Fail when a module has no test file: `a/b/c.py` is tested by `tests/a/b/test_c.py`, or by the place named below."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("proxy", "worker", "controlplane", "policies", "approvals", "audit")
# Declarations without behaviour of their own.
WITHOUT = {"__init__.py", "__main__.py", "apps.py"}
# Modules that are one behaviour with another, and tested through it: module -> the file that does.
ELSEWHERE = {
    # data and declarations
    "proxy/sql/facts.py": "tests/proxy/sql/test_analysis.py",
    "proxy/sql/queries.py": "tests/proxy/sql/test_catalog.py",
    "approvals/models.py": "tests/approvals/test_services.py",
    "approvals/querysets.py": "tests/approvals/test_services.py",
    "audit/models.py": "tests/audit/test_services.py",
    "audit/projected.py": "tests/audit/test_projection.py",
    "audit/querysets.py": "tests/audit/test_views.py",
    # pages and interfaces, tested over HTTP
    "approvals/api_urls.py": "tests/approvals/test_api.py",
    "approvals/filters.py": "tests/approvals/test_api.py",
    "approvals/links.py": "tests/approvals/test_views.py",
    "approvals/presentation.py": "tests/approvals/test_views.py",
    "approvals/urls.py": "tests/approvals/test_views.py",
    "audit/api.py": "tests/audit/test_views.py",
    "audit/api_urls.py": "tests/audit/test_views.py",
    "audit/filters.py": "tests/audit/test_views.py",
    "audit/forms.py": "tests/audit/test_views.py",
    "audit/presentation.py": "tests/audit/test_views.py",
    "audit/urls.py": "tests/audit/test_views.py",
    "audit/web_exports.py": "tests/audit/test_exporting.py",
    "controlplane/openapi.py": "tests/controlplane/test_api_urls.py",
    "controlplane/oidc/backend.py": "tests/controlplane/oidc/test_views.py",
    "controlplane/oidc/problems.py": "tests/controlplane/oidc/test_views.py",
    "controlplane/history.py": "tests/controlplane/test_admin.py",
    "policies/forms.py": "tests/policies/test_trials.py",
    "policies/tasks.py": "tests/policies/test_what_if.py",
    "policies/rule_forms.py": "tests/policies/test_admin.py",
    # what a service does it with
    "approvals/approvers.py": "tests/approvals/test_services.py",
    "approvals/envelope.py": "tests/approvals/test_tasks.py",
    "approvals/hints.py": "tests/approvals/test_tasks.py",
    "approvals/notices.py": "tests/approvals/test_tasks.py",
    "approvals/payload.py": "tests/approvals/test_tasks.py",
    "audit/extraction.py": "tests/audit/test_ingestion.py",
    "audit/gaps.py": "tests/audit/test_exporting.py",
    "audit/tasks.py": "tests/audit/test_exporting.py",
    "audit/tree.py": "tests/audit/test_sealing.py",
    # commands
    "approvals/management/commands/approvals.py": "tests/approvals/test_command.py",
    "policies/simulation.py": "tests/policies/management/commands/test_simulate.py",
    "audit/management/commands/audit.py": "tests/audit/test_exporting.py",
    "controlplane/management/commands/stack.py": "tests/controlplane/stack/test_command.py",
    # whole stacks
    "controlplane/stack/preparation.py": "tests/integration/test_stack.py",
    "controlplane/stack/supervisor.py": "tests/integration/test_stack.py",
}


def place_of_test(module: Path) -> Path:
    return Path("tests") / module.with_name(f"test_{module.name}")


def main() -> int:
    missing = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = path.relative_to(ROOT)
            if path.name in WITHOUT or "migrations" in module.parts or not path.read_text().strip():
                continue
            places = [place_of_test(module), *([Path(ELSEWHERE[str(module)])] if str(module) in ELSEWHERE else [])]
            if not any((ROOT / place).exists() for place in places):
                missing.append(f"{module}: no {places[-1]}")
    missing += [f"{module} is named in ELSEWHERE and does not exist" for module in ELSEWHERE if not (ROOT / module).exists()]
    print("\n".join(missing) or "every module has a test file")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
