/* The menu of a thing, behind any button with data-menu. It lies outside what refreshes itself, so it stays open while the numbers change. */
(() => {
  const menu = () => document.getElementById("row-menu");
  const items = () => [...menu().querySelectorAll("[role=menuitem]")];
  let opener = "";

  function place() {
    const button = document.getElementById(opener);
    if (!button) return;
    const at = button.getBoundingClientRect();
    const box = menu().getBoundingClientRect();
    const below = at.bottom + 4 + box.height <= innerHeight || at.top < box.height;
    menu().style.top = `${scrollY + (below ? at.bottom + 4 : at.top - box.height - 4)}px`;
    menu().style.left = `${scrollX + Math.max(8, Math.min(at.right - box.width, innerWidth - box.width - 8))}px`;
  }

  function close(focus) {
    if (!menu() || !opener) return;
    menu().hidden = true;
    menu().replaceChildren();
    const button = document.getElementById(opener);
    button?.setAttribute("aria-expanded", "false");
    if (focus) button?.focus();
    opener = "";
  }

  async function open(button) {
    const again = opener === button.id;
    close(false);
    if (again) return;
    opener = button.id;
    const url = button.dataset.menu;
    // Settled at once: until then htmx does not know its buttons, and whoever is quick would press them for nothing.
    await htmx.ajax("GET", url, { source: menu(), target: menu(), swap: "innerHTML settle:0ms" }).catch(() => {});
    if (opener !== button.id) return;
    // Not filled: live.js has said why, and the next click tries again.
    if (!items().length) return close(false);
    menu().hidden = false;
    document.getElementById(opener)?.setAttribute("aria-expanded", "true");
    place();
    items()[0]?.focus();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-menu]");
    if (button) { event.preventDefault(); return open(button); }
    if (menu() && !menu().hidden && (!menu().contains(event.target) || event.target.closest("button[hx-post]"))) close(false);
  });
  document.addEventListener("keydown", (event) => {
    if (!menu() || menu().hidden) return;
    if (event.key === "Escape") { event.preventDefault(); return close(true); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = items();
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length]?.focus();
  });
  addEventListener("resize", () => { if (menu() && !menu().hidden) place(); });

  // What a menu asks for opens as a dialog.
  document.addEventListener("htmx:afterSettle", (event) => {
    const dialog = document.getElementById("confirm");
    if (event.target === dialog && dialog.querySelector("form") && !dialog.open) dialog.showModal();
  });
})();
