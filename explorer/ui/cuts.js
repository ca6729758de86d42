// The cut panel: histograms with draggable cuts, whose numbers come from prefix sums of leave-one-out curves (cuts.py, curves.py).
//
// Three facts make every shown number right without asking Python:
//   1. curve k holds the rows that pass all OTHER rules, so it answers any position of rule k while the others stand still;
//   2. `dirty` lists the rules that differ from the payload: while it is empty or {k}, curve k is valid;
//   3. otherwise (a second rule is moved before the answer to the first has come) the last right numbers stay, marked as waiting.
// Names come from the reader's files, so they only ever reach the page as text.

const SLOTS = 256, NULL = 255, TOP = 48, TAIL = 14; // plot: 48 px of bars, 14 px of ticks
const HELP = "Type an exact value (50, 0.8, 100k); Enter applies it, empty means no cut";
const panels = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector("#cut-panel");
  if (!root || !data) return;
  let panel = panels.get(parentElement);
  if (!panel || panel.root !== root) {
    panel?.close();
    panels.set(parentElement, (panel = new Panel(root)));
  }
  panel.send = (message) => setStateValue("event", message);
  panel.receive(data);
  return () => {
    panel.close();
    panels.delete(parentElement);
  };
}

// --- numbers as text --------------------------------------------------------------------------------------------------

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const PLAIN = new Intl.NumberFormat("en-US", { maximumFractionDigits: 12, useGrouping: false });
const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 12 });
const exactly = (x) => WHOLE.format(x);
function compact(x) {
  if (x < 10_000) return exactly(x);
  if (x >= 1e15) return x.toExponential(1);
  const power = Math.min(4, Math.floor(Math.log10(x * 1.0000001) / 3));
  const scaled = x / 1000 ** power;
  return scaled.toFixed(scaled >= 100 ? 1 : 2).replace(/^(\d\d\.\d)\d$/, "$1") + " " + ["", "k", "M", "B", "T"][power];
}
function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  if (part > 0 && percent < 0.05) return "<0.1 %";
  if (part < whole && percent > 99.95) return ">99.9 %";
  return (percent === 0 || percent === 100 ? percent.toFixed(0) : percent.toFixed(1)) + " %";
}
const minus = (text) => (/^[0<–]/.test(text) && !/^0\./.test(text) ? text : "−" + text);
function shown(v) {
  if (v === null) return "";
  if (v !== 0 && (Math.abs(v) >= 1e15 || Math.abs(v) < 1e-6)) return String(v);
  return (Math.abs(v) >= 10_000 ? GROUPED : PLAIN).format(v);
}
function typed(text) {
  const found = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([kmb]?)$/i.exec(text.replace(/[,\s_]/g, "").replace("−", "-"));
  return found ? Number(found[1]) * { "": 1, k: 1e3, m: 1e6, b: 1e9 }[found[2].toLowerCase()] : NaN;
}

// --- axes -------------------------------------------------------------------------------------------------------------

const LINEAR = { of: (v) => v };
function logarithmic(knee) {
  // Logarithmic beyond the knee, linear through zero: a column of zeros and small shares stays readable.
  return { of: (v) => Math.sign(v) * Math.log10(1 + Math.abs(v) / knee), knee };
}
const LOG = { of: (v) => Math.log10(v) };

function quantile(values, masses, total, q) {
  let seen = 0;
  for (let i = 0; i < masses.length; i++) if ((seen += masses[i]) >= q * total && masses[i]) return values[i];
  return values[values.length - 1];
}

function ticks(axis, first, last, logScale) {
  const out = [];
  if (!logScale) {
    const raw = (last - first) / 5 || 1, size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * size).find((s) => s >= raw);
    for (let v = Math.ceil(first / step - 1e-9) * step; v <= last + step * 1e-9; v += step) out.push(Math.abs(v) < step * 1e-9 ? 0 : v);
    return out;
  }
  if (first <= 0) out.push(0);
  for (const sign of first < 0 ? [1, -1] : [1]) {
    const from = axis.knee ? Math.ceil(Math.log10(axis.knee) - 1e-9) : Math.ceil(Math.log10(first) - 1e-9);
    const to = Math.floor(Math.log10(Math.max(Math.abs(first), Math.abs(last))) + 1e-9);
    for (let p = from; p <= to; p++) {
      const v = sign * 10 ** p;
      if (v >= first && v <= last) out.push(v);
    }
  }
  if (out.length < 3 && first > 0) return ticks(LINEAR, first, last, false);
  return out;
}
function tick(v) {
  const size = Math.abs(v), sign = v < 0 ? "−" : "";
  if (size >= 1e15) return sign + size.toExponential(0);
  if (size < 10_000) return String(Number(v.toPrecision(6))).replace("-", "−");
  return sign + compact(size).replace(/\.0+ /, " ").replace(/(\.\d*[1-9])0+ /, "$1 ").replace(" ", "");
}

// --- small DOM --------------------------------------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node[name] = value;
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter(Boolean));
  return node;
}
function say(node, text, title) {
  if (node.textContent !== text) node.textContent = text;
  if (title !== undefined && node.title !== title) node.title = title;
}

function attribute(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

// --- one rule ---------------------------------------------------------------------------------------------------------

class Row {
  constructor(panel, index) {
    this.panel = panel;
    this.index = index;
    this.touched = 0; // the event that last changed this rule here; Infinity while it is being changed
    this.logChoice = null;
    this.build();
  }

  receive(rule, sequence) {
    const busy = this.touched > sequence;
    this.rule = rule;
    this.base = { minimum: rule.minimum, maximum: rule.maximum, low: rule.low, high: rule.high, enabled: rule.enabled, exact: true };
    this.inexact = { minimum: false, maximum: false };
    if (!busy) this.local = { ...this.base };
    else { // bins may have changed under the reader's hand: find the same values again
      const { minimum, maximum, enabled } = this.local;
      this.local = { ...this.base, enabled };
      this.set("minimum", minimum);
      this.set("maximum", maximum);
    }
    this.describe();
    this.measure();
    this.label();
  }

  get dirty() {
    const a = this.local, b = this.base;
    return a.minimum !== b.minimum || a.maximum !== b.maximum || a.enabled !== b.enabled;
  }

  positions(side) { return side === "minimum" ? this.rule.atLeast : this.rule.atMost; }

  // Move a cut. `exact` turns false for a typed value that is no bin edge: only Python can count that.
  set(side, value) {
    const { values, codes } = this.positions(side);
    const code = side === "minimum" ? "low" : "high";
    this.local[side] = value;
    let exact = true;
    if (value === null) this.local[code] = side === "minimum" ? 0 : NULL - 1;
    else if (value === this.base[side]) this.local[code] = this.base[code];
    else {
      const at = nearest(values, value);
      exact = at >= 0 && values[at] === value;
      if (at >= 0) this.local[code] = codes[at];
    }
    this.inexact[side] = !exact;
    this.local.exact = !this.inexact.minimum && !this.inexact.maximum;
  }

  // Prefix sums over codes: kept documents and tokens of any range cost one subtraction a group.
  sumUp(documents, tokens, allDocuments, allTokens, groups) {
    this.curve = { documents, tokens, allDocuments, allTokens };
    this.prefix = { documents: prefix(documents, groups), tokens: prefix(tokens, groups) };
    this.allPrefix = { documents: prefix(allDocuments, 1), tokens: prefix(allTokens, 1) };
  }

  kept(groups, out) {
    const { low, high, enabled } = this.local;
    for (const what of ["documents", "tokens"]) {
      const sums = this.prefix[what], curve = this.curve[what], to = out[what];
      for (let g = 0; g < groups; g++) {
        let sum = !enabled ? sums[NULL * groups + g] : low <= high ? sums[(high + 1) * groups + g] - sums[low * groups + g] : 0;
        if (!enabled || this.rule.nullPasses) sum += curve[NULL * groups + g];
        to[g] = sum;
      }
    }
  }

  // Rows this rule drops whatever the others say, and rows that it alone drops.
  dropped(what, groups) {
    const { low, high } = this.local;
    const part = (sums, curve, n) => {
      let lost = 0;
      for (let g = 0; g < n; g++) {
        const inside = low <= high ? sums[(high + 1) * n + g] - sums[low * n + g] : 0;
        lost += sums[NULL * n + g] - inside + (this.rule.nullPasses ? 0 : curve[NULL * n + g]);
      }
      return lost;
    };
    return {
      alone: part(this.allPrefix[what], this.curve[what === "documents" ? "allDocuments" : "allTokens"], 1),
      only: part(this.prefix[what], this.curve[what], groups),
    };
  }

  // --- drawing ---

  build() {
    const guard = (run) => (event) => { event.preventDefault(); run(event); };
    const el = (this.el = {});
    const change = (side) => (event) => {
      if (event.key === "Enter") this.commitTyped(side, event.target);
      else if (event.key === "Escape") event.target.blur();
      else if (event.key === "Tab") return;
      else if (event.key === "ArrowUp" || event.key === "ArrowDown") { event.preventDefault(); this.editing = null; this.step(side, (event.key === "ArrowUp" ? 1 : -1) * (event.shiftKey ? 5 : 1)); }
    };
    el.box = make("input", { type: "checkbox", onchange: () => { this.local.enabled = el.box.checked; this.panel.moved(this); this.panel.commit(this, "enabled"); } });
    el.name = make("span", { class: "name" });
    el.unit = make("div", { class: "unit" });
    el.nulls = make("div", { class: "nulls" });
    el.canvas = make("canvas", { "aria-hidden": "true" });
    el.axis = make("button", { class: "axis", type: "button", onclick: () => { this.logChoice = !this.log; this.measure(); this.draw(); this.place(); } });
    el.published = make("div");
    el.bubble = make("div", { class: "bubble", "aria-hidden": "true" });
    el.handles = {};
    for (const side of ["minimum", "maximum"]) {
      const handle = make("div", { class: "handle", role: "slider", tabindex: "0", "data-side": side, "aria-orientation": "horizontal" });
      handle.onkeydown = (event) => this.key(side, event);
      handle.onblur = () => { handle.classList.remove("pointed"); this.panel.flush(this); };
      el.handles[side] = handle;
    }
    el.plot = make("div", { class: "plot" }, el.canvas, el.published, el.handles.minimum, el.handles.maximum, el.bubble);
    el.plot.onpointerdown = (event) => this.grab(event);
    el.plot.onpointermove = (event) => this.drag(event);
    el.plot.onpointerup = (event) => this.release(event);
    el.plot.onpointercancel = () => this.abandon();
    el.plot.onpointerleave = () => { if (!this.dragging) el.bubble.classList.remove("shown"); };
    el.inputs = {};
    el.signs = {};
    for (const side of ["minimum", "maximum"]) {
      el.signs[side] = make("span", { "aria-hidden": "true" });
      el.inputs[side] = make("input", { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", placeholder: "no cut", "data-input": side, title: HELP, onkeydown: change(side), oninput: (event) => { this.editing = event.target; }, onblur: () => this.stopTyping(side) });
    }
    el.cut = make("div", { class: "cut" }, ...["minimum", "maximum"].map((side) => make("label", {}, el.signs[side], el.inputs[side])));
    el.alone = make("div", { class: "number alone", "data-label": "alone" }, make("span"), make("small"));
    el.only = make("div", { class: "number only", "data-label": "only this" }, make("span"), make("small"));
    el.near = make("button", { type: "button", class: "near", text: "near the cut", title: "Read documents just below and just above this cut", onclick: guard(() => this.panel.commit(this, "focus")) });
    el.remove = make("button", { type: "button", class: "remove", text: "✕", onclick: guard(() => { this.local.enabled = false; this.panel.moved(this); this.panel.commit(this, "remove"); }) });
    this.node = make("div", { class: "rule", role: "group", "data-rule": String(this.index) },
      make("div", { class: "what" }, make("label", {}, el.box, el.name), el.unit, el.nulls), el.plot, el.cut, el.alone, el.only, make("div", { class: "act" }, el.near, el.remove, el.axis));
  }

  // What the rule is: once a payload.
  describe() {
    const { rule, el } = this;
    this.sides = rule.direction === "higher_is_better" ? ["minimum"] : rule.direction === "lower_is_better" ? ["maximum"] : ["minimum", "maximum"];
    attribute(this.node, "aria-label", rule.signal);
    attribute(el.box, "aria-label", `${rule.signal} takes part`);
    say(el.name, rule.signal, rule.about ? `${rule.signal}: ${rule.about}` : rule.signal);
    say(el.unit, rule.unit, rule.unit);
    el.unit.hidden = !rule.unit;
    el.nulls.hidden = !rule.nulls;
    say(el.nulls, `${compact(rule.nulls)} undefined: ${rule.nullPasses ? "kept" : "dropped"}`, `${exactly(rule.nulls)} documents have no value of ${rule.signal}`);
    attribute(el.remove, "aria-label", `Remove ${rule.signal}`);
    el.remove.title = "Remove this rule";
    for (const side of ["minimum", "maximum"]) {
      const sign = (side === "minimum" ? ">" : "<") + (rule.exclusive ? "" : "="), { values } = this.positions(side);
      say(el.signs[side], { ">=": "≥", "<=": "≤" }[sign] ?? sign);
      attribute(el.inputs[side], "aria-label", `${rule.signal} at ${side === "minimum" ? "least" : "most"}`);
      attribute(el.handles[side], "aria-label", `${rule.signal}, ${side === "minimum" ? "lower" : "upper"} cut`);
      attribute(el.handles[side], "aria-valuemin", values[0] ?? 0);
      attribute(el.handles[side], "aria-valuemax", values.at(-1) ?? 0);
    }
  }

  // Where its cuts are: at every move.
  label() {
    const { rule, local, el } = this;
    this.node.classList.toggle("off", !local.enabled);
    el.box.checked = local.enabled;
    for (const side of ["minimum", "maximum"]) {
      const value = local[side], text = shown(value), { values } = this.positions(side), input = el.inputs[side], handle = el.handles[side];
      const offered = this.sides.includes(side) || value !== null;
      handle.hidden = !offered;
      handle.classList.toggle("none", value === null);
      input.parentNode.classList.toggle("spare", !offered);
      if (this.editing !== input && input.value !== text) input.value = text;
      attribute(handle, "aria-valuenow", value ?? (side === "minimum" ? values[0] : values.at(-1)) ?? 0);
      attribute(handle, "aria-valuetext", value === null ? "no cut" : `${side === "minimum" ? "at least" : "at most"} ${text} ${rule.unit}`.trim());
    }
  }

  // Axis, bars' masses and published lines: whatever does not move with a cut.
  measure() {
    const { rule } = this;
    const { values, codes } = rule.atLeast;
    // Segments between neighbouring positions. The float just above a position starts a bin of its own in the codes; drawn, the
    // two are one segment, so that a value with many ties is a bar and not an infinitely thin line.
    this.segments = values.map((v, i) => ({ first: i ? codes[i] : 0, last: i + 1 < codes.length ? codes[i + 1] - 1 : NULL - 1, from: v, to: values[Math.min(i + 1, values.length - 1)] }));
    const all = this.allPrefix.documents;
    // Counts and grades: nearly all documents sit on a few values. Each value is then a bar of its own, an upper cut lies after it.
    const ties = codes.reduce((sum, c) => sum + all[c + 1] - all[c], 0);
    // Only where values stand at even steps: elsewhere the end of a value's bar would say nothing about where its cut lies.
    const step = values[1] - values[0], even = values.every((v, i) => !i || Math.abs(v - values[i - 1] - step) < 1e-6 * step);
    this.discrete = values.length > 1 && values.length <= 64 && even && ties > 0.98 * all[NULL];
    if (this.discrete) this.segments.at(-1).to += values.at(-1) - values.at(-2);
    else if (this.segments.length > 1) this.segments[this.segments.length - 2].last = this.segments.pop().last;
    // A value that nearly all documents of its segment share (0, most often) stands as one thin bar where it is.
    if (!this.discrete) this.segments = this.segments.flatMap((s, i) => {
      const tie = codes[i], whole = all[s.last + 1] - all[s.first];
      if (tie <= s.first - 1 || tie >= s.last || all[tie + 1] - all[tie] < 0.8 * whole) return [s];
      return [{ first: s.first, last: tie, from: s.from, to: s.from }, { first: tie + 1, last: s.last, from: s.from, to: s.to }];
    });
    const masses = this.segments.map((s) => all[s.last + 1] - all[s.first]);
    const total = masses.reduce((a, b) => a + b, 0);
    const marks = [rule.minimum, rule.maximum, this.local.minimum, this.local.maximum, ...rule.published.map((p) => p.value)].filter((v) => v !== null && Number.isFinite(v));
    const starts = this.segments.map((s) => s.from);
    let first = values.length ? values[0] : 0, last = values.length ? values[values.length - 1] : 1;
    if (total) { first = quantile(starts, masses, total, 0); last = this.segments.findLast((s, i) => masses[i] > 0).to; }
    first = Math.min(first, ...marks);
    last = Math.max(last, ...marks);
    if (first === last) { const pad = Math.abs(first) * 0.1 || 1; first -= pad; last += pad; }
    const q = (p) => (total ? quantile(starts, masses, total, p) : first);
    const low = q(0.05), middle = q(0.5), high = q(0.95), bulk = high - low;
    const tailed = last - first > 12 * bulk || (middle > low && high - middle > 3 * (middle - low));
    const share = first >= 0 && last <= 1.0001 && bulk > 0.02; // fractions read best as they are
    const skewed = total > 0 && !this.discrete && !share && tailed;
    this.log = this.logChoice ?? rule.log ?? skewed;
    if (!this.log) this.axis = LINEAR;
    else if (first > 0) this.axis = LOG;
    else {
      const sizes = starts.map((v, i) => [Math.abs(v), masses[i]]).filter((p) => p[0] > 0).sort((a, b) => a[0] - b[0]);
      const weight = sizes.reduce((a, p) => a + p[1], 0);
      const knee = sizes.length ? quantile(sizes.map((p) => p[0]), sizes.map((p) => p[1]), weight, 0.05) : 1;
      this.axis = logarithmic(Math.max(knee, Math.max(Math.abs(first), Math.abs(last)) * 1e-6) || 1);
    }
    this.range = [first, last];
    const from = this.axis.of(first), to = this.axis.of(last);
    this.x = (v) => Math.min(1, Math.max(0, (this.axis.of(Math.min(last, Math.max(first, v))) - from) / (to - from || 1)));
    say(this.el.axis, this.log ? "x: log" : "x: linear", "Switch the axis between linear and logarithmic");
    this.bars = null;
    const lines = rule.published.map((p) => {
      const sign = p.side === "minimum" ? (rule.exclusive ? ">" : "≥") : rule.exclusive ? "<" : "≤";
      const text = `${p.label} ${sign} ${shown(p.value)}`;
      const button = make("button", { type: "button", class: "published" + (this.x(p.value) > 0.6 ? " flip" : ""), tabindex: "-1", title: p.source, "aria-label": `Cut at ${text}`, onclick: () => this.snap(p.side, p.value) }, make("span", { text: p.source ? `${text} · ${p.source}` : text }));
      button.onpointerdown = (event) => event.stopPropagation();
      button.dataset.x = String(this.at(p.side, p.value));
      return button;
    });
    this.el.published.replaceChildren(...lines);
  }

  // Mass of every bar and the part of it that this rule keeps, from segments spread evenly over the axis between their ends.
  rebin(count) {
    const { low, high, enabled } = this.local;
    const { all, groups } = this.panel.view();
    const sums = all ? this.allPrefix.documents : this.prefix.documents, n = all ? 1 : groups;
    const mass = new Float64Array(count), kept = new Float64Array(count);
    for (const s of this.segments) {
      let total = 0, inside = 0;
      const a = Math.max(s.first, low), b = Math.min(s.last, high);
      for (let g = 0; g < n; g++) {
        total += sums[(s.last + 1) * n + g] - sums[s.first * n + g];
        if (!enabled) continue;
        if (a <= b) inside += sums[(b + 1) * n + g] - sums[a * n + g];
      }
      if (!total) continue;
      const from = this.x(s.from) * count, to = Math.max(this.x(s.to) * count, from + 1e-9);
      for (let i = Math.min(count - 1, Math.floor(from)); i < Math.min(count, Math.ceil(to)); i++) {
        const overlap = (Math.min(to, i + 1) - Math.max(from, i)) / (to - from);
        if (overlap > 0) { mass[i] += total * overlap; kept[i] += inside * overlap; }
      }
    }
    return { mass, kept };
  }

  draw() {
    const { canvas } = this.el, width = this.panel.plotWidth(this), ratio = window.devicePixelRatio || 1;
    if (!width) return;
    const height = TOP + TAIL;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const g = canvas.getContext("2d"), ink = this.panel.ink;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const count = Math.max(20, Math.floor(width / 4)), step = width / count;
    const { mass, kept } = this.rebin(count);
    let peak = 0;
    const filled = [];
    for (const m of mass) if (m > 0) { peak = Math.max(peak, m); filled.push(m); }
    filled.sort((a, b) => a - b);
    const spiky = filled.length > 4 && peak > 4 * filled[Math.floor(filled.length * 0.93)]; // a few bars dwarf the rest
    const logHeight = this.panel.heights === "log" || (this.panel.heights === "auto" && spiky);
    const floor = filled.length ? Math.max(filled[Math.floor(filled.length * 0.02)] / 2, peak * 1e-6) : 1;
    const scale = logHeight ? (m) => Math.log1p(m / floor) / Math.log1p(peak / floor) : (m) => m / peak;
    for (let i = 0; i < count; i++) {
      if (!mass[i]) continue;
      const tall = Math.max(1, scale(mass[i]) * (TOP - 2)), part = this.local.enabled ? tall * Math.min(1, kept[i] / mass[i]) : 0;
      g.fillStyle = this.local.enabled ? ink.dropped : ink.faint;
      g.fillRect(i * step, TOP - tall, step - 0.75, tall - part);
      g.fillStyle = ink.kept;
      g.fillRect(i * step, TOP - part, step - 0.75, part);
    }
    g.fillStyle = ink.faint;
    g.fillRect(0, TOP, width, 1);
    g.fillStyle = ink.muted;
    g.font = `10px ${ink.font}`;
    let clear = -1;
    for (const v of ticks(this.axis, this.range[0], this.range[1], this.log)) {
      const x = this.x(v) * width, text = tick(v), wide = g.measureText(text).width;
      const left = Math.min(width - wide, Math.max(0, x - wide / 2));
      if (left < clear) continue;
      g.fillRect(Math.min(width - 1, x), TOP, 1, 3);
      g.fillText(text, left, TOP + TAIL - 1);
      clear = left + wide + 8;
    }
    if (logHeight) { g.textAlign = "right"; g.fillText("log heights", width, 9); g.textAlign = "left"; }
    if (!filled.length) g.fillText(this.nothing(), 18, TOP / 2);
  }

  // Why there is no bar.
  nothing() {
    const all = this.allPrefix.documents;
    if (!all[NULL]) return "no document has a score";
    if (!this.rule.atLeast.values.length) return "every value is infinite";
    return "no scored document passes the other rules";
  }

  // Where a cut is drawn, 0 … 1.
  at(side, value) {
    if (value === null) return side === "minimum" ? 0 : 1;
    const after = this.discrete && (side === "maximum") !== this.rule.exclusive;
    return this.x(after ? this.segments.find((s) => s.from === value)?.to ?? value : value);
  }

  place() {
    const width = this.panel.plotWidth(this);
    for (const side of ["minimum", "maximum"]) this.el.handles[side].style.transform = `translateX(${(this.at(side, this.local[side]) * width).toFixed(1)}px)`;
    for (const line of this.el.published.children) line.style.transform = `translateX(${(line.dataset.x * width).toFixed(1)}px)`;
  }

  numbers() {
    const { documents, tokens } = this.panel.meta.base;
    const allDocuments = documents.reduce((a, b) => a + b, 0), allTokens = tokens.reduce((a, b) => a + b, 0);
    const groups = this.panel.view().groups, label = this.panel.meta.totals.label;
    const d = this.dropped("documents", groups), t = this.dropped("tokens", groups);
    const [alone, only] = [this.el.alone, this.el.only];
    const idle = this.local.minimum === null && this.local.maximum === null && d.alone === 0;
    only.children[0].classList.remove("warn");
    if (idle) {
      for (const cell of [alone, only]) { say(cell.children[0], "–"); say(cell.children[1], ""); cell.title = "No cut yet: drag the handle or type a value"; }
      return;
    }
    say(alone.children[0], minus(share(d.alone, allDocuments)));
    say(alone.children[1], minus(share(t.alone, allTokens)) + " tok");
    alone.title = `Fails this rule, whatever the others say: ${exactly(d.alone)} documents, ${exactly(t.alone)} ${label}`;
    const redundant = this.local.enabled && d.only === 0;
    say(only.children[0], redundant ? (d.alone === 0 ? "drops none" : "⚠ redundant") : minus(share(d.only, allDocuments)));
    only.children[0].classList.toggle("warn", redundant && d.alone > 0);
    say(only.children[1], redundant ? (d.alone ? "others drop them" : "") : minus(share(t.only, allTokens)) + " tok");
    only.title = redundant && d.alone > 0 ? "Every document that fails this rule fails another one too" : `Fails this rule and no other: ${exactly(d.only)} documents, ${exactly(t.only)} ${label}`;
  }

  // --- moving ---

  grab(event) {
    if (event.button) return;
    const sides = ["minimum", "maximum"].filter((side) => !this.el.handles[side].hidden);
    if (!sides.length) return;
    const { left, width } = this.el.plot.getBoundingClientRect(), x = (event.clientX - left) / width;
    this.box = { left, width }; // read once: asking again at every move would force a layout
    const at = (side) => this.at(side, this.local[side]);
    const direct = event.composedPath().find((n) => n.dataset?.side)?.dataset.side;
    const side = direct ?? sides.reduce((a, b) => (Math.abs(x - at(a)) <= Math.abs(x - at(b)) ? a : b));
    const touch = event.pointerType === "touch";
    if (touch && !direct) return; // a finger on the bars scrolls the page; on a handle it drags
    event.preventDefault();
    this.before = { ...this.local };
    this.dragging = side;
    this.grip = direct ? x - at(side) : 0; // a handle does not jump to the pointer
    this.touched = Infinity;
    this.panel.active = this;
    try { this.el.plot.setPointerCapture(event.pointerId); } catch { /* a pointer that is already gone */ }
    this.el.handles[side].classList.add("dragging", "pointed");
    this.el.handles[side].focus({ preventScroll: true });
    if (!direct) this.drag(event);
    else this.showBubble(side);
  }

  drag(event) {
    if (!this.dragging) return this.read(event);
    const started = performance.now();
    const x = (event.clientX - this.box.left) / this.box.width - this.grip;
    this.moveTo(this.dragging, this.closest(this.dragging, x));
    this.showBubble(this.dragging);
    this.panel.root.dataset.ms = String(performance.now() - started);
  }

  release(event) {
    if (!this.dragging) return;
    const side = this.dragging;
    this.drag(event);
    this.letGo();
    if (this.local[side] === this.before[side]) { this.touched = this.panel.sequence; this.panel.moved(this); }
    else this.panel.commit(this, "cuts");
  }

  abandon() {
    if (!this.dragging) return;
    this.local = this.before;
    this.letGo();
    this.touched = this.panel.sequence;
    this.panel.moved(this);
  }

  letGo() {
    this.el.handles[this.dragging].classList.remove("dragging");
    this.el.bubble.classList.remove("shown");
    this.dragging = null;
    this.panel.active = null;
  }

  showBubble(side) {
    const value = this.local[side];
    this.showAt(this.at(side, value), this.panel.plotWidth(this), value === null ? "no cut" : `${this.el.signs[side].textContent} ${shown(value)}`, false);
  }

  // The pointer rests on a bar: which value, and how much lies below it.
  read(event) {
    if (event.pointerType === "touch" || event.composedPath()[0] !== this.el.canvas) return this.el.bubble.classList.remove("shown");
    const { left, width } = this.el.plot.getBoundingClientRect(), x = (event.clientX - left) / width;
    const { values, codes } = this.rule.atLeast, { all, groups } = this.panel.view();
    const at = nearest(values.map((v) => this.x(v)), x), n = all ? 1 : groups, sums = all ? this.allPrefix.documents : this.prefix.documents;
    if (at < 0) return;
    let below = 0, total = 0;
    for (let g = 0; g < n; g++) { below += sums[codes[at] * n + g]; total += sums[NULL * n + g]; }
    this.showAt(x, width, `${shown(values[at])}: ${share(below, total)} ${this.rule.exclusive ? "at or below" : "below"}`, true);
  }

  showAt(x, width, text, reading) {
    const { bubble } = this.el;
    say(bubble, text);
    bubble.classList.add("shown");
    bubble.classList.toggle("reading", reading);
    bubble.style.transform = `translateX(clamp(0px, calc(${(x * width).toFixed(1)}px - 50%), calc(${width}px - 100%)))`;
  }

  // Candidate values of a handle, "no cut" included, that do not cross the other handle.
  choices(side) {
    const { values } = this.positions(side), other = this.local[side === "minimum" ? "maximum" : "minimum"];
    const own = this.base[side];
    let list = values;
    if (own !== null && !list.includes(own)) list = [...list, own].sort((a, b) => a - b);
    if (other !== null) list = list.filter((v) => (side === "minimum" ? v <= other : v >= other));
    return side === "minimum" ? [null, ...list] : [...list, null];
  }

  closest(side, x) {
    if (side === "minimum" && x <= 0) return null;
    if (side === "maximum" && x >= 1) return null;
    let best = null, distance = Infinity;
    for (const v of this.choices(side)) {
      if (v === null) continue;
      const away = Math.abs(this.at(side, v) - x);
      if (away < distance) { best = v; distance = away; }
    }
    return best;
  }

  moveTo(side, value) {
    if (value !== this.local[side]) this.set(side, value);
    this.panel.moved(this);
  }

  step(side, by) {
    const list = this.choices(side);
    let at = list.indexOf(this.local[side]);
    if (at < 0) at = nearest(list.map((v) => v ?? (side === "minimum" ? -Infinity : Infinity)), this.local[side]);
    this.stepTo(side, list[Math.min(list.length - 1, Math.max(0, at + by))]);
  }

  stepTo(side, value) {
    const started = performance.now();
    this.touched = Infinity;
    this.moveTo(side, value);
    this.panel.root.dataset.ms = String(performance.now() - started);
    this.panel.later(this);
  }

  key(side, event) {
    this.el.handles[side].classList.remove("pointed");
    const big = event.shiftKey ? 5 : 1, list = this.choices(side);
    const moves = { ArrowRight: big, ArrowUp: big, ArrowLeft: -big, ArrowDown: -big, PageUp: 10, PageDown: -10 };
    if (event.key in moves) this.step(side, moves[event.key]);
    else if (event.key === "Home") this.stepTo(side, list[0]);
    else if (event.key === "End") this.stepTo(side, list[list.length - 1]);
    else if (event.key === "Escape" && this.dragging) this.abandon();
    else if (event.key === "Enter") this.panel.flush(this);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  snap(side, value) {
    this.moveTo(side, value);
    this.panel.commit(this, "cuts");
  }

  stopTyping(side) {
    const input = this.el.inputs[side];
    this.editing = null;
    input.removeAttribute("aria-invalid");
    input.title = HELP;
    this.label(); // what was not entered is taken back
    this.panel.flush(this);
  }

  commitTyped(side, input) {
    const text = input.value.trim(), value = text === "" ? null : typed(text);
    if (Number.isNaN(value)) {
      input.setAttribute("aria-invalid", "true");
      input.title = `“${text}” is not a number. Type 50, 0.8, 1e6 or 100k, or leave it empty for no cut.`;
      return;
    }
    if (value === this.local[side] && this.touched !== Infinity) return this.stopTyping(side);
    this.set(side, value);
    this.stopTyping(side);
    this.measure(); // a typed value may lie beyond the axis
    this.panel.moved(this);
    this.panel.commit(this, "cuts");
  }
}

function prefix(values, groups) {
  const sums = new Float64Array(SLOTS * groups); // row c: codes below c; row 255: all but null
  for (let c = 1; c < SLOTS; c++) for (let g = 0; g < groups; g++) sums[c * groups + g] = sums[(c - 1) * groups + g] + values[(c - 1) * groups + g];
  return sums;
}

function nearest(values, value) {
  let best = -1;
  for (let i = 0; i < values.length; i++) if (best < 0 || Math.abs(values[i] - value) < Math.abs(values[best] - value)) best = i;
  return best;
}

// --- the panel --------------------------------------------------------------------------------------------------------

class Panel {
  constructor(root) {
    this.root = root;
    this.rows = [];
    this.sequence = 0; // of the last event sent
    this.heights = "auto";
    this.scope = "others";
    this.active = null;
    this.widths = new Map();
    const el = (this.el = {});
    root.replaceChildren();
    el.answer = make("div", { class: "answer", role: "status" }, make("b"), make("span"), make("b"), make("span"), make("b", { class: "share" }), make("span", { class: "pending", text: "counting …" }));
    el.by = make("span", { class: "segments", role: "group", "aria-label": "Group by" });
    el.byText = make("span", {}, "tokens kept by", el.by);
    el.scope = this.segments("Documents in the histograms", [["others", "others applied"], ["all", "all documents"]], () => this.scope, (v) => { this.scope = v; this.redraw(); });
    el.heights = this.segments("Heights", [["auto", "auto"], ["linear", "linear"], ["log", "log"]], () => this.heights, (v) => { this.heights = v; this.redraw(); });
    el.view = make("span", {}, "distribution", el.scope, "\u2003heights", el.heights);
    el.groups = make("div", { class: "groups" });
    el.top = make("div", { class: "top" }, el.answer, make("div", { class: "switches" }, el.byText, el.view), el.groups);
    el.head = make("div", { class: "head", "aria-hidden": "true" }, ...["rule", "", "cut", "alone", "only this", ""].map((text, i) => make("span", { text, class: i === 3 || i === 4 ? "right" : null })));
    el.head.children[3].title = "Share of documents (and of tokens) that fail this rule, whatever the others say";
    el.head.children[4].title = "Share that fails this rule and no other: what switching it off would bring back";
    el.rules = make("div", { class: "rules" });
    el.empty = make("div", { class: "empty", hidden: true }, make("b", { text: "No rule yet: everything is kept" }), "Add a rule or start from a published recipe; its distribution and cut appear here.");
    el.hint = make("div", { class: "hint", text: "Drag a handle, or focus it and use ← → (Shift ×5, Page ×10, Home and End). Dashed lines are published cuts: click one to use it." });
    root.append(el.top, el.head, el.rules, el.empty, el.hint);
    this.resized = new ResizeObserver(() => { this.widths.clear(); this.redraw(); });
    this.resized.observe(root);
  }

  close() {
    this.resized.disconnect();
    clearTimeout(this.timer);
  }

  segments(label, options, current, choose) {
    const buttons = options.map(([value, text]) => make("button", { type: "button", text, "data-value": value, onclick: () => { choose(value); mark(); } }));
    const mark = () => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.value === current())));
    mark();
    return make("span", { class: "segments", role: "group", "aria-label": label }, ...buttons);
  }

  view() { return { all: this.scope === "all", groups: this.meta.groups.names.length }; }

  plotWidth(row) {
    if (!this.widths.has(row)) this.widths.set(row, row.el.plot.clientWidth);
    return this.widths.get(row);
  }

  receive(bytes) {
    const started = performance.now();
    const size = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
    const meta = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
    const numbers = new Float64Array(bytes.slice(4 + size).buffer);
    const rules = meta.rules.length, groups = meta.groups.names.length, one = SLOTS * groups, all = rules * one;
    const names = JSON.stringify(meta.rules.map((r) => r.signal));
    this.theme();
    if (names !== this.names) { // other rules: other lines
      if (this.active) this.active.letGo();
      clearTimeout(this.timer);
      this.waitingRow = null;
      const added = this.rows?.length === rules - 1; // one more rule comes last, which may be out of sight
      this.names = names;
      this.rows = meta.rules.map((_, k) => new Row(this, k));
      this.el.rules.replaceChildren(...this.rows.map((row) => row.node));
      this.widths.clear();
      if (added && rules > 1) requestAnimationFrame(() => this.rows.at(-1).node.scrollIntoView({ block: "nearest" }));
    }
    this.meta = meta;
    this.rows.forEach((row, k) => {
      const part = (start, width) => numbers.subarray(start + k * width, start + (k + 1) * width);
      row.sumUp(part(0, one), part(all, one), part(2 * all, SLOTS), part(2 * all + rules * SLOTS, SLOTS), groups);
      row.receive(meta.rules[k], meta.sequence);
    });
    this.el.empty.hidden = this.el.hint.hidden = false;
    this.el.empty.hidden = rules > 0;
    this.el.head.hidden = this.el.hint.hidden = this.el.view.hidden = rules === 0;
    this.groupBars();
    this.redraw();
    this.totals();
    this.root.dataset.sequence = String(meta.sequence);
    this.root.dataset.receiveMs = String(performance.now() - started);
    this.root.dataset.ready = "1";
  }

  theme() {
    const style = getComputedStyle(this.root);
    const probe = make("canvas").getContext("2d");
    probe.fillStyle = style.getPropertyValue("--st-background-color").trim() || "#ffffff";
    const hex = probe.fillStyle, channel = (i) => parseInt(hex.slice(i, i + 2), 16);
    this.root.dataset.theme = hex.startsWith("#") && 0.299 * channel(1) + 0.587 * channel(3) + 0.114 * channel(5) < 128 ? "dark" : "light";
    const read = (name) => getComputedStyle(this.root).getPropertyValue(name).trim();
    const resolved = (name) => { // color-mix must be resolved before a canvas takes it
      const node = make("i", { hidden: true, style: `color: var(${name})` });
      this.root.append(node);
      const color = getComputedStyle(node).color;
      node.remove();
      return color;
    };
    this.ink = { kept: read("--kept"), dropped: read("--dropped"), muted: resolved("--muted"), faint: resolved("--faint"), font: read("--st-font") || "system-ui" };
  }

  groupBars() {
    const { by, choices, names } = this.meta.groups;
    this.el.by.replaceChildren(...choices.map((choice) => make("button", { type: "button", text: choice, "data-value": choice, "aria-pressed": String(choice === by), onclick: () => { if (choice !== by) this.commit(null, "group", choice); } })));
    this.el.byText.hidden = names.length < 2 && choices.length < 2;
    const label = JSON.stringify(names);
    if (label !== this.groupNames) {
      this.groupNames = label;
      this.el.groups.replaceChildren(...names.map((name) => make("div", { class: "group" }, make("span", { class: "name", text: name }), make("span", { class: "percent" }), make("div", { class: "bar" }, make("i")))));
    }
    this.el.groups.hidden = names.length < 2;
    this.sum = { documents: new Float64Array(names.length), tokens: new Float64Array(names.length) };
  }

  redraw() {
    if (!this.meta) return;
    for (const row of this.rows) { row.draw(); row.place(); row.numbers(); }
    say(this.el.head.children[1], this.scope === "all" ? "distribution, all documents" : "distribution, others applied");
  }

  // A rule moved here: its own line, the totals, and nothing else.
  moved(row) {
    row.label();
    row.draw();
    row.place();
    this.totals(row);
  }

  totals(row = null) {
    const dirty = this.rows.filter((r) => r.dirty);
    const inexact = this.rows.some((r) => r.dirty && !r.local.exact);
    const by = dirty.length ? dirty[0] : row ?? this.rows[0];
    const valid = dirty.length <= 1 && !inexact;
    this.root.classList.toggle("waiting", !valid);
    this.rows.forEach((r) => r.node.classList.toggle("stale", dirty.some((d) => d !== r) || (inexact && r.dirty)));
    if (!valid) return;
    if (row) row.numbers();
    const { sum, meta } = this, groups = meta.groups.names.length;
    if (by) by.kept(groups, sum);
    else { sum.documents.set(meta.kept.documents); sum.tokens.set(meta.kept.tokens); }
    let documents = 0, tokens = 0;
    for (let g = 0; g < groups; g++) { documents += sum.documents[g]; tokens += sum.tokens[g]; }
    const [a, b, c, d, e] = this.el.answer.children, { totals } = meta;
    say(a, compact(documents), `${exactly(documents)} documents`);
    say(b, ` of ${compact(totals.documents)} documents kept · `, `${exactly(totals.documents)} documents in the corpus`);
    say(c, compact(tokens), `${exactly(tokens)} ${totals.label}`);
    say(d, ` ${totals.label} · `, `${exactly(totals.tokens)} ${totals.label} in the corpus`);
    say(e, share(tokens, totals.tokens));
    const bars = this.el.groups.children;
    for (let g = 0; g < groups && bars.length; g++) {
      const [name, percent, bar] = bars[g].children, whole = meta.base.tokens[g];
      say(percent, share(sum.tokens[g], whole));
      bar.firstChild.style.transform = `scaleX(${whole ? sum.tokens[g] / whole : 0})`;
      bars[g].title = `${name.textContent}: ${exactly(sum.tokens[g])} of ${exactly(whole)} ${totals.label}, ${exactly(sum.documents[g])} of ${exactly(meta.base.documents[g])} documents`;
    }
    this.root.dataset.kept = String(documents);
    this.root.dataset.tokens = String(tokens);
  }

  // --- to Python ---

  commit(row, kind, group = null) {
    clearTimeout(this.timer);
    this.waitingRow = null;
    delete this.root.dataset.undecided;
    this.sequence = Math.max(this.sequence + 1, Date.now());
    if (row) row.touched = this.sequence;
    for (const r of this.rows) if (r.touched === Infinity && !r.dragging) r.touched = this.sequence;
    this.root.dataset.sent = String(this.sequence);
    this.send({
      sequence: this.sequence, kind, rule: row ? row.index : null, group,
      signals: this.rows.map((r) => r.rule.signal),
      // A rule under the pointer is not decided yet: its last cut stands.
      cuts: this.rows.map((r) => { const s = r.dragging ? r.before : r.local; return [s.minimum, s.maximum]; }),
      enabled: this.rows.map((r, k) => (kind === "remove" && r === row ? r.base.enabled : r.local.enabled)),
    });
  }

  // Arrow keys: wait until the reader pauses, then send once.
  later(row) {
    if (this.waitingRow && this.waitingRow !== row) this.flush(this.waitingRow);
    this.waitingRow = row;
    this.root.dataset.undecided = "1";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(row), 350);
  }

  flush(row) {
    if (this.waitingRow !== row) return;
    clearTimeout(this.timer);
    this.waitingRow = null;
    delete this.root.dataset.undecided;
    if (row.dirty) this.commit(row, "cuts");
    else row.touched = this.sequence;
  }
}
