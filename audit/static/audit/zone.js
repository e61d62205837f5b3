// Tells the server in which time zone this person reads; the page is asked for again where it was drawn in another one.
"use strict";
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const drawn = document.currentScript.dataset.zone;
if (zone && zone !== drawn && !(zone === "UTC" && drawn === "UTC")) {
  const before = document.cookie;
  document.cookie = `tidegate-zone=${zone}; path=/audit/; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`;
  if (document.cookie !== before) location.reload();
}
