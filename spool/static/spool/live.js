/* Refreshes the list every 20 seconds. Selection, scroll, order and popup stay: only the table is replaced. */
(() => {
  const EVERY_MS = 20000;
  const KEY = "ms-live-paused";
  const list = () => document.getElementById("live");
  const paused = () => localStorage.getItem(KEY) === "1";

  function show() {
    const state = document.getElementById("live-state");
    if (!state) return;
    state.classList.toggle("paused", paused());
    state.classList.remove("failed");
    const button = document.getElementById("live-switch");
    button.setAttribute("aria-pressed", String(paused()));
    button.textContent = window.msSay(paused() ? "resume" : "pause");
    const at = new Date().toLocaleTimeString(
      document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    document.getElementById("live-text").textContent = window.msSay(paused() ? "paused" : "live", { time: at });
  }

  window.msRefresh = () => { if (list() && window.htmx) htmx.trigger(list(), "refresh"); };

  // On a narrow page the tabs scroll: the one that is open must be in sight.
  const showTab = () => {
    for (const tabs of document.querySelectorAll("#ms-tabs, .me-nav")) {
      const tab = tabs.querySelector("[aria-current=page]");
      tabs.classList.remove("tight");
      if (innerWidth > 860) tabs.classList.toggle("tight", tabs.scrollWidth > tabs.clientWidth);
      // Not scrollIntoView(): it would scroll the page too.
      if (tab) tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
    }
  };
  document.addEventListener("DOMContentLoaded", showTab);
  document.addEventListener("htmx:oobAfterSwap", showTab);
  addEventListener("resize", showTab);

  document.addEventListener("DOMContentLoaded", () => {
    const filters = document.getElementById("filters");
    const button = document.getElementById("filter-button");
    button?.addEventListener("click", () => {
      filters.hidden = !filters.hidden;
      button.setAttribute("aria-expanded", String(!filters.hidden));
      if (!filters.hidden) filters.querySelector("input:not([type=hidden])").focus();
    });
  });

  document.addEventListener("DOMContentLoaded", () => {
    if (!document.getElementById("live-switch")) return;
    document.getElementById("live-switch").addEventListener("click", () => {
      localStorage.setItem(KEY, paused() ? "0" : "1");
      show();
      if (!paused()) window.msRefresh();
    });
    show();
    setInterval(() => { if (!paused() && !document.hidden && !window.msSignedOut) window.msRefresh(); }, EVERY_MS);
  });

  // Whoever reads at the end of a table must not be thrown to its top by a shorter one that is being put in.
  let height = "";
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id !== "live") return;
    height = `${event.target.offsetHeight}px`;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "live" || event.detail.elt?.id === "live") { list().style.minHeight = height; show(); }
  });
  document.addEventListener("htmx:afterSettle", () => { if (list()) list().style.minHeight = ""; });

  // A click that led to nothing: a server that is away, or that could not do it.
  function tell(status) {
    const results = document.getElementById("results");
    if (!results) return;
    const note = document.createElement("div");
    note.className = "ms-result tone-bad";
    note.setAttribute("role", "alert");
    const words = document.createElement("p");
    words.textContent = window.msSay(status ? "not_done" : "not_reached", { status });
    const dismiss = document.createElement("button");
    Object.assign(dismiss, { type: "button", className: "ms-button bare", textContent: window.msSay("dismiss") });
    dismiss.dataset.dismiss = "";
    note.append(words, dismiss);
    results.append(note);
  }
  function fail(words) {
    const state = document.getElementById("live-state");
    if (!state) return;
    state.classList.add("failed");
    document.getElementById("live-text").textContent = words;
  }
  for (const failure of ["htmx:sendError", "htmx:responseError"]) {
    document.addEventListener(failure, (event) => {
      const status = event.detail.xhr?.status;
      if (status === 401) return fail(window.msSay("session_over"));
      if (event.target.id === "attention") return;
      if (event.target.id !== "live") return tell(status);
      fail(window.msSay(status ? "not_answered" : "trying_again", { status }));
    });
  }
})();
