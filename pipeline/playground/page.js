"use strict";

(() => {
  const data = JSON.parse(byId("data").textContent);
  const format = new Intl.NumberFormat("en");
  let engine;
  let panel; // of a real board
  let running = null; // the question that may go on
  let shown = null; // the question on the page

  start().catch(fail);

  async function start() {
    const bytes = Uint8Array.from(atob(byId("module").textContent), (letter) => letter.charCodeAt(0));
    engine = await Engine.create(bytes, data.answerTokens);
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      question(byId("sentence").value);
    });
    byId("sentence").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.ctrlKey) byId("ask").requestSubmit();
    });
    byId("stop").addEventListener("click", () => {
      running = null;
      panel.stop();
    });
    byId("examples").append(
      ...data.examples.map((sentence) => {
        const button = element("button", "example", sentence);
        button.type = "button";
        button.addEventListener("click", () => {
          byId("sentence").value = sentence;
          question(sentence);
        });
        return button;
      }),
    );
    if (byId("sampling")) startSampling();
    if (byId("board")) startBoards();
    if (byId("home")) new HomeEditor(data, engine, () => shown && question(shown.sentence));
    if (byId("prove")) startProof();
    panel = new BoardPanel(data, (board, promptCount, answerCount) => costsOf(board, promptCount, answerCount));
    byId("go").disabled = false;
    document.documentElement.dataset.state = "ready";
    if (window.parent !== window) new ResizeObserver(tellHeight).observe(document.documentElement);
    const asked = new URLSearchParams(location.search).get("sentence"); // a link of the report
    if (asked) {
      byId("sentence").value = asked;
      question(asked);
    }
  }

  /* The report that shows this page within itself makes room for it. */
  function tellHeight() {
    window.parent.postMessage({ height: Math.ceil(document.documentElement.getBoundingClientRect().height) }, "*");
  }

  function fail(error) {
    const box = byId("failure");
    box.hidden = false;
    box.textContent = `This browser cannot run it: ${error.message ?? error}`;
    throw error;
  }

  // A question, a token at a time.

  async function question(sentence) {
    const mine = { sentence, tokens: [], chosen: -1, marks: [], promptCount: 0 };
    shown = running = mine;
    byId("failure").hidden = true;
    byId("result").hidden = false;
    byId("detail").hidden = true;
    byId("prompt-tokens").replaceChildren();
    byId("answer-tokens").replaceChildren();
    byId("status").textContent = "";
    byId("stop").hidden = !(byId("sampling") || byId("pace")?.checked || panel.isConnected);
    document.documentElement.dataset.state = "busy";
    let options = {};
    if (byId("sampling")) {
      engine.sample(sampling());
      options = { maxNew: Math.max(1, Number(byId("max-new").value) || 1) };
    }
    for (const event of ask(engine, sentence, options)) {
      if (event.phase === "read") showRead(event);
      else if (event.phase === "end") showEnd(event);
      else showToken(event);
      const pause = pauseAfter(event);
      if (pause > 0 || event.phase === "answer") await new Promise((resolve) => setTimeout(resolve, pause));
      if (running !== mine && shown !== mine) return; // a newer question has the page
      if (running !== mine && event.phase !== "end") {
        showStopped();
        break;
      }
    }
    if (panel.isConnected && running === mine) {
      await panel.ask(sentence, options.maxNew ?? engine.context, byId("sampling") ? sampling() : null, mine.tokens);
      if (shown !== mine) return;
    }
    byId("stop").hidden = true;
    document.documentElement.dataset.state = "ready";
  }

  function showStopped() {
    const ids = shown.tokens.filter(({ phase }) => phase === "answer").map(({ token }) => token);
    if (engine.isStructured) showEnd({ end: "stopped", reply: engine.finish(ids, false) });
    else showEnd({ end: "stopped", text: byId("text").textContent });
  }

  /* Milliseconds that the board takes for what comes next, where its pace is asked for. */
  function pauseAfter({ phase, position }) {
    const board = chosenBoard();
    if (!board || !byId("pace").checked) return 0;
    if (phase === "prompt") return board.promptToken * board.msPerInstruction.prompt[1];
    return phase === "answer" ? instructionsAt(board, position) * board.msPerInstruction.answer[1] : 0;
  }

  function showRead({ tokens, marks, refusal }) {
    shown.marks = marks;
    shown.promptCount = tokens.length;
    if (!byId("marked")) return;
    const parts = [];
    let at = 0;
    let mark;
    for (const { before, text, kind, value } of marks) {
      const label = element("span", "kind", readable(data.kinds[kind]));
      if (value.toLowerCase() !== text.toLowerCase()) label.append(` = ${value}`);
      if (before < at) {
        mark.append(" ", label); // two of one word
        continue;
      }
      mark = element("mark", "", text);
      mark.append(" ", label);
      parts.push(shown.sentence.slice(at, before), mark);
      at = before + text.length;
    }
    parts.push(shown.sentence.slice(at));
    byId("marked").replaceChildren(...parts);
    byId("marked-note").textContent = marks.length
      ? "Marked: names and quantities, found before the model reads the sentence; it sees their kinds."
      : refusal
        ? ""
        : "No name and no quantity was found in it.";
  }

  function showToken(event) {
    const { phase, token, position } = event;
    const index = shown.tokens.length;
    shown.tokens.push(event);
    const item = element("li");
    const button = element("button", "token");
    button.type = "button";
    const name = engine.name(token);
    const words = visible(name);
    button.append(element("span", "piece", words));
    if (phase === "prompt" && !name.startsWith(" ") && index > 0 && !name.startsWith("<")) item.className = "goes-on";
    const note = meaning(token);
    if (note) button.append(element("span", "means", note));
    if (phase === "answer") {
      const sure = event.isForced ? "only choice" : percent(event.probability);
      button.append(element("span", "sure", sure));
      button.style.setProperty("--sure", event.probability);
      if (byId("text")) byId("text").textContent = event.text;
    }
    button.setAttribute("aria-pressed", "false");
    button.title = `position ${position}, id ${token}`;
    button.addEventListener("click", () => choose(index));
    item.append(button);
    byId(phase === "prompt" ? "prompt-tokens" : "answer-tokens").append(item);
  }

  /* What a pointer points at, or a position holds. */
  function meaning(token) {
    const { pointers, positions } = data;
    if (pointers && token >= pointers.first && token < pointers.end) return shown.marks[token - pointers.first]?.value ?? "";
    if (positions && token >= positions.first && token < positions.end) {
      const there = shown.tokens[token - positions.first];
      return there ? visible(engine.name(there.token)) : "";
    }
    return "";
  }

  function visible(name) {
    return name.replace(/^ (?=.)/, "").replaceAll("\n", "⏎").replaceAll("\t", "⇥").replace(/^ $/, "␣");
  }

  function percent(share) {
    return share >= 0.9995 ? "100\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`;
  }

  function showEnd({ end, reply, text, refusal }) {
    if (byId("action")) showReply(reply, refusal);
    else {
      byId("text").textContent = refusal ? "" : text;
      byId("ended").textContent = refusal ? REFUSALS[refusal] : ENDS[end];
      byId("status").textContent = refusal ? REFUSALS[refusal] : `It wrote: ${text}`;
    }
    showCosts();
    const first = shown.tokens.findIndex(({ phase }) => phase === "answer");
    if (first >= 0) choose(first);
  }

  const ENDS = {
    eos: "It ended by itself.",
    length: "That is as many new tokens as were asked for.",
    context: "The context is full.",
    stopped: "Stopped.",
  };
  const REFUSALS = {
    "too-long": "The sentence is longer than the model’s context.",
    "too-many-words": "The sentence has too many words.",
    "too-many-names": "The sentence has more names and quantities than the model can point at.",
    "not-utf8": "The text is no well-formed Unicode.",
    "low-confidence": "Not sure enough: below the threshold nothing is done.",
    unfinished: "The answer was cut off.",
  };

  function showReply(reply, refusal) {
    const said = reply ?? { intent: "NoMatch", slots: {}, confidence: 1, text: "NoMatch", reason: refusal };
    const isNothing = said.intent === "NoMatch";
    byId("answer-card").classList.toggle("nothing", isNothing);
    byId("action").textContent = isNothing ? "Nothing is done" : said.intent;
    byId("why").textContent = isNothing
      ? (REFUSALS[said.reason] ?? (said.reason ? `The model says why: ${said.reason}` : "The model understands no command in it."))
      : "";
    byId("slots").replaceChildren(
      ...Object.entries(isNothing ? {} : said.slots).map(([slot, value]) => {
        const pair = element("div");
        pair.append(element("dt", "", readable(slot)), element("dd", "", value));
        return pair;
      }),
    );
    const bar = byId("confidence-bar");
    const wasAsked = shown.tokens.length > 0;
    bar.parentElement.hidden = !wasAsked;
    bar.setAttribute("aria-valuenow", (100 * said.confidence).toFixed(1));
    bar.style.setProperty("--value", said.confidence);
    bar.style.setProperty("--threshold", engine.threshold / CERTAIN);
    const limit = engine.threshold ? `, threshold ${(engine.threshold / CERTAIN).toFixed(2)}` : "";
    byId("confidence-value").textContent = `${percent(said.confidence)}${limit}`;
    byId("json").textContent = json(said);
    byId("status").textContent = isNothing ? `Nothing is done. ${byId("why").textContent}` : `It understood: ${said.text}`;
  }

  function json({ intent, slots, confidence, text, reason }) {
    const record = { sentence: shown.sentence, intent, slots, confidence: Number(confidence.toFixed(5)), text };
    if (reason) record.reason = reason;
    return JSON.stringify(record, null, 1);
  }

  // One token: what else could have followed, and where the model looked.

  function choose(index) {
    shown.chosen = index;
    const event = shown.tokens[index];
    document.querySelectorAll(".token").forEach((button, at) => button.setAttribute("aria-pressed", String(at === index)));
    byId("detail").hidden = false;
    byId("detail-title").textContent = `“${visible(engine.name(event.token))}”, position ${event.position}`;
    const facts = [];
    if (event.phase === "answer") facts.push(event.isForced ? "No other token was allowed" : `One of ${format.format(event.choices)} that could follow`);
    facts.push(event.crc ? `logits after it: CRC-32 ${event.crc}` : "the model did not need to read it");
    byId("detail-note").textContent = `${facts.join("; ")}.`;
    byId("choices-part").hidden = event.phase !== "answer";
    byId("choices").replaceChildren(
      ...(event.best ?? []).map(({ id, probability }) => {
        const row = element("tr", id === event.token ? "taken" : "");
        const note = meaning(id);
        const name = element("th", "", visible(engine.name(id)) + (note ? ` ${note}` : ""));
        name.scope = "row";
        const value = element("td", "n", percent(probability));
        value.style.setProperty("--sure", probability);
        row.append(name, value);
        return row;
      }),
    );
    showAttention();
  }

  function showAttention() {
    // The row of the step that chose an answer's token: the token before it asked what comes next.
    const { tokens, chosen } = shown;
    const asks = tokens[chosen].phase === "answer" ? chosen - 1 : chosen;
    const { layers, positions } = tokens[asks]?.attention ?? { layers: [], positions: [] };
    byId("attention-part").hidden = layers.length === 0;
    const select = byId("head");
    const heads = layers.flatMap((rows, layer) => rows.map((_, head) => `layer ${layer + 1}, head ${head + 1}`));
    if (select.options.length !== heads.length + 1) {
      select.replaceChildren(new Option("all heads, mean", "-1"), ...heads.map((name, at) => new Option(name, String(at))));
    }
    const rows = layers.flat();
    const width = tokens[asks] ? asks + 1 : 0;
    const picked = Number(select.value);
    const shares = Array.from({ length: width }, () => 0);
    rows.forEach((row, at) => {
      if (picked >= 0 && picked !== at) return;
      row.forEach((share, place) => (shares[positions[place]] += share / (picked < 0 ? rows.length : 1)));
    });
    document.querySelectorAll(".token").forEach((button, at) => button.style.setProperty("--looked", layers.length ? (shares[at] ?? 0) : 0));
    draw(layers, positions, width, picked);
    const top = shares.map((share, at) => [share, at]).sort((a, b) => b[0] - a[0]).slice(0, 3).filter(([share]) => share > 0);
    const words = top.map(([share, at]) => `“${visible(engine.name(tokens[at].token))}” ${percent(share)}`);
    const by = tokens[chosen].phase === "answer" ? `when it chose “${visible(engine.name(tokens[chosen].token))}”` : "when it read this token";
    byId("attention-note").textContent = `${by}: most on ${words.join(", ")}`;
    byId("attention").setAttribute("aria-label", `Attention ${by}: most on ${words.join(", ")}`);
    byId("attention-step").textContent = engine.logits().BYTES_PER_ELEMENT === 2 ? "1/32768" : "1/256";
  }

  function draw(layers, positions, width, picked) {
    const svg = byId("attention");
    const made = [];
    let y = 0;
    let at = 0;
    for (const [layer, rows] of layers.entries()) {
      for (const [head, row] of rows.entries()) {
        const line = svgElement("g", { class: picked >= 0 && picked !== at ? "faint" : "" });
        line.append(svgElement("rect", { x: 0, y, width, height: 0.9, class: "ground" }));
        row.forEach((share, place) => {
          if (share < 0.01) return;
          const opacity = Math.sqrt(share).toFixed(3);
          const rect = svgElement("rect", { x: positions[place], y, width: 0.94, height: 0.9, "fill-opacity": opacity });
          const title = svgElement("title", {});
          title.textContent = `layer ${layer + 1}, head ${head + 1}: “${visible(engine.name(shown.tokens[positions[place]].token))}” ${percent(share)}`;
          rect.append(title);
          line.append(rect);
        });
        made.push(line);
        y += 1;
        at++;
      }
      y += 0.5;
    }
    svg.setAttribute("viewBox", `0 0 ${Math.max(width, 1)} ${Math.max(y - 0.5, 1)}`);
    svg.style.setProperty("--rows", String(Math.max(y, 1)));
    svg.replaceChildren(...made);
  }

  function svgElement(tag, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  byId("head").addEventListener("change", showAttention);

  // What it costs.

  function chosenBoard() {
    return byId("board") ? data.boards[Number(byId("board").value) || 0] : undefined;
  }

  function startBoards() {
    byId("board").replaceChildren(...data.boards.map(({ name, title }, at) => new Option(`${name} · ${title}`, String(at))));
    byId("board").addEventListener("change", showMemory);
    showMemory();
    showCosts();
  }

  function instructionsAt(board, position) {
    const measured = board.steps[position];
    return measured ?? Math.max(0, board.line[0] + board.line[1] * position);
  }

  /* An answer's steps: its last token is not read. */
  function costsOf(board, promptCount, answerCount) {
    const prompt = promptCount * board.promptToken;
    let answer = 0;
    let isBeyond = false;
    for (let position = promptCount; position < promptCount + answerCount - 1; position++) {
      answer += instructionsAt(board, position);
      isBeyond ||= (board.steps[position] ?? null) === null;
    }
    const promptMs = board.msPerInstruction.prompt.map((rate) => prompt * rate);
    const answerMs = board.msPerInstruction.answer.map((rate) => answer * rate);
    return { prompt, answer, promptMs, answerMs, ms: promptMs.map((ms, at) => ms + answerMs[at]), isBeyond };
  }

  function showCosts() {
    if (!byId("cost-rows")) return;
    const promptCount = shown ? shown.promptCount : 0;
    const answerCount = shown ? shown.tokens.length - promptCount : 0;
    const isAsked = promptCount > 0 && answerCount > 0;
    let note = "Ask something to see what its answer costs.";
    if (isAsked) note = `The last answer: ${promptCount} tokens of prompt, ${answerCount} of answer.`;
    else if (shown) note = "The model was not asked, so its steps cost nothing.";
    if (isAsked && data.boards.some((board) => costsOf(board, promptCount, answerCount).isBeyond)) {
      note += " Positions that no prompt of the pipeline reached are continued in a straight line.";
    }
    byId("cost-note").textContent = note;
    byId("cost-rows").replaceChildren(
      ...data.boards.map((board) => {
        const row = element("tr");
        const head = element("th", "", board.name);
        head.scope = "row";
        head.append(element("small", "", `${board.core}, ${format.format(board.clockHz / 1e6)} MHz; ${board.engine} on ${board.emulator}`));
        row.append(head);
        const { prompt, answer, ms } = costsOf(board, promptCount, answerCount);
        const cells = isAsked
          ? [count(prompt), count(answer), count(prompt + answer), ms[1].toFixed(0), `${ms[0].toFixed(0)} – ${ms[2].toFixed(0)}`]
          : ["–", "–", "–", "–", "–"];
        row.append(...cells.map((cell, at) => element("td", ["n part", "n part", "n", "n", "n wide"][at], cell)));
        return row;
      }),
    );
  }

  function count(value) {
    return format.format(Math.round(value));
  }

  const MEMORY = {
    flash: [["weights", "weights"], ["tables", "tables"], ["code", "code"]],
    ram: [["kv_cache", "KV cache"], ["activations", "activations"], ["application", "application"], ["stack", "stack"]],
  };

  function showMemory() {
    const board = chosenBoard();
    byId("memory-board").textContent = board.name;
    byId("memory").replaceChildren(
      ...Object.entries(MEMORY).map(([memory, parts]) => {
        const facts = board[memory];
        const block = element("div", "memory");
        const used = `${kilobytes(facts.total)} of ${kilobytes(facts.size)}`;
        block.append(element("p", "memory-name", `${memory === "ram" ? "RAM" : "Flash"}: ${used}, ${((100 * facts.total) / facts.size).toFixed(1)} %`));
        const bar = element("div", "stacked");
        bar.setAttribute("aria-hidden", "true");
        const whole = element("div", "stacked whole");
        whole.setAttribute("aria-hidden", "true");
        whole.style.setProperty("--part", facts.total / facts.size);
        const legend = element("ul", "legend");
        parts.forEach(([key, name], at) => {
          const part = element("i", `part-${at}`);
          part.style.flexGrow = String(facts[key]);
          bar.append(part);
          const item = element("li");
          item.append(element("i", `dot part-${at}`), `${name} ${kilobytes(facts[key])}`);
          if (key === "stack") item.append(`, ${format.format(facts.stack_peak)} bytes of it were in use`);
          legend.append(item);
        });
        block.append(whole, bar, legend);
        return block;
      }),
    );
  }

  function kilobytes(bytes) {
    return `${format.format(Number((bytes / 1024).toFixed(bytes < 102400 ? 1 : 0)))} KB`;
  }

  // Sampling.

  function sampling() {
    const value = (id) => Number(byId(id).value);
    return { temperature: value("temperature"), topK: value("top-k"), topP: value("top-p"), penalty: value("penalty"), seed: value("seed") };
  }

  function startSampling() {
    for (const output of document.querySelectorAll("#sampling output")) {
      const input = byId(output.htmlFor.value);
      const off = { temperature: ["0", "0: the likeliest"], "top-k": ["0", "all"] }[input.id];
      const show = () => (output.textContent = off && input.value === off[0] ? off[1] : input.value);
      input.addEventListener("input", show);
      show();
    }
  }

  // The same bytes as the board's.

  function startProof() {
    byId("proof-count").textContent = String(data.expected.length);
    byId("prove").disabled = false;
    byId("prove").addEventListener("click", () => {
      running = null;
      byId("proof-state").textContent = proof();
    });
  }

  function proof() {
    let steps = 0;
    for (const { text, count, tokens, crcs, next } of data.expected) {
      const said = decodeURIComponent(text);
      if (engine.isBound) engine.read(said); // a grammar begins anew
      engine.reset();
      for (let at = 0; at < tokens.length; at++, steps++) {
        engine.step(tokens[at]);
        if (engine.crc() !== crcs[at]) return `Step ${at} of “${said}” differs: ${engine.crc()}, the board’s is ${crcs[at]}.`;
        if (engine.isStructured) continue;
        const follows = at < count - 1 ? engine.greedy() : engine.best(1)[0].id;
        if (follows !== next[at]) return `Behind step ${at} of “${said}” another token follows.`;
        if (at >= count - 1) engine.take(follows);
      }
    }
    return `All ${format.format(steps)} steps are equal, every logit.`;
  }
})();
