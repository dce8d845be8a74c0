/* Keeps a page that is moving up to date: asks for it again and exchanges its live part; where somebody is at work in that, its figures
   alone. The page is right without it, too. */
(function () {
  "use strict";
  var wait = 2000;

  function exchange(shown, fresh) {
    var isInUse = shown.contains(document.activeElement) || shown.querySelector("details[open]");
    if (!isInUse || shown.dataset.state !== fresh.dataset.state) {
      shown.replaceWith(document.adoptNode(fresh));
      return;
    }
    shown.querySelectorAll("[data-figures]").forEach(function (old) {
      var now = fresh.querySelector('[data-figures="' + old.dataset.figures + '"]');
      if (now && !old.contains(document.activeElement)) old.replaceWith(document.adoptNode(now));
    });
  }

  function ask() {
    var live = document.querySelector("[data-live]");
    if (!live) return;
    var request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.onload = function () {
      var fresh = request.status === 200 && request.response && request.response.querySelector("[data-part]");
      var shown = document.querySelector("[data-part]");
      if (fresh && shown) {
        exchange(shown, fresh);
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
