// htmx would insert a style element of its own, which the security policy forbids, and needs no eval here.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
// Alpine writes style attributes, which the policy forbids; the same through the object model is allowed.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else setAttribute.call(this, name, value);
};
// select2's fields have no name of their own: they get that of the field whose place they take. Its cross is an item of the list around it.
const nameSelect2 = () => {
  for (const box of document.querySelectorAll(".select2-container:not([data-named])")) {
    const select = box.previousElementSibling;
    const label = select && select.labels && select.labels[0];
    const combobox = box.querySelector("[role=combobox]");
    if (!label || !combobox) continue;
    box.dataset.named = "yes";
    label.id = label.id || `${select.id}_label`;
    combobox.setAttribute("aria-labelledby", `${label.id} ${combobox.getAttribute("aria-labelledby") || ""}`.trim());
    const shown = box.querySelector(".select2-selection--single .select2-selection__rendered");
    if (shown) shown.setAttribute("aria-labelledby", label.id);
  }
  for (const search of document.querySelectorAll(".select2-search__field:not([aria-label])")) {
    const box = search.closest("[data-named]");
    search.setAttribute("aria-label", box ? box.previousElementSibling.labels[0].textContent.trim() : "Search");
  }
  for (const cross of document.querySelectorAll("ul > .select2-selection__clear:not([role])")) cross.setAttribute("role", "listitem");
};
// An icon's ligature is no word of the link that it stands in.
const muteIcons = () => {
  for (const icon of document.querySelectorAll("#nav-sidebar ol .material-symbols-outlined:not([aria-hidden])")) icon.setAttribute("aria-hidden", "true");
};
new MutationObserver(() => { nameSelect2(); muteIcons(); }).observe(document.documentElement, { childList: true, subtree: true });
