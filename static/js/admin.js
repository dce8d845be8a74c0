/* Keeps a page that is moving up to date: asks for it again and exchanges its live part. The page is right without it, too. */
(function () {
  "use strict";
  var wait = 2000;

  function ask() {
    var live = document.querySelector("[data-live]");
    if (!live) return;
    var request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.onload = function () {
      var fresh = request.status === 200 && request.response && request.response.querySelector("[data-part]");
      var shown = document.querySelector("[data-part]");
      if (fresh && shown && !shown.contains(document.activeElement) && !shown.querySelector("details[open]")) {
        shown.replaceWith(document.adoptNode(fresh));
        document.title = request.response.title;
      }
      setTimeout(ask, wait);
    };
    request.onerror = function () {
      wait = Math.min(wait * 2, 30000);
      setTimeout(ask, wait);
    };
    request.send();
  }

  setTimeout(ask, wait);
})();
