// Opened from the file system, a browser may not read other pages for the excerpts of a search.
if (window.location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// The theme's button that unfolds a part of the sidebar has no name for a screen reader.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("nav .has-children > details > summary")) {
    const page = button.closest(".has-children").querySelector("a").textContent.trim();
    button.setAttribute("aria-label", `Pages below: ${page}`);
  }
});
