// The keyboard on lists: j and k move, Enter opens, x selects, a takes, p puts off, r looks
// again, u undoes, / goes to the search, ? tells the keys. Nothing else
// needs this file: pages work without it.
"use strict";
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, button, a");
  if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== "Escape")) return;
  const rows = [...document.querySelectorAll("tr[data-row]")];
  const at = rows.findIndex((row) => row.classList.contains("chosen"));
  const choose = (index) => {
    if (!rows.length) return;
    rows.forEach((row) => row.classList.remove("chosen"));
    const row = rows[Math.max(0, Math.min(index, rows.length - 1))];
    row.classList.add("chosen");
    row.scrollIntoView({ block: "nearest" });
  };
  if (event.key === "j") choose(at + 1);
  else if (event.key === "k") choose(at - 1);
  else if (event.key === "Enter" && at >= 0) rows[at].querySelector("a").click();
  else if (event.key === "x" && at >= 0) rows[at].querySelector("input[type=checkbox]")?.click();
  else if ("apru".includes(event.key))
    document.querySelector(`button[data-key=${event.key}]`)?.click();
  else if (event.key === "/") document.querySelector("input[type=search]")?.focus();
  else if (event.key === "?") {
    const keys = document.getElementById("keys");
    if (keys) keys.open = !keys.open;
  } else return;
  event.preventDefault();
});

// News is fetched by polling. Not while somebody is at something that it would take from them: a
// field or link in use, words typed, a row chosen, something opened or revealed.
document.addEventListener("htmx:beforeRequest", (event) => {
  const live = event.detail.elt;
  if (live.id !== "live") return;
  const typed = [...live.querySelectorAll("input, textarea")].some((field) =>
    field.type === "checkbox" ? field.checked : field.value !== field.defaultValue);
  if (typed || live.querySelector(":focus, details[open], .revealed")) event.preventDefault();
});
