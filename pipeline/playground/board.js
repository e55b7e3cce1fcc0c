"use strict";

/* A board with Thimble's firmware on a serial port: docs/protocol.md. Uses no document. */

const BOARD_LINE_BYTES = 1024; // that a request may have
const BOARD_TIMES = {
  greeting: 5_000, // ms in which a board that is up answers
  line: 60_000, // ms that a line of an answer may take
  quiet: 200, // ms without a line after which nothing more comes of what was asked before
};

class Board {
  /**
   * Opens a port and waits until the board there takes requests, whatever it was doing.
   *
   * @param {SerialPort} port as Web Serial has it, not open yet
   * @param {number} baudRate bits a second
   */
  static async connect(port, baudRate) {
    await port.open({ baudRate, bufferSize: 4096 });
    const board = new Board(port);
    try {
      await board._greet();
    } catch (error) {
      await board.close();
      throw error;
    }
    return board;
  }

  /* Use `connect`. */
  constructor(port) {
    this._port = port;
    this._writer = port.writable.getWriter();
    this._reader = port.readable.getReader();
    this._lines = [];
    this._rest = "";
    this._last = "nothing";
    this._lost = null;
    this._wake = () => {};
    this._id = 0;
    this._hasIds = false;
    this._isAnswering = false;
    this.info = {}; // of INFO
    this.onLost = () => {};
    this._isRead = this._read();
  }

  get isLost() {
    return this._lost !== null;
  }

  /**
   * Sends a request, and gives the lines of its answer, the last of them OK's. One request at a time.
   *
   * @param {string} line the request
   * @throws {Error} the board refuses it (`code` is that of ERR), has stopped, or is not there any more
   */
  async request(line) {
    this._isAnswering = true;
    try {
      return await this._requested(...this._marked(line));
    } finally {
      this._isAnswering = false;
    }
  }

  async _requested(sent, beginning) {
    await this._send(`${sent}\n`);
    const answer = [];
    for (;;) {
      let said = await this._line(BOARD_TIMES.line);
      if (beginning && !/^(ERR|FAULT|READY) /.test(said)) {
        if (!said.startsWith(beginning)) continue; // of a request before
        said = checked(said).slice(beginning.length);
      }
      if (said.startsWith("ERR ")) {
        const [, code, ...words] = said.split(" ");
        throw Object.assign(new Error(`the board refuses it (${code}): ${words.join(" ")}`), { code });
      }
      if (said.startsWith("FAULT ")) throw new Error(`the board has stopped: ${said}`);
      if (said.startsWith("READY ")) throw new Error("the board started anew before it answered");
      if (!said) continue; // the line end before a FAULT
      answer.push(said);
      if (said === "OK" || said.startsWith("OK ")) return answer;
    }
  }

  /**
   * The board's answer to a text, with its own counts.
   *
   * @param {string} text a sentence, or the beginning of a text
   * @param {number} maxNew maximum number of tokens
   * @returns {{prompt: {count, crc, ticks}, steps: {position, token, crc, ticks}[], tokensIn, tokensOut, ticks, end, text, confidence, reason}}
   *   `prompt` is null where the model was not asked; `confidence` is 0..1, and null where the model has none
   */
  async prompt(text, maxNew) {
    const lines = await this.request(`PROMPT ${Math.max(1, Math.min(maxNew, Number(this.info.context)))} ${encodeURIComponent(text)}`);
    let prompt = null;
    const steps = [];
    for (const line of lines.slice(0, -1)) {
      const words = line.split(" ");
      if (words[0] === "PREFILL") prompt = { count: Number(words[1]), crc: words[2], ticks: Number(words[3]) };
      else if (words[0] === "STEP") steps.push({ position: Number(words[1]), token: Number(words[2]), crc: words[3], ticks: Number(words[4]) });
      else throw new Error(`the board says ${line}`);
    }
    const [, tokensIn, tokensOut, ticks, end, said, confidence, reason = "-"] = lines[lines.length - 1].split(" ");
    return {
      prompt,
      steps,
      tokensIn: Number(tokensIn),
      tokensOut: Number(tokensOut),
      ticks: Number(ticks),
      end,
      text: percentDecoded(said ?? ""),
      confidence: confidence === undefined ? null : Number(confidence) / 65536,
      reason: reason === "-" ? "" : reason,
    };
  }

  /* Ends the generation at hand, if there is one; its answer comes all the same. */
  async stop() {
    if (this._isAnswering) await this._write(Uint8Array.of(3));
  }

  /* Milliseconds of ticks of the board's counter. */
  milliseconds(ticks) {
    return (1000 * ticks) / Number(this.info.tick_hz);
  }

  /* Parts that are not in flash as they were built. */
  get corrupt() {
    return Object.keys(this.info).filter((key) => this.info[key] === "corrupt");
  }

  /* Closes the port. May be called again. */
  async close() {
    this._lose(new Error("the port was closed"), false);
    await this._reader.cancel().catch(() => {});
    await this._isRead;
    this._reader.releaseLock();
    this._writer.releaseLock();
    await this._port.close().catch(() => {});
  }

  async _greet() {
    await this._send("\nINFO\n"); // the first ends a line that was begun
    let end = performance.now() + BOARD_TIMES.greeting;
    let line;
    while (!(line = await this._line(BOARD_TIMES.greeting)).startsWith("OK protocol=")) {
      if (line.startsWith("FAULT ")) throw new Error(`the board has stopped: ${line}; reset it`);
      if (/^(STEP|PREFILL) /.test(line)) end = performance.now() + BOARD_TIMES.greeting; // it finishes another program's request
      if (performance.now() > end) throw new Error(`what is there is no Thimble board, or has another speed: it says “${line}”`);
    }
    for (const pair of line.slice(3).split(" ")) {
      const at = pair.indexOf("=");
      this.info[pair.slice(0, at)] = percentDecoded(pair.slice(at + 1));
    }
    if (this.info.protocol !== "1") throw new Error(`the board speaks version ${this.info.protocol} of the protocol, this page version 1`);
    this._hasIds = this.info.ids === "yes";
    await this._drain();
  }

  /* Until the line was silent for a while: an answer to a line of another program's may still come. */
  async _drain() {
    for (;;) {
      this._lines.length = 0;
      try {
        await this._line(BOARD_TIMES.quiet);
      } catch (error) {
        if (this._lost) throw error;
        return;
      }
    }
  }

  /* A request with an id and a checksum, and what its answers begin with; as it is where the board takes none. */
  _marked(line) {
    this._id = (this._id % 9999) + 1;
    const beginning = `#${this._id} `;
    const sent = `${beginning}${line}`;
    const marked = `${sent} *${crc32(sent)}`;
    return this._hasIds && marked.length <= BOARD_LINE_BYTES ? [marked, beginning] : [line, ""];
  }

  async _send(text) {
    await this._write(new TextEncoder().encode(text));
  }

  async _write(bytes) {
    if (this._lost) throw this._lost;
    try {
      await this._writer.write(bytes);
    } catch (error) {
      this._lose(error);
      throw this._lost;
    }
  }

  /* The next line, which may take so many milliseconds. */
  async _line(timeout) {
    const end = performance.now() + timeout;
    while (!this._lines.length) {
      if (this._lost) throw this._lost;
      const left = end - performance.now();
      if (left <= 0) throw new Error(`the board gave no line for ${timeout / 1000} s; last it said “${this._last}”`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this._wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this._last = this._lines.shift();
    return this._last;
  }

  async _read() {
    try {
      for (;;) {
        const { value, done } = await this._reader.read();
        if (done) break;
        // The board's lines are ASCII; another byte is noise on the line, and is seen as such.
        const parts = (this._rest + String.fromCharCode(...value)).split("\n");
        this._rest = parts.pop();
        this._lines.push(...parts.map((line) => line.replace(/\r$/, "")));
        this._wake();
      }
      this._lose(new Error("it was closed"));
    } catch (error) {
      this._lose(error);
    }
  }

  _lose(error, tells = true) {
    if (this._lost) return;
    this._lost = new Error(tells ? `the board was lost: ${error.message ?? error}` : error.message);
    this._wake();
    if (tells) this.onLost();
  }
}

/* A line without its checksum. */
function checked(line) {
  const at = line.length - 10;
  if (line.slice(at, at + 2) !== " *" || crc32(line.slice(0, at)) !== line.slice(at + 2)) {
    throw new Error("a line was changed on its way; ask again");
  }
  return line.slice(0, at);
}

function crc32(text) {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

/* Text that may have been cut within a character. */
function percentDecoded(text) {
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
  return new TextDecoder().decode(Uint8Array.from(bytes, (letter) => letter.charCodeAt(0)));
}

if (typeof module !== "undefined") module.exports = { Board };
