"""The pages in a real browser: they answer, fit a phone, break no security policy and fetch nothing from elsewhere."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from deploy.demo.approver import link_in
from deploy.demo.identity_provider import IdentityProvider
from tests.conftest import Target, unavailable
from tests.integration import pages, world
from tests.integration.harness import Agent, Stack, eventually
from tests.integration.pages import PAGES
from tests.integration.test_approvals import held

CHROMIUM = Path("/usr/bin/chromium")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        unavailable(f"no {CHROMIUM} (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[Callable[..., Page]]:
    """A page of its own session; at the end, whatever it complained of or fetched from elsewhere fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(size: dict[str, int] = DESK) -> Page:
        context = browser.new_context(viewport=size, base_url=stack.public_url)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not _is_ours(request.url, stack) else None)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def cookies(browser: Browser, stack: Stack) -> list[Any]:
    """Of a session in which an admin is signed in."""
    with browser.new_context(base_url=stack.public_url) as context:
        sign_in(context.new_page(), stack)
        found: list[Any] = context.cookies()
        return found


@pytest.fixture(scope="module")
def something_to_see(stack: Stack) -> None:
    """A session with a statement, and a request that waits."""
    writer = Agent(stack, "writer", world.KEYS["writer"], "crm15")
    assert writer.refusal("UPDATE crm.orders SET total = 1 WHERE id = 1").sqlstate == "TG001"
    stack.eventually_entry("statement.completed", outcome="held")


@pytest.fixture
def signed_in(open_page: Callable[..., Page], cookies: list[Any]) -> Page:
    page = open_page()
    page.context.add_cookies(cookies)
    return page


def _is_ours(url: str, stack: Stack) -> bool:
    return url.startswith((stack.public_url + "/", "data:", "blob:"))


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def sign_in(page: Page, stack: Stack) -> None:
    page.goto("/login")
    page.get_by_label("Username").fill(stack.ready["admin"]["username"])
    page.get_by_label("Password").fill(stack.ready["admin"]["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.parametrize(("size", "order"), [(PHONE, 601), (DESK, 602)], ids=["phone", "desk"])
def test_an_approver_decides_on_the_page_behind_the_link(
    stack: Stack, writer: Agent, open_page: Callable[..., Page], size: dict[str, int], order: int
) -> None:
    running, message = held(stack, writer, order)
    page = open_page(size)
    page.goto(link_in(message))
    expect(page.get_by_role("heading", level=1)).to_contain_text("writer wants to run a statement")
    expect(page.get_by_text("DELETE FROM crm.orders WHERE id = $1").first).to_be_visible()
    assert fits(page)
    page.get_by_label("Comment for the agent and the record").fill("looked at it")
    page.get_by_role("button", name="Approve" if size is DESK else "Reject").click()
    expect(page.get_by_text("dana, you").first).to_be_visible()
    assert fits(page)
    if size is DESK:
        assert running.result() == "DELETE 1"
    else:
        with pytest.raises(psycopg.Error) as refused:
            running.result()
        assert refused.value.sqlstate == "TG002"


def with_passkeys(page: Page) -> None:
    """The browser's own virtual authenticator, whose owner always agrees."""
    tools = page.context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    device = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": device | {"automaticPresenceSimulation": True}})


def test_an_approver_signs_in_at_the_provider_and_approves_with_a_passkey(
    stack: Stack, writer: Agent, target: Target, browser: Browser, provider: IdentityProvider
) -> None:
    mailbox, number = stack.mailbox(), 7000 + target.version
    row = (number, "Petra's", "p@example.com", "900-55-7000", "4000 0000 0000 7000", "1980-01-01")
    running = writer.start("INSERT INTO crm.customers (id, name, email, ssn, card, born) VALUES (%s, %s, %s, %s, %s, %s)", row)
    link = link_in(mailbox.next("petra@example.com", f"= {number}\n"))
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    # The provider's own pages want styles from elsewhere: nothing leaves this machine.
    page.route(lambda url: not url.startswith((stack.public_url, provider.issuer)), lambda route: route.abort())
    with_passkeys(page)

    page.goto(link)  # the link alone is not enough
    page.get_by_role("link", name="Sign in with Example ID").click()
    page.get_by_label("Username").fill("petra")
    page.get_by_label("Password").fill(world.PEOPLE["petra"]["password"])
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("writer wants to run a statement")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert fits(page)

    page.get_by_role("link", name="Add one to your account").click()
    page.get_by_label("Name of the new passkey").fill("work telephone")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("The passkey work telephone is yours.")).to_be_visible()
    assert fits(page)

    page.goto(link)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("petra, you approved this")).to_be_visible()
    assert running.result() == "INSERT 0 1"
    target.sql("DELETE FROM crm.customers WHERE id = %s", (number,), dbname="crm")
    assert stack.eventually_entry("approval.approved", by="petra")["proof"] == "passkey work telephone"

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(stack.public_url + "/login")
    stack.eventually_entry("admin.signed_out", actor="petra")
    context.close()
    # For the next target, where the browser has another telephone.
    stack.sql("DELETE FROM controlplane_passkey RETURNING id")


def test_every_page_that_a_person_can_reach_opens(stack: Stack, open_page: Callable[..., Page]) -> None:
    page = open_page()
    sign_in(page, stack)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Welcome")
    page.goto("/admin/")
    lists = page.eval_on_selector_all("#content a[href^='/admin/']", "links => links.map(link => link.getAttribute('href'))")
    assert len(lists) > 15
    for address in sorted({*lists, "/api/v1/docs"} - {one.address for one in PAGES}):
        looked_at(page, address)


@pytest.mark.parametrize("one", PAGES, ids=str)
@pytest.mark.usefixtures("something_to_see")
def test_a_page_is_readable_on_telephone_and_desk_and_has_no_serious_fault(stack: Stack, signed_in: Page, one: pages.Page) -> None:
    if not one.signed_in:
        signed_in.context.clear_cookies()
    looked_at(signed_in, one.address)
    for link in one.follow:
        looked_at(signed_in, str(signed_in.locator(link).first.get_attribute("href")))
    for size in (DESK, PHONE):
        signed_in.set_viewport_size(size)  # type: ignore[arg-type]
        assert serious_faults(signed_in) == []


def looked_at(page: Page, address: str) -> None:
    """It opens, and fits both sizes."""
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200, address
    assert answer.request.redirected_from is None, address  # to the sign-in
    assert fits(page), address
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert fits(page), address


def serious_faults(page: Page) -> list[str]:
    """What axe-core finds of WCAG 2 A and AA, serious or worse."""
    options = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:300]}" for one in found if one["impact"] in ("serious", "critical")]


def newest_file(page: Page) -> Locator:
    """The download of what was asked for last, once it is made: the page follows that by itself."""
    return page.locator("tbody tr").first.get_by_role("link", name="Download")


def test_an_auditor_finds_a_statement_by_a_word_and_downloads_a_report(
    stack: Stack, writer: Agent, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    word = f"needle{writer.dbname}"
    writer.rows(f"SELECT id AS {word} FROM crm.orders LIMIT 2")
    page = open_page(PHONE)
    sign_in(page, stack)
    page.goto("/audit/")
    found = page.get_by_role("link", name=word)
    for _ in range(60):  # the worker ships in batches
        page.get_by_label("Search in SQL").fill(word)
        page.keyboard.press("Enter")
        page.wait_for_load_state()
        if found.count():
            break
        page.wait_for_timeout(250)
    found.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("The exact SQL")).to_contain_text(word)
    assert fits(page)
    page.get_by_role("link", name="the whole session").click()
    expect(page.get_by_role("link", name=word)).to_be_visible()
    assert fits(page)
    page.set_viewport_size(DESK)
    assert fits(page)
    page.goto("/audit/reports/access/?subject=writer")
    expect(page.get_by_text(word).first).to_be_visible()
    page.get_by_role("button", name="CSV", exact=True).click()
    with page.expect_download() as download:
        newest_file(page).click(timeout=20_000)
    download.value.save_as(tmp_path / "report.csv")
    assert word in (tmp_path / "report.csv").read_text(encoding="utf-8-sig")


def test_an_auditor_downloads_an_export(stack: Stack, open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    sign_in(page, stack)
    page.goto("/audit/exports/")
    page.get_by_role("button", name="Make the export").click()
    with page.expect_download() as download:
        newest_file(page).click(timeout=20_000)
    download.value.save_as(tmp_path / "export.zip")
    assert "entries.jsonl" in zipfile.ZipFile(tmp_path / "export.zip").namelist()


def test_an_admin_tests_a_rule_and_it_bites_at_the_next_statement_of_a_connected_agent(
    stack: Stack, open_page: Callable[..., Page]
) -> None:
    reader = Agent(stack, "reader", world.KEYS["reader"], "crm18")
    asked = "SELECT note FROM crm.journal"
    with reader.connect() as agent:
        agent.execute(asked)
        page = open_page()
        sign_in(page, stack)
        page.goto("/admin/policies/statementrule/add/")
        page.get_by_label("Name").fill("journals are private")
        page.get_by_label("Then").select_option("deny")
        page.get_by_label("Message").fill("Ask the journal's owner.")
        page.get_by_label("Relations").fill("crm.journal")
        page.get_by_label("Connections").select_option(reader.dbname)

        page.get_by_label("Statement:").fill(asked)
        page.get_by_label("Subject:").select_option("reader")
        page.get_by_label("Connection:").select_option(reader.dbname)
        page.get_by_role("button", name="Test this rule").click()
        expect(page.get_by_role("heading", name="As it is now")).to_be_visible()
        result = page.locator("#trial-result")
        expect(result).to_contain_text('rule "journals are private" denies select on crm.journal: Ask the journal\'s owner.')
        expect(result).to_contain_text(f"with the structure of {reader.dbname}/crm")
        agent.execute(asked)  # nothing is saved yet

        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("was added successfully")).to_be_visible()
        refused = eventually(lambda: _refusal(agent, asked), "the rule bites")
        assert refused.sqlstate == "42501"
        assert "journals are private" in str(refused.message_primary)

        page.get_by_role("link", name="journals are private").first.click()
        page.get_by_role("link", name="Delete statement rule").click()
        page.get_by_role("button", name="Yes").click()
        eventually(lambda: _refusal(agent, asked) is None, "the rule is gone")


def _refusal(agent: "psycopg.Connection[tuple[object, ...]]", statement: str) -> psycopg.errors.Diagnostic | None:
    try:
        agent.execute(statement)
    except psycopg.Error as error:
        return error.diag
    return None
