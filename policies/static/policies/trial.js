// "Test this rule" answers in the form; without this script its answer is a page.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-part]");
  if (!button) return;
  event.preventDefault();
  const place = document.getElementById(button.dataset.part);
  button.disabled = true;
  place.textContent = "Testing …";
  try {
    const answer = await fetch(button.formAction, { method: "POST", body: new FormData(button.form), headers: { "X-Tidegate-Part": "1" } });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    place.innerHTML = await answer.text();
  } catch (problem) {
    place.textContent = `The test failed (${problem.message}). Reload the page and try again.`;
  } finally {
    button.disabled = false;
    place.focus({ preventScroll: true });
  }
});
