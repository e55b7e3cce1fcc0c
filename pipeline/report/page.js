"use strict";

/* What is asked is answered here, by the playground within this page; without this script its own page opens. */
(() => {
  const form = document.getElementById("ask");
  const frame = document.getElementById("answer");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const sentence = new FormData(form).get("sentence");
    frame.hidden = false;
    frame.src = `${form.getAttribute("action")}?embedded&sentence=${encodeURIComponent(sentence)}`;
  });
  window.addEventListener("message", ({ source, data }) => {
    if (source === frame.contentWindow && Number.isFinite(data?.height)) frame.style.height = `${data.height}px`;
  });
})();
