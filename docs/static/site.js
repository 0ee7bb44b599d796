// What the theme leaves out for people who go by keyboard or by ear: regions that scroll can be
// reached, and landmarks and headings of the sidebar say what they are.
addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("pre, table.docutils, div.math")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
  for (const title of document.querySelectorAll(".caption[role=heading]")) {
    title.setAttribute("aria-level", "2");
  }
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
});
