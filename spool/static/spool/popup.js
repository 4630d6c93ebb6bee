/* The popup of a message, the dialog of an action, and the address that leads back to an open popup. */
(() => {
  const popup = () => document.getElementById("popup");
  const confirmation = () => document.getElementById("confirm");
  const state = () => document.getElementById("console-state");
  let opener = null;

  function remember(name) {
    const url = new URL(location.href);
    name ? url.searchParams.set("message", name) : url.searchParams.delete("message");
    history.replaceState(history.state, "", url);
  }

  /* Fill a dialog and show it; one that could not be filled stays shut, and live.js says why. */
  async function fill(dialog, method, url, more) {
    if (!dialog.open) dialog.replaceChildren();
    await htmx.ajax(method, url, { source: dialog, target: dialog, swap: "innerHTML settle:0ms", ...more }).catch(() => {});
    if (!dialog.open && dialog.childElementCount) dialog.showModal();
    return dialog.open;
  }

  async function open(link) {
    opener = document.activeElement;
    if (!await fill(popup(), "GET", link)) return;
    popup().scrollTop = 0;
    const shown = popup().querySelector("[data-message]");
    if (shown && state().dataset.listed) remember(shown.dataset.message);
  }

  function act(button) {
    // What was selected; one message; or all that a query means, on a page without selections.
    const all = "query" in button.dataset && { all: "1", query: button.dataset.query };
    const chosen = all || (button.dataset.ids ? { ids: button.dataset.ids } : window.msSelection());
    const url = `${state().dataset.actions}${button.dataset.act}/`;
    return fill(confirmation(), "POST", url, { values: { ...chosen, page: state().dataset.page } });
  }

  // A question that is not about an action: a download that is dangerous, for example.
  const ask = (link) => fill(confirmation(), "GET", link);

  function view(tab) {
    const tabs = [...tab.parentElement.querySelectorAll("[role=tab]")];
    for (const other of tabs) {
      const on = other === tab;
      other.setAttribute("aria-selected", String(on));
      other.tabIndex = on ? 0 : -1;
      const panel = document.getElementById(other.getAttribute("aria-controls"));
      panel.hidden = !on;
      if (on) htmx.trigger(panel, "shown");
    }
  }

  document.addEventListener("click", (event) => {
    const target = event.target;
    if (target.matches?.("dialog.ms-dialog")) return target.close();
    if (target.closest("[data-close]")) return (target.closest("dialog") ?? { close: () => history.back() }).close();
    const button = target.closest("[data-act]");
    if (button) return act(button);
    const question = target.closest("[data-ask]");
    if (question) return ask(question.dataset.ask);
    const dismissed = target.closest("[data-dismiss]");
    if (dismissed) return dismissed.closest(".ms-result").remove();
    const tab = target.closest(".ms-views [role=tab]");
    if (tab) return view(tab);
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const link = target.closest("[data-open]") ?? (target.closest("input, a, button, label") || getSelection().toString() ? null : target.closest(".ms-entry")?.querySelector("[data-open]"));
    if (link && popup()) { event.preventDefault(); open(link.href); }
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.(".ms-views [role=tab]");
    if (!tab || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const tabs = [...tab.parentElement.querySelectorAll("[role=tab]")];
    const next = tabs[(tabs.indexOf(tab) + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
    next.focus();
    view(next);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-dismiss-after]")) event.target.closest(".ms-result").hidden = true;
    if (event.target.matches("[data-close-after]")) setTimeout(() => event.target.closest("dialog")?.close(), 50);
  });
  document.addEventListener("DOMContentLoaded", () => {
    if (!state()) return;
    popup()?.addEventListener("close", () => {
      const shown = popup().querySelector("[data-message]")?.dataset.message;
      if (state().dataset.listed) remember("");
      popup().replaceChildren();
      // The row may be a new one since, or may never have been clicked: the address opened the popup.
      const link = [...document.querySelectorAll("[data-open]")].find((one) => one.href.includes(`/${shown}/`));
      (link ?? opener)?.focus?.();
    });
    if (state().dataset.message) open(`${state().dataset.messages}${encodeURIComponent(state().dataset.message)}/`);
  });
  // A job has ended: the list shows what it did.
  document.addEventListener("ms-changed", () => window.msRefresh?.());
  // An action that was done closes its dialog, and the list shows what it did.
  document.addEventListener("ms-done", () => {
    confirmation()?.close();
    popup()?.close();
    window.msClearSelection?.();
    window.msRefresh?.();
  });
})();
