/* Runs requests of standard input, a JSON object each line, on a module, and answers each with a line of JSON. */
const { Engine, ask } = require(process.argv[2]);
const { readFileSync } = require("fs");

async function main() {
  const engine = await Engine.create(readFileSync(process.argv[3]), JSON.parse(process.argv[4]));
  const requests = {
    steps: ({ tokens, observes }) => {
      engine.reset();
      return tokens.map((token) => {
        const attention = engine.step(token, observes);
        const { layers = [], positions = [] } = attention ?? {};
        const pairs = layers.map((heads) => heads.map((row) => Array.from(row, (share, at) => [positions[at], share])));
        return { crc: engine.crc(), logits: Array.from(engine.logits()), next: engine.greedy(), attention: pairs };
      });
    },
    ask: ({ sentence, options, sampling }) => {
      if (sampling) engine.sample(sampling);
      const events = [...ask(engine, sentence, { observes: false, ...options })];
      return events.map((event) => ({ ...event, name: event.token === undefined ? undefined : engine.name(event.token) }));
    },
    names: ({ entries }) => (entries === null ? (engine.restoreNames(), []) : engine.useNames(entries)),
  };
  for (const line of readFileSync(0, "utf-8").split("\n").filter(Boolean)) {
    const request = JSON.parse(line);
    let answer;
    try {
      answer = { ok: requests[request.do](request) };
    } catch (error) {
      answer = { error: error.message };
    }
    console.log(JSON.stringify(answer));
  }
}

main();
