// "All on this page" above the failed jobs; without a script there is none.
(() => {
  const show = () => { const all = document.getElementById("jobs-all"); if (all) all.hidden = false; };
  document.addEventListener("DOMContentLoaded", show);
  document.addEventListener("htmx:afterSettle", show);
  document.addEventListener("change", (event) => {
    if (event.target.id !== "jobs-all") return;
    for (const box of document.querySelectorAll("#failed-jobs input[name=job]")) box.checked = event.target.checked;
  });
})();
