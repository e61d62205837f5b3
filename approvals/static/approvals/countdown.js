// Says how long is left beside each expiry time, and when it is over. The server decides; this only informs.
"use strict";

function left(seconds) {
  if (seconds <= 0) return "expired";
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (hours > 0) return `in ${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `in ${minutes} min ${seconds % 60} s` : `in ${seconds} s`;
}

const clocks = [...document.querySelectorAll("time[data-expires]")].map((time) => {
  const note = document.createElement("span");
  time.after(" (", note, ")");
  return { note, end: Date.parse(time.dateTime) };
});

function tick() {
  for (const { note, end } of clocks) {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    note.textContent = left(seconds);
    note.classList.toggle("over", seconds <= 60);
  }
}

if (clocks.length) {
  tick();
  setInterval(tick, 1000);
}
