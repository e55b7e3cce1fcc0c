"use strict";

/* The firmware's own C, as firmware_templates/web/page.c exports it. Uses no document, so that tests drive it in Node. */

const CERTAIN = 65536; // 1 in confidences and probabilities
const NAME_STATUS = ["known", "has no letters or digits", "is longer than 255 bytes", "does not fit: no memory is left"];

class Engine {
  /**
   * @param {BufferSource} bytes the WebAssembly module
   * @param {{names?: string[], first?: number}} facts names of the answer tokens, and the id of their first
   */
  static async create(bytes, facts = {}) {
    const engine = new Engine(facts);
    const page = {
      append: (row) => engine._onAppend(row),
      attention: (head, rows, at, size) => engine._onAttention(head, rows, at, size),
    };
    const { instance } = await WebAssembly.instantiate(bytes, { page });
    engine._c = instance.exports;
    engine.isStructured = "finish" in instance.exports;
    engine.isBound = "allowed" in instance.exports; // to answer tokens, or a grammar
    engine.vocab = engine._c.vocab();
    engine.context = engine._c.context();
    engine.isEndless = engine._c.endless() !== 0;
    engine.threshold = engine.isStructured ? engine._c.threshold() : 0;
    if (engine._c.start() !== 0) throw new Error("the model refused its memory");
    return engine;
  }

  constructor(facts) {
    this._facts = facts;
    this._layers = [];
    this._rowPosition = []; // which token each row of the KV cache holds
    this.position = 0;
  }

  /* What people typed becomes a prompt: {tokens, marks, refusal}; `refusal` is a reason for which the model is not asked. */
  read(sentence) {
    const bytes = new TextEncoder().encode(sentence);
    if (bytes.length > this._c.text_capacity()) return { tokens: [], marks: [], refusal: "too-long" };
    this._bytes(this._c.text(), bytes.length).set(bytes);
    const count = this._c.read(bytes.length);
    const marks = [];
    for (let i = 0; this.isStructured && i < this._c.mark_count(); i++) {
      const [from, to] = [this._c.mark_from(i), this._c.mark_to(i)];
      marks.push({
        kind: this._c.mark_kind(i),
        value: this._said(this._c.mark_value(i)),
        before: decode(bytes.subarray(0, from)).length,
        text: decode(bytes.subarray(from, to)),
      });
    }
    if (count <= 0) return { tokens: [], marks, refusal: count < 0 ? "not-utf8" : this._said(this._c.reason()) };
    return { tokens: Array.from(new Uint16Array(this._memory, this._c.ids(), count)), marks, refusal: "" };
  }

  /* Forgets all tokens. */
  reset() {
    this.position = 0;
    this._rowPosition = [];
    if (this._c.reset() !== 0) throw new Error("the model refused its memory");
  }

  /* Takes one token. With `observes` attention comes back: `layers[layer][head]` has a share for each row of the KV cache, and
   * `positions` says which token the row holds. null: none was seen. */
  step(token, observes = false) {
    this._layers = [];
    this._c.observe(observes ? 1 : 0);
    const status = this._c.step(token);
    if (status !== 0) throw new Error(status === 3 ? "the context is full" : `the model refused the token ${token}`);
    this.position++;
    return this._layers.length ? { layers: this._layers, positions: Int32Array.from(this._rowPosition) } : null;
  }

  /* CRC-32 of the last step's logits, as the board says it. */
  crc() {
    return (this._c.crc() >>> 0).toString(16).padStart(8, "0");
  }

  /* The last step's logits, int8 or int16. */
  logits() {
    const Kind = this._c.logit_bytes() === 2 ? Int16Array : Int8Array;
    return new Kind(this._memory, this._c.logits(), this.vocab).slice();
  }

  greedy() {
    const logits = this.logits();
    let best = 0;
    for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
    return best;
  }

  /* Ids that may follow, ascending; null: all. */
  allowed() {
    if (!this.isBound) return null;
    const ids = [];
    for (let id = this._c.allowed(-1); id >= 0; id = this._c.allowed(id)) ids.push(id);
    return ids;
  }

  /* Of an id among those that may follow: before one is chosen. */
  probability(id) {
    return (this._c.probability(id) >>> 0) / CERTAIN;
  }

  /* The most likely of the ids that may follow: [{id, probability}], at most `count`. */
  best(count) {
    const logits = this.logits();
    const ids = this.allowed() ?? Array.from(logits.keys());
    const best = [...ids].sort((a, b) => logits[b] - logits[a] || a - b).slice(0, count);
    return best.map((id) => ({ id, probability: this.probability(id) }));
  }

  /* The next token, by the device's own rule; with answer tokens it becomes part of the answer. */
  choose() {
    return this._c.choose();
  }

  /* What was chosen becomes part of the answer in text, where that follows a grammar. */
  take(id) {
    this._c.take?.(id);
  }

  stops(id) {
    return this._c.stops(id) !== 0;
  }

  sample({ temperature, topK, topP, penalty, seed }) {
    const thousandths = (value) => Math.round(1000 * value);
    this._c.sample(thousandths(temperature), topK, thousandths(topP), thousandths(penalty), seed >>> 0);
  }

  /* The bytes of an id in a text. */
  piece(before, id) {
    const length = this._c.piece(before, id);
    return this._bytes(this._c.out(), length).slice();
  }

  /* An id for people: a piece of text, or the name of an answer token. */
  name(id) {
    const { names = [], first = this.vocab } = this._facts;
    if (id >= first && id - first < names.length) return names[id - first];
    if (id === this._c.bos()) return "<bos>";
    if (this.stops(id)) return "<eos>";
    const bytes = this.piece(id, id);
    if (bytes.length === 0) return "<sep>";
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
    }
  }

  /* What an answer's ids say. */
  finish(ids, isFull) {
    ids.forEach((id, index) => this._c.put_id(index, id));
    const text = this._said(this._c.finish(ids.length, isFull ? 1 : 0));
    return this._reply(text);
  }

  /* What comes of a sentence for which the model is not asked. */
  refused() {
    return this._reply(this._said(this._c.intent()));
  }

  _reply(text) {
    const intent = this._said(this._c.intent());
    const slots = {};
    for (let i = 0; i < this._c.slot_count(); i++) {
      const slot = this._said(this._c.slot(i));
      const at = slot.indexOf("=");
      slots[slot.slice(0, at)] = slot.slice(at + 1);
    }
    const word = this._said(this._c.reason());
    const reason = this._c.is_model_reason() ? (slots.reason ?? "") : word === "-" ? "" : word;
    return { intent, slots, confidence: this.confidence(), text, reason };
  }

  /* Of the answer so far, 0..1. */
  confidence() {
    return this._c.confidence() / CERTAIN;
  }

  /* These names and no others: [{text, kind, value}] with the index of a kind. Returns a line for each that is not taken. */
  useNames(entries) {
    this._c.clear_names();
    const problems = [];
    for (const { text, kind, value } of entries) {
      const [said, held] = [text, value].map((part) => new TextEncoder().encode(part));
      if (held.length === 0 || held.length + said.length > this._c.text_capacity()) {
        problems.push(`“${text || "(nothing)"}”: ${held.length ? "too long" : "an answer would hold nothing"}`);
        continue;
      }
      this._bytes(this._c.text(), held.length).set(held);
      this._bytes(this._c.text() + held.length, said.length).set(said);
      const status = this._c.add_name(kind, held.length, said.length);
      if (status !== 0) problems.push(`“${text || "(nothing)"}” ${NAME_STATUS[status]}`);
    }
    return problems;
  }

  /* The names that came with the model. */
  restoreNames() {
    this._c.restore_names();
  }

  get _memory() {
    return this._c.memory.buffer;
  }

  _bytes(at, length) {
    return new Uint8Array(this._memory, at, length);
  }

  _said(length) {
    return decode(this._bytes(this._c.out(), length));
  }

  _onAppend(row) {
    this._rowPosition[row] = this.position;
  }

  _onAttention(head, rows, at, size) {
    const raw = size === 2 ? new Int16Array(this._memory, at, rows) : new Uint8Array(this._memory, at, rows);
    if (head === 0) this._layers.push([]);
    this._layers[this._layers.length - 1].push(Float32Array.from(raw, (weight) => weight / (size === 2 ? 32768 : 256)));
  }
}

function decode(bytes) {
  return new TextDecoder().decode(bytes);
}

/**
 * Asks the model a sentence as the firmware does, a step at a time.
 *
 * Yields {phase: "read", tokens, marks, refusal}, then {phase: "prompt", position, token, attention, crc} for each token of the
 * prompt and {phase: "answer", position, token, attention, crc, …} for each of the answer, then {phase: "end", end, reply or text}.
 */
function* ask(engine, sentence, { maxNew = engine.isEndless ? 256 : engine.context, observes = true, alternatives = 4 } = {}) {
  const prompt = engine.read(sentence);
  yield { phase: "read", ...prompt };
  if (prompt.refusal) {
    const reply = engine.isStructured && prompt.refusal !== "not-utf8" ? engine.refused() : undefined;
    yield { phase: "end", end: "refused", reply, text: "", refusal: prompt.refusal };
    return;
  }
  engine.reset();
  let last;
  for (const token of prompt.tokens) {
    last = engine.step(token, observes);
    yield { phase: "prompt", position: engine.position - 1, token, attention: last, crc: engine.crc() };
  }
  const answer = [];
  let bytes = [];
  let end = "";
  while (!end) {
    const before = answer.length ? answer[answer.length - 1] : prompt.tokens[prompt.tokens.length - 1];
    const allowed = engine.allowed();
    const best = engine.best(alternatives);
    const token = engine.choose();
    const probability = engine.isStructured ? best[0].probability : engine.probability(token);
    engine.take(token);
    answer.push(token);
    const piece = engine.isStructured ? [] : Array.from(engine.piece(before, token));
    bytes = bytes.concat(piece);
    if (engine.stops(token)) end = "eos";
    else if (answer.length === maxNew) end = "length";
    else if (!engine.isEndless && engine.position === engine.context) end = "context";
    let attention = null;
    let crc = null;
    if (!end) {
      attention = engine.step(token, observes);
      crc = engine.crc();
    }
    yield {
      phase: "answer",
      position: prompt.tokens.length + answer.length - 1,
      token,
      probability,
      isForced: allowed !== null && allowed.length === 1,
      choices: allowed === null ? engine.vocab : allowed.length,
      best,
      attention,
      crc,
      text: decode(Uint8Array.from(bytes)),
    };
  }
  const reply = engine.isStructured ? engine.finish(answer, end === "context") : undefined;
  yield { phase: "end", end, reply, text: decode(Uint8Array.from(bytes)) };
}

if (typeof module !== "undefined") module.exports = { Engine, ask };
