// On a phone a table is shown without its head: each cell says itself what it is.
(() => {
  const label = () => {
    for (const table of document.querySelectorAll("table.ms-small:not([data-labelled])")) {
      table.dataset.labelled = "";
      const heads = [...table.querySelectorAll("thead th")].map((head) => (head.querySelector(".ms-sr, .me-hidden") ? "" : head.textContent.trim()));
      for (const row of table.querySelectorAll("tbody tr")) {
        [...row.children].forEach((cell, place) => { if (heads[place] && !cell.dataset.label) cell.dataset.label = heads[place]; });
      }
    }
  };
  document.addEventListener("DOMContentLoaded", label);
  document.addEventListener("htmx:afterSettle", label);
})();
