"use strict";

/* A real board beside the page: it is asked what the page is asked, by Web Serial. */
class BoardPanel {
  /**
   * @param {{boards: object[], name: string}} data of the page
   * @param {(board: object, promptCount: number, answerCount: number) => {promptMs: number[], answerMs: number[]}} modelled
   *   milliseconds of one of its boards: at least, likely, at most
   */
  constructor(data, modelled) {
    this._data = data;
    this._modelled = modelled;
    this._board = null;
    this._turn = Promise.resolve(); // that of the question at hand
    this._asked = 0; // questions so far
    this._button = byId("connect");
    if (!navigator.serial) {
      this._button.textContent = "This browser has no Web Serial";
      byId("baud").disabled = true;
      byId("serial-note").hidden = false;
      return;
    }
    this._button.disabled = false;
    this._button.addEventListener("click", () => (this._board ? this._disconnect() : this._connect()));
  }

  get isConnected() {
    return this._board !== null;
  }

  async _connect() {
    let port;
    try {
      port = await navigator.serial.requestPort();
    } catch (error) {
      return error.name === "NotFoundError" ? this._say("No port was chosen.") : this._fail(error.message);
    }
    this._button.disabled = true;
    this._say("Asking what is there …");
    try {
      const board = await Board.connect(port, Number(byId("baud").value) || 115200);
      board.onLost = () => this._lost();
      this._board = board;
      this._shows(true);
      const { corrupt } = board;
      if (corrupt.length) this._fail(`What is in its flash is not what was built: ${corrupt.join(", ")}. It computes nothing with that.`);
      const other = board.info.model === this._data.name ? "" : `, another model than this page’s (${this._data.name})`;
      this._say(`${board.info.model} on ${board.info.board}${other}. It is asked what you ask here.`);
    } catch (error) {
      this._say("");
      this._fail(error.message ?? String(error));
    }
    this._button.disabled = false;
  }

  async _disconnect() {
    const board = this._board;
    this._board = null;
    this._shows(false);
    this._say("Disconnected.");
    await board.close();
  }

  _lost() {
    if (!this._board) return;
    const board = this._board;
    this._board = null;
    this._shows(false);
    this._say("The board was pulled out, or has lost its power.");
    board.close();
  }

  /* Ends the board's answer; what it has so far is shown. */
  stop() {
    this._board?.stop().catch(() => {});
  }

  /**
   * Asks the board, and shows its answer beside the page's. Ends what it was asked before; of several questions that wait
   * the last one is asked.
   *
   * @param {string} sentence
   * @param {number} maxNew maximum number of tokens
   * @param {object | null} sampling as the page's sliders say it; null of a model with answer tokens
   * @param {{phase: string, position: number, token: number, crc: string | null}[]} tokens of the page's own answer
   */
  async ask(sentence, maxNew, sampling, tokens) {
    const number = ++this._asked;
    this.stop();
    this._turn = this._turn.then(async () => {
      const board = this._board;
      if (!board || number !== this._asked) return;
      byId("board-failure").hidden = true;
      byId("board-result").hidden = true;
      try {
        if (sampling) await draw(board, sampling);
        this._show(board, await board.prompt(sentence, maxNew), tokens);
      } catch (error) {
        if (this._board === board) this._fail(error instanceof URIError ? "The text is no well-formed Unicode." : error.message);
      }
    });
    await this._turn;
  }

  _show(board, answer, tokens) {
    byId("board-result").hidden = false;
    byId("board-answer").textContent = answer.text || "(nothing)";
    const confidence = answer.confidence === null ? "" : `Confidence ${(100 * answer.confidence).toFixed(1)} %. `;
    byId("board-why").textContent = confidence + (answer.reason ? `Nothing is done: ${answer.reason}.` : "");
    byId("board-times").hidden = answer.prompt === null;
    if (answer.prompt) this._showTimes(board, answer);
    const whole = board.milliseconds(answer.ticks);
    const counter = `Its counter is ${board.info.counter}, at ${(Number(board.info.tick_hz) / 1e6).toLocaleString("en")} MHz.`;
    byId("board-note").textContent = answer.prompt
      ? `${counter} The whole request took ${milliseconds(whole)} ms there, finding names, choosing tokens and sending included.`
      : "The board did not ask its model.";
    byId("board-equal").textContent = answer.prompt ? comparison(answer, tokens) : "";
  }

  _showTimes(board, answer) {
    const known = this._data.boards.find(({ name }) => name === board.info.board);
    const answerTicks = answer.steps.reduce((sum, { ticks }) => sum + ticks, 0);
    const model = known && this._modelled(known, answer.prompt.count, answer.tokensOut);
    const sums = model && model.promptMs.map((ms, at) => ms + model.answerMs[at]);
    const rows = [
      [`prompt, ${answer.prompt.count} tokens`, answer.prompt.ticks, model?.promptMs],
      [`answer, ${answer.steps.length} steps`, answerTicks, model?.answerMs],
      ["together", answer.prompt.ticks + answerTicks, sums],
    ];
    byId("board-rows").replaceChildren(
      ...rows.map(([name, ticks, modelled]) => {
        const row = element("tr");
        const head = element("th", "", name);
        head.scope = "row";
        const span = modelled ? `${milliseconds(modelled[1])} (${milliseconds(modelled[0])} – ${milliseconds(modelled[2])})` : "–";
        row.append(head, element("td", "n", milliseconds(board.milliseconds(ticks))), element("td", "n", span));
        return row;
      }),
    );
    byId("board-unknown").hidden = Boolean(known);
  }

  _shows(isConnected) {
    this._button.textContent = isConnected ? "Disconnect" : "Connect a board";
    byId("baud").disabled = isConnected;
    byId("board-failure").hidden = true;
    if (!isConnected) byId("board-result").hidden = true;
  }

  _say(what) {
    byId("board-state").textContent = what;
  }

  _fail(what) {
    byId("board-failure").hidden = false;
    byId("board-failure").textContent = what;
  }
}

/* Tells a board how to draw; one that cannot is as it was, if the likeliest token is wanted. */
async function draw(board, { temperature, topK, topP, penalty, seed }) {
  const thousandths = (value) => Math.round(1000 * value);
  try {
    await board.request(`SAMPLE ${thousandths(temperature)} ${topK} ${thousandths(topP)} ${thousandths(penalty)} ${seed >>> 0}`);
  } catch (error) {
    if (error.code !== "unsupported" || temperature > 0) throw error;
  }
}

/* Whether the board's logits are the page's, step by step. */
function comparison({ prompt, steps }, tokens) {
  const own = tokens.filter(({ phase }) => phase === "prompt");
  const last = own[own.length - 1];
  if (!last || own.length !== prompt.count) return `The page’s prompt has ${own.length} tokens, the board’s ${prompt.count}: another model, or other names.`;
  if (last.crc !== prompt.crc) return "The logits after the prompt are not this page’s: another model, or other names.";
  for (const { position, token, crc } of steps) {
    const there = tokens[position];
    if (!there || there.token !== token || there.crc !== crc) return `From position ${position} on its logits or tokens are not this page’s.`;
  }
  return `Its logits are this page’s, after the prompt and after each of ${steps.length} steps, by their CRC-32.`;
}

function milliseconds(value) {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
}
