/* Shortcuts of one or two letters. They are off while somebody types, and for who has switched them off (WCAG 2.1.4). */
(() => {
  const KEY = "ms-shortcuts-off";
  const WAIT_MS = 1500;
  const off = () => localStorage.getItem(KEY) === "1";
  const sheet = () => document.getElementById("shortcuts");
  let gone = 0;

  const ROWS = ".ms-entry, .ds-row, #result_list tbody tr, .ov-table tr[data-key], .ms-table tbody:not(.ms-entry) > tr.cells";
  const rows = () => [...document.querySelectorAll(ROWS)].filter((row) => row.offsetParent && link(row));
  const link = (row) => row.querySelector("[data-open], th a, td a[href]");

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.contains(document.activeElement));
    const next = at < 0 ? all[0] : all[Math.min(all.length - 1, Math.max(0, at + by))];
    link(next)?.focus();
  }

  /* To the first row of a list, or to what a page begins with. */
  function skip() {
    const row = rows()[0];
    (row ? link(row) : document.getElementById("content"))?.focus();
  }

  function search() {
    const own = document.querySelector(".ms-search input[type=search], #searchbar");
    own ? own.focus() : window.msSearch();
  }

  const ACTS = {
    "/": search,
    "?": () => sheet().showModal(),
    j: () => step(1),
    k: () => step(-1),
    x: () => rows().find((row) => row.contains(document.activeElement))?.querySelector("input[type=checkbox]")?.click(),
    g: () => { gone = Date.now(); },
  };

  document.addEventListener("keydown", (event) => {
    if (!sheet() || off() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], dialog[open], [role=menu]")) return;
    const page = Date.now() - gone < WAIT_MS && sheet().querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    gone = 0;
    const act = page ? () => location.assign(page.href) : ACTS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("DOMContentLoaded", () => {
    const on = document.getElementById("shortcuts-on");
    if (!on) return;
    on.checked = !off();
    on.addEventListener("change", () => localStorage.setItem(KEY, on.checked ? "0" : "1"));
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-skip]")) return;
    event.preventDefault();
    skip();
  });
})();
