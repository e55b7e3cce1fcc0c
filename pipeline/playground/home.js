"use strict";

/* The names that the model knows, as a list to edit. */
class HomeEditor {
  /**
   * @param {{names: {text: string, kind: number, value: string}[], kinds: string[], nameKinds: number[]}} data of the page
   * @param {Engine} engine that is told the names
   * @param {() => void} onChange called after each change
   */
  constructor(data, engine, onChange) {
    this._shipped = data.names;
    this._kinds = data.nameKinds.map((kind) => ({ kind, name: readable(data.kinds[kind]) }));
    this._kinds.sort((a, b) => a.name.localeCompare(b.name));
    this._engine = engine;
    this._onChange = onChange;
    this._list = byId("names");
    this._fillKinds(byId("new-kind"));
    byId("add-name").addEventListener("submit", (event) => {
      event.preventDefault();
      this._add();
    });
    byId("home-reset").addEventListener("click", () => this._reset());
    byId("home-filter").addEventListener("input", () => this._filter());
    this._reset(false);
  }

  _reset(tells = true) {
    this._entries = this._shipped.map((entry) => ({ ...entry }));
    this._list.replaceChildren(...this._entries.map((entry) => this._row(entry)));
    this._engine.restoreNames();
    this._problems([]);
    byId("home-filter").value = "";
    this._say("As it came with the model.");
    if (tells) this._onChange();
  }

  _add() {
    const [text, value] = [byId("new-text").value.trim(), byId("new-value").value.trim()];
    const entry = { text, kind: Number(byId("new-kind").value), value: value || text };
    this._entries.unshift(entry); // the first of equal names counts
    this._list.prepend(this._row(entry));
    byId("add-name").reset();
    byId("new-text").focus();
    this._use(`Added “${text}”.`);
  }

  _use(what) {
    this._problems(this._engine.useNames(this._entries));
    this._say(what);
    clearTimeout(this._timer);
    this._timer = setTimeout(this._onChange, 300);
  }

  _row(entry) {
    const row = element("li", "name");
    const field = (label, key) => {
      const input = element("input");
      input.type = "text";
      input.value = entry[key];
      input.maxLength = 255;
      input.setAttribute("aria-label", label);
      input.addEventListener("input", () => {
        entry[key] = input.value.trim();
        this._use(`Changed “${entry.text}”.`);
      });
      return input;
    };
    const kinds = element("select");
    kinds.setAttribute("aria-label", "It is a");
    this._fillKinds(kinds);
    kinds.value = String(entry.kind);
    kinds.addEventListener("change", () => {
      entry.kind = Number(kinds.value);
      this._use(`Changed “${entry.text}”.`);
    });
    const remove = element("button", "remove", "Remove");
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove ${entry.text}`);
    remove.addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      this._entries.splice(this._entries.indexOf(entry), 1);
      row.remove();
      (next?.querySelector(".remove") ?? byId("new-text")).focus();
      this._use(`Removed “${entry.text}”.`);
    });
    row.append(field("People say", "text"), kinds, field("The answer holds", "value"), remove);
    return row;
  }

  _fillKinds(select) {
    select.replaceChildren(...this._kinds.map(({ kind, name }) => new Option(name, String(kind))));
  }

  _filter() {
    const wanted = byId("home-filter").value.trim().toLowerCase();
    this._entries.forEach((entry, index) => {
      const all = `${entry.text} ${entry.value} ${this._kinds.find(({ kind }) => kind === entry.kind)?.name}`;
      this._list.children[index].hidden = !all.toLowerCase().includes(wanted);
    });
  }

  _problems(problems) {
    byId("home-problems").hidden = problems.length === 0;
    byId("home-problems").replaceChildren(...problems.map((problem) => element("li", "", problem)));
  }

  _say(what) {
    byId("home-state").textContent = what;
    byId("home-count").textContent = `All ${this._entries.length} names`;
  }
}

function byId(id) {
  return document.getElementById(id);
}

function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

function readable(name) {
  return name.replaceAll("_", " ");
}
