// Opened from the file system, a browser may not read other pages for the excerpts of a search.
if (window.location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
