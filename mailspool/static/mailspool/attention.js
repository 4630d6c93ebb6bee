/* Keeps the strip, the count in the sidebar and the count in the title up to date. What is open or in use stays. */
(() => {
  const EVERY_MS = 8000;
  const strip = () => document.getElementById("attention");

  function isInUse() {
    const here = strip();
    return here.contains(document.activeElement) || here.querySelector(".at-mute[open]");
  }

  function show() {
    const count = Number(strip()?.dataset.count || 0);
    document.title = `${count ? `(${count}) ` : ""}${document.title.replace(/^\s*\(\d+\)\s*/, "").trim()}`;
    const badge = document.getElementById("attention-count");
    if (!badge) return;
    badge.hidden = !count;
    badge.firstElementChild.textContent = String(count);
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (!strip()) return;
    show();
    setInterval(() => { if (!document.hidden && strip() && !isInUse()) htmx.trigger(strip(), "refresh"); }, EVERY_MS);
  });
  // Those behind "more" stay open when what is above them changes.
  let open = false;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id === "attention") open = Boolean(strip().querySelector(".at-more[open]"));
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.elt?.id !== "attention") return;
    const more = strip().querySelector(".at-more");
    if (open && more) more.open = true;
    show();
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".at-mute[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
})();
