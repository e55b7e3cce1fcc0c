"use strict";

/* The search runs in a Worker, which browsers refuse to pages that are opened from a disk. There a hidden frame does its work. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = this.onerror = null;
      const frame = (this._frame = document.createElement("iframe"));
      frame.hidden = true;
      document.body.append(frame);
      const inner = frame.contentWindow;
      inner.document.open();
      inner.document.write("<!doctype html><body></body>");
      inner.document.close();
      const place = new URL(url, location.href);
      const load = (source) =>
        new Promise((resolve, reject) => {
          const script = inner.document.createElement("script");
          script.src = new URL(source, place).href;
          script.onload = resolve;
          script.onerror = () => reject(new Error(`cannot load ${script.src}`));
          inner.document.body.append(script);
        });
      inner.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve());
      inner.postMessage = (data) => this._tell("message", new MessageEvent("message", { data }));
      this._ready = load(place).catch((error) => this._tell("error", new ErrorEvent("error", { error, message: error.message })));
    }

    postMessage(data) {
      this._ready.then(() => this._frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this._frame.remove();
    }

    _tell(kind, event) {
      this.dispatchEvent(event);
      this[`on${kind}`]?.(event);
    }
  };
}
