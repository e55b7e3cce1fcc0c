/* Web Serial with one port, whose other end is what Python's `boardWrite` and `boardRead` are. */
(() => {
  class FakePort {
    async open({ baudRate }) {
      if (this.readable) throw new DOMException("The port is already open.", "InvalidStateError");
      window.fakeSerial.baudRate = baudRate;
      this.readable = new ReadableStream({
        pull: async (controller) => {
          for (;;) {
            const bytes = await window.boardRead();
            if (bytes === null) return controller.error(new DOMException("The device has been lost.", "NetworkError"));
            if (this._isClosed) return;
            if (bytes.length) return controller.enqueue(Uint8Array.from(bytes));
          }
        },
        cancel: () => {
          this._isClosed = true;
        },
      });
      this.writable = new WritableStream({ write: (bytes) => window.boardWrite(Array.from(bytes)) });
      this._isClosed = false;
    }

    async close() {
      if (this.readable.locked || this.writable.locked) throw new TypeError("Cannot close a locked port.");
      this.readable = this.writable = null;
      window.fakeSerial.closed += 1;
    }
  }
  window.fakeSerial = { closed: 0, refuses: false };
  const port = new FakePort();
  const requestPort = async () => {
    if (window.fakeSerial.refuses) throw new DOMException("No port selected by the user.", "NotFoundError");
    return port;
  };
  Object.defineProperty(navigator, "serial", { value: { requestPort }, configurable: true });
})();
