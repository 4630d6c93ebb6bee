/* Which messages are chosen: kept over pages and refreshes, in this tab of the browser. */
(() => {
  const state = () => document.getElementById("console-state");
  const key = () => `ms-selection ${state().dataset.page} ${document.getElementById("live")?.dataset.query ?? ""}`;
  const read = () => { try { return JSON.parse(sessionStorage.getItem(key())) ?? {}; } catch { return {}; } };
  const write = (chosen) => sessionStorage.setItem(key(), JSON.stringify(chosen));
  const ids = () => read().ids ?? [];
  const all = () => read().all === true;

  function draw() {
    const bar = document.getElementById("bar");
    if (!bar || !document.getElementById("live")) return;
    const chosen = new Set(ids());
    const boxes = [...document.querySelectorAll(".pick-one")];
    for (const box of boxes) {
      box.checked = all() || chosen.has(box.value);
      box.closest("tbody").classList.toggle("picked", box.checked);
    }
    const whole = document.getElementById("pick-page");
    if (whole) {
      whole.checked = boxes.length > 0 && boxes.every((box) => box.checked);
      whole.indeterminate = !whole.checked && boxes.some((box) => box.checked);
    }
    const { count: matching, uncounted } = document.getElementById("live").dataset;
    bar.hidden = !all() && chosen.size === 0;
    const isCounted = uncounted === undefined;
    document.getElementById("bar-what").textContent = all()
      ? window.msSay(isCounted ? "all_selected" : "all_uncounted_selected", { number: matching })
      : window.msSay("selected", { number: chosen.size.toLocaleString(document.documentElement.lang) });
    const button = document.getElementById("bar-all");
    // Things are chosen one by one.
    if (!button) return;
    button.hidden = all() || matching === String(chosen.size);
    button.textContent = window.msSay(isCounted ? "take_all" : "take_all_uncounted", { number: matching });
  }

  function pick(values, on) {
    const chosen = new Set(all() ? [...document.querySelectorAll(".pick-one")].map((box) => box.value) : ids());
    for (const value of values) on ? chosen.add(value) : chosen.delete(value);
    write({ ids: [...chosen] });
    draw();
  }

  window.msSelection = () => (all() ? { all: "1", query: document.getElementById("live").dataset.query } : { ids: ids().join(",") });
  // What is no message: the keys of things, and a dialog about all of them.
  document.addEventListener("click", (event) => {
    const dialog = document.getElementById("confirm");
    const button = event.target.closest?.("[data-things]");
    if (button) htmx.ajax("POST", button.dataset.things, { source: dialog, target: dialog, swap: "innerHTML", values: { key: ids() } }).catch(() => {});
  });
  window.msClearSelection = () => { if (document.getElementById("bar")) { write({}); draw(); } };

  let last = null;
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.(".pick-one");
    if (!box) return;
    const boxes = [...document.querySelectorAll(".pick-one")];
    const from = event.shiftKey && last ? boxes.findIndex((other) => other.value === last) : -1;
    const to = boxes.indexOf(box);
    const range = from < 0 ? [box] : boxes.slice(Math.min(from, to), Math.max(from, to) + 1);
    pick(range.map((one) => one.value), box.checked);
    last = box.value;
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "pick-page") pick([...document.querySelectorAll(".pick-one")].map((box) => box.value), event.target.checked);
  });
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("bar-all")?.addEventListener("click", () => { write({ all: true }); draw(); });
    document.getElementById("bar-clear")?.addEventListener("click", window.msClearSelection);
    draw();
  });
  document.addEventListener("htmx:afterSwap", draw);
})();
