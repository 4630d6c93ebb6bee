/* The search over everything: a combobox in a dialog (WAI-ARIA APG). What is chosen is a link, or the dialog of an action. */
(() => {
  const finder = () => document.getElementById("search");
  const field = () => document.getElementById("search-text");
  const list = () => document.getElementById("search-results");
  const options = () => [...list().querySelectorAll("[role=option]")];
  const current = () => list().querySelector("[aria-selected=true]");

  function choose(option) {
    current()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option ? field().setAttribute("aria-activedescendant", option.id) : field().removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  function show() {
    const found = options().length;
    const text = field().value.trim();
    field().setAttribute("aria-expanded", String(found > 0));
    choose(options()[0]);
    const none = document.getElementById("search-none");
    none.hidden = found > 0 || text.length < 2;
    none.textContent = window.msSay("nothing_found", { text });
    document.getElementById("search-said").textContent = text.length < 2 ? "" : found ? window.msSay("results", { number: found }) : none.textContent;
  }

  window.msSearch = () => {
    if (!finder()) return;
    if (!finder().open) finder().showModal();
    field().focus();
    field().select();
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-search-open]")) return window.msSearch();
    if (event.target === finder() || event.target.closest?.("[data-search-close], #search [role=option]")) finder().close();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      return finder()?.open ? finder().close() : window.msSearch();
    }
    if (event.target !== field() || event.isComposing) return;
    const all = options();
    const at = all.indexOf(current());
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      if (all.length) choose(all[(next + all.length) % all.length]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      current()?.click();
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => { if (event.target.id === "search-results") show(); });

  document.addEventListener("DOMContentLoaded", () => {
    // Where it says what an action did, on pages that have no place for that.
    const content = document.getElementById("content");
    if (finder() && content && !document.getElementById("results")) {
      const results = document.createElement("div");
      results.id = "results";
      results.className = "ms ms-results";
      results.setAttribute("aria-live", "polite");
      results.setAttribute("x-ignore", "");
      results.setAttribute("hx-headers", finder().getAttribute("hx-headers"));
      content.prepend(results);
    }
    // A setting that was found.
    const setting = /^#id_\w+$/.test(location.hash) ? document.querySelector(location.hash) : null;
    if (setting?.matches("input, select, textarea")) setTimeout(() => setting.focus(), 0);
  });
})();
