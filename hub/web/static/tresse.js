// The little that needs a browser: the reader's time zone, copying, and not closing what is open.
"use strict";

// Pages are written on the server in the reader's zone; the log-in page already tells it.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `zone=${zone};path=/;max-age=31536000;samesite=lax`;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const words = button.parentElement.querySelector(".words").textContent;
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    // No clipboard without HTTPS: select the words, so that one key copies them.
    getSelection().selectAllChildren(button.parentElement.querySelector(".words"));
    return;
  }
  const label = button.querySelector("span");
  const before = label.textContent;
  label.textContent = document.body.dataset.copied;
  setTimeout(() => { label.textContent = before; }, 1600);
});

// What refreshes by itself waits while somebody reads an open part of it or stands in it by keyboard.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.target;
  if (!part.matches("#live, #rows")) return;
  if (document.hidden || part.querySelector("details[open]") || part.contains(document.activeElement)) event.preventDefault();
});

// A session that ended shows the log-in, not a log-in inside the page.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) location.reload();
});
