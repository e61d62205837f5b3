from __future__ import annotations

from policies.policy_file.plan import Secrets, Step


def test_a_line_of_the_plan() -> None:
    assert str(Step("groups", "agents", "f:1", document={})) == "+ create group agents"
    assert str(Step("oidc", "corp", "f:1", row=1, document={}, changed=("audience",))) == "~ change OIDC issuer corp: audience"
    assert str(Step("masking", "m", "", row=1)) == "- remove masking rule m"


def test_secrets_are_not_printed() -> None:
    assert "hunter2" not in repr(Step("subjects", "b", "f:1", document={}, secrets=Secrets(key="hunter2")))
