// Follows what is being made and asks for the page again when it is done.
"use strict";
const WORDS = { QUEUED: "waiting for its turn", RUNNING: "being made" };
for (const place of document.querySelectorAll("[data-follow]")) {
  const look = async () => {
    try {
      const answer = await fetch(place.dataset.follow, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.status === 401 || answer.status === 403) return location.reload();
      const { state, progress } = await answer.json();
      if (!(state in WORDS)) return location.reload();
      const text = WORDS[state] + (progress ? `: ${progress}` : "");
      if (place.textContent !== text) place.textContent = text;
    } catch {
      // the server may be restarting: the next look tells
    }
    setTimeout(look, 1500);
  };
  setTimeout(look, 1000);
}
