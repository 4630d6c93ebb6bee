// "All" above a list of jobs (templates/django_rq).
document.addEventListener("DOMContentLoaded", () => {
  const all = document.getElementById("action-toggle");
  all?.addEventListener("change", () => {
    for (const box of document.querySelectorAll("tr input.action-select")) box.checked = all.checked;
  });
});
