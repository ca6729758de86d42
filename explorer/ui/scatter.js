// The map: millions of points, drawn by density when they are far and as discs when they are near (scatter.py says what is sent).
//
// A map is several messages, so that each is sent only when it changes: the picture here, and its parts in scatter_parts.js. They meet by key.
//
// Points come in random order, so any first part of them is a fair sample: a moving map draws as many as fit into a frame, and when
// it rests the others follow. Colours and counts are summed in float, and one pass turns sums into a picture: it does not depend on
// the order of the points, and nothing is lost where they pile up.
// Names and texts come from the reader's files, so they only ever reach the page as text.

const meetings = (globalThis.__corpusExplorerScatter ??= new Map());
const NONE = 255; // code of a point without a class or value
const KEPT = 1, INSIDE = 2; // flags of a point
const REACH = 14; // pixels within which a point is meant
const DEVIATION = 0.0015, MOST_VERTICES = 48; // of a lasso on its way to Python, which simplifies it by the same rule
const DELIVERIES = 3, PATIENCE = 2000; // times that Python is told what the reader did, and milliseconds between them
const SAMPLE = 60_000; // points that stand for all when densities are measured
const TRIMMED = 0.01; // of the points on each side that a first look leaves out where they lie far from all others
const PRESENT = 120; // milliseconds between two pictures of a map that is not whole yet, where a picture takes as long as many points

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector("#scatter");
  if (!root || !data) return;
  if (!meetings.has(data.map)) meetings.set(data.map, { layers: {}, cards: new Map(), scatter: null, send: null, unsent: null, ask: null, state: null });
  const meeting = meetings.get(data.map);
  let { scatter } = meeting;
  if (!scatter || scatter.root !== root) {
    scatter?.close();
    scatter = meeting.scatter = new Scatter(root, meeting, data.painter);
  }
  scatter.configure(data);
  return () => {
    scatter.close();
    meeting.scatter = null;
  };
}

// --- small things -----------------------------------------------------------------------------------------------------------

function make(tag, { text, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node[name] = value;
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  if (text !== undefined) node.textContent = text;
  node.append(...children);
  return node;
}
const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
const grouped = new Intl.NumberFormat("en-US"), exactly = (n) => grouped.format(n);
function compact(n) {
  for (const [step, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (n >= step) return `${(n / step).toFixed(n / step >= 99.5 ? 0 : n / step >= 9.95 ? 1 : 2)} ${unit}`;
  }
  return exactly(n);
}
function rgb(colour) {
  const probe = (rgb.probe ??= make("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true }));
  probe.clearRect(0, 0, 1, 1);
  probe.fillStyle = "#808080";
  probe.fillStyle = colour;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}
const mixed = (a, b, part) => a.map((v, i) => Math.round(v + (b[i] - v) * part));
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

// Viridis (van der Walt and Smith 2015), which stays ordered with any kind of colour vision, less the end that the page would swallow.
const VIRIDIS = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];
function scale(part, dark) {
  const at = (dark ? 0.22 + 0.78 * part : 0.9 * part) * (VIRIDIS.length - 1);
  const i = Math.min(VIRIDIS.length - 2, Math.floor(at));
  return mixed(rgb(VIRIDIS[i]), rgb(VIRIDIS[i + 1]), at - i);
}

// The theme's eight colours, told apart with any kind of colour vision; then the same, darker and lighter.
function classColour(i, palette, ink, paper) {
  const colour = palette[i % palette.length], round = Math.floor(i / palette.length) % 3;
  return round === 0 ? colour : round === 1 ? mixed(colour, ink, 0.38) : mixed(colour, paper, 0.42);
}

// Douglas and Peucker's choice of vertices of a closed ring, the one that is furthest off first: as explorer/selection/region.py does it.
function simplify(ring, tolerance, most) {
  const n = ring.length;
  if (n < 4) return ring;
  const closed = [...ring, ring[0]], keep = new Set([0]), waiting = [];
  const measure = (first, last) => {
    if (last - first < 2) return;
    const [ax, ay] = closed[first], dx = closed[last][0] - ax, dy = closed[last][1] - ay, length = dx * dx + dy * dy;
    let far = -1, at = first;
    for (let i = first + 1; i < last; i++) {
      const px = closed[i][0] - ax, py = closed[i][1] - ay;
      const part = length ? clamp((px * dx + py * dy) / length, 0, 1) : 0;
      const off = Math.hypot(px - part * dx, py - part * dy);
      if (off > far) { far = off; at = i; }
    }
    waiting.push([far, first, at, last]);
  };
  measure(0, n);
  while (waiting.length && keep.size < most) {
    let best = 0;
    for (let i = 1; i < waiting.length; i++) if (waiting[i][0] > waiting[best][0]) best = i;
    const [off, first, middle, last] = waiting.splice(best, 1)[0];
    if (off <= tolerance && keep.size >= 3) break;
    keep.add(middle);
    measure(first, middle);
    measure(middle, last);
  }
  return ring.filter((_, i) => keep.has(i));
}

// --- painters: sums of colour and count a pixel, then the picture -----------------------------------------------------------

const VERTEX = `#version 300 es
layout(location = 0) in vec2 at;
layout(location = 1) in uint code;
layout(location = 2) in uint flags;
uniform vec2 centre, zoom;
uniform float size;
uniform uint need;
uniform sampler2D colours;
flat out vec4 ink;
flat out float grey;
void main() {
  gl_Position = vec4((at - centre) * zoom, 0.0, 1.0);
  gl_PointSize = size;
  vec4 colour = texelFetch(colours, ivec2(int(code), 0), 0);
  bool on = (flags & need) == need && colour.a > 0.5;
  ink = on ? vec4(colour.rgb, 1.0) : vec4(0.0);
  grey = on ? 0.0 : 1.0;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
uniform float size;
flat in vec4 ink;
flat in float grey;
layout(location = 0) out vec4 sums;
layout(location = 1) out vec4 greys;
void main() {
  float weight = size < 2.6 ? 1.0 : clamp(0.5 * size + 0.5 - distance(gl_PointCoord, vec2(0.5)) * size, 0.0, 1.0);
  if (weight <= 0.0) discard;
  sums = ink * weight;
  greys = vec4(grey * weight);
}`;

const COVER = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}`;

// Premultiplied, over the page: coverage grows with the count and saturates; beyond it the colour deepens, or glows on a dark page.
const PICTURE = `#version 300 es
precision highp float;
uniform sampler2D sums, greys;
uniform float exposure, faint, dark;
uniform vec4 greyInk;
out vec4 colour;
float cover(float n) { return n > 0.0 ? max(1.0 - exp(-exposure * n), faint * min(n, 1.0)) : 0.0; }
void main() {
  vec4 sum = texelFetch(sums, ivec2(gl_FragCoord.xy), 0);
  float grey = texelFetch(greys, ivec2(gl_FragCoord.xy), 0).r;
  vec3 hue = sum.a > 0.0 ? sum.rgb / sum.a : vec3(0.0);
  float heat = clamp(log(1.0 + exposure * sum.a) / 4.2, 0.0, 1.0);
  hue = dark > 0.5 ? mix(hue, vec3(1.0), 0.5 * heat * heat) : mix(hue, hue * hue * 0.8, 0.65 * heat * heat);
  float on = cover(sum.a), off = greyInk.a * cover(grey) * (1.0 - on);
  colour = vec4(hue * on + greyInk.rgb * off, on + off);
}`;

class GlPainter {
  constructor(canvas, asked) {
    const gl = (this.gl = canvas.getContext("webgl2", { failIfMajorPerformanceCaveat: !asked, antialias: false, depth: false, alpha: true, premultipliedAlpha: true, powerPreference: "high-performance" }));
    if (!gl) throw new Error("no WebGL2");
    const float = gl.getExtension("EXT_color_buffer_float") && gl.getExtension("EXT_float_blend");
    if (!float && !gl.getExtension("EXT_color_buffer_float") && !gl.getExtension("EXT_color_buffer_half_float")) throw new Error("no float targets");
    this.formats = float ? [gl.RGBA32F, gl.R32F] : [gl.RGBA16F, gl.R16F];
    const about = gl.getExtension("WEBGL_debug_renderer_info"), renderer = about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "";
    if (!asked && /swiftshader|llvmpipe|software|basic render/i.test(renderer)) throw new Error("a GPU in name only");
    this.canvas = canvas;
    this.name = "webgl2";
    this.points = this.program(VERTEX, FRAGMENT, ["centre", "zoom", "size", "need", "colours"]);
    this.picture = this.program(COVER, PICTURE, ["sums", "greys", "exposure", "faint", "dark", "greyInk"]);
    this.buffers = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
    this.chosen = gl.createBuffer();
    this.array = gl.createVertexArray();
    this.nothing = gl.createVertexArray();
    this.lut = gl.createTexture();
    this.targets = [gl.createTexture(), gl.createTexture()];
    this.frame = gl.createFramebuffer();
    gl.bindVertexArray(this.array);
    this.buffers.forEach((buffer, i) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(i);
      if (i === 0) gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
      else gl.vertexAttribIPointer(i, 1, gl.UNSIGNED_BYTE, 0, 0);
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.chosen);
    gl.disable(gl.DITHER);
    this.resize(1, 1);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) throw new Error("no float targets");
  }

  program(vertex, fragment, names) {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) ?? "shader");
    return { program, at: Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)])) };
  }

  load(i, array) {
    const gl = this.gl;
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[i]);
    gl.bufferData(gl.ARRAY_BUFFER, array, i ? gl.DYNAMIC_DRAW : gl.STATIC_DRAW);
  }

  set xy(array) { this.load(0, array); }
  set codes(array) { this.load(1, array); }
  set flags(array) { this.load(2, array); }
  set colours(bytes) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.lut);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    this.nearest();
  }

  nearest() {
    const gl = this.gl;
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }

  resize(width, height) {
    const gl = this.gl;
    Object.assign(this.canvas, { width, height });
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    this.targets.forEach((texture, i) => {
      gl.activeTexture(gl.TEXTURE1 + i);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      const format = this.formats[i], one = i === 1;
      gl.texImage2D(gl.TEXTURE_2D, 0, format, width, height, 0, one ? gl.RED : gl.RGBA, gl.FLOAT, null);
      this.nearest();
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, texture, 0);
    });
    gl.drawBuffers([gl.COLOR_ATTACHMENT0, gl.COLOR_ATTACHMENT1]);
  }

  clear() {
    const gl = this.gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.clearBufferfv(gl.COLOR, 0, [0, 0, 0, 0]);
    gl.clearBufferfv(gl.COLOR, 1, [0, 0, 0, 0]);
  }

  // Add the points from..to, or of a list of them.
  draw(view, from, to, list) {
    const { gl, points } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.useProgram(points.program);
    gl.bindVertexArray(this.array);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.lut);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE);
    gl.uniform2f(points.at.centre, view.x, view.y);
    gl.uniform2f(points.at.zoom, (2 * view.scale * view.ratio) / this.canvas.width, (2 * view.scale * view.ratio) / this.canvas.height);
    gl.uniform1f(points.at.size, view.size * view.ratio);
    gl.uniform1ui(points.at.need, view.need);
    gl.uniform1i(points.at.colours, 0);
    if (list) {
      if (this.list !== list) {
        gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.chosen);
        gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, list, gl.DYNAMIC_DRAW);
        this.list = list;
      }
      gl.drawElements(gl.POINTS, to - from, gl.UNSIGNED_INT, 4 * from);
    } else gl.drawArrays(gl.POINTS, from, to - from);
  }

  present(look) {
    const { gl, picture } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.disable(gl.BLEND);
    gl.useProgram(picture.program);
    gl.bindVertexArray(this.nothing);
    this.targets.forEach((texture, i) => {
      gl.activeTexture(gl.TEXTURE1 + i);
      gl.bindTexture(gl.TEXTURE_2D, texture);
    });
    gl.uniform1i(picture.at.sums, 1);
    gl.uniform1i(picture.at.greys, 2);
    gl.uniform1f(picture.at.exposure, look.exposure);
    gl.uniform1f(picture.at.faint, look.faint);
    gl.uniform1f(picture.at.dark, look.dark ? 1 : 0);
    gl.uniform4f(picture.at.greyInk, ...look.grey.map((v) => v / 255), look.greyAlpha);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    this.fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
  }

  // Whether what was asked for has been drawn; until then more would only queue up.
  get idle() {
    if (!this.fence) return true;
    if (this.gl.getSyncParameter(this.fence, this.gl.SYNC_STATUS) !== this.gl.SIGNALED) return false;
    this.gl.deleteSync(this.fence);
    this.fence = null;
    return true;
  }

  footprint(size) { return size < 2.6 ? size * size : 0.785 * size * size; }

  close() { this.gl.getExtension("WEBGL_lose_context")?.loseContext(); }
}

// The same sums and the same picture without a GPU, several times as fast as a driver that only plays one.
class PlanePainter {
  constructor(canvas) {
    this.canvas = canvas;
    this.name = "plane";
    this.idle = true;
    this.context = canvas.getContext("2d");
    if (!this.context) throw new Error("no canvas");
    this.resize(1, 1);
  }

  resize(width, height) {
    Object.assign(this.canvas, { width, height });
    this.sums = new Float32Array(4 * width * height);
    this.greys = new Float32Array(width * height);
    this.image = this.context.createImageData(width, height);
    this.words = new Uint32Array(this.image.data.buffer);
  }

  clear() { this.sums.fill(0); this.greys.fill(0); }

  footprint(size) { return size < 2.6 ? Math.round(size) ** 2 : 0.785 * size * size; }

  draw(view, from, to, list) {
    const { xy, codes, flags, colours, sums, greys } = this, { width: w, height: h } = this.canvas, { need } = view;
    const zoom = view.scale * view.ratio, left = w / 2 - view.x * zoom, top = h / 2 + view.y * zoom, size = view.size * view.ratio;
    if (size < 2.6) return this.squares(from, to, list, need, zoom, left, top, Math.round(size));
    const side = Math.ceil(size) + 1, half = size / 2 + 0.5;
    for (let k = from; k < to; k++) {
      const i = list ? list[k] : k, fx = xy[2 * i] * zoom + left, fy = top - xy[2 * i + 1] * zoom;
      const x0 = Math.floor(fx - half), y0 = Math.floor(fy - half);
      if (x0 < -side || y0 < -side || x0 >= w || y0 >= h) continue;
      const c = 4 * codes[i], on = (flags[i] & need) === need && colours[c + 3] > 127;
      const red = colours[c], green = colours[c + 1], blue = colours[c + 2];
      const x1 = Math.min(w, x0 + side), y1 = Math.min(h, y0 + side);
      for (let y = Math.max(0, y0); y < y1; y++) {
        for (let x = Math.max(0, x0); x < x1; x++) {
          const weight = Math.min(1, size / 2 + 0.5 - Math.sqrt((x + 0.5 - fx) ** 2 + (y + 0.5 - fy) ** 2));
          if (weight <= 0) continue;
          const at = y * w + x;
          if (on) {
            sums[4 * at] += red * weight;
            sums[4 * at + 1] += green * weight;
            sums[4 * at + 2] += blue * weight;
            sums[4 * at + 3] += weight;
          } else greys[at] += weight;
        }
      }
    }
  }

  // Points too small to be round, as the million of a whole map are; those that the edge cuts are left out.
  squares(from, to, list, need, zoom, left, top, side) {
    const { xy, codes, flags, colours, sums, greys } = this, { width: w, height: h } = this.canvas, half = (side - 1) / 2;
    for (let k = from; k < to; k++) {
      const i = list ? list[k] : k, x0 = Math.floor(xy[2 * i] * zoom + left - half), y0 = Math.floor(top - xy[2 * i + 1] * zoom - half);
      if (!(x0 >= 0 && y0 >= 0 && x0 + side <= w && y0 + side <= h)) continue;
      const c = 4 * codes[i], on = (flags[i] & need) === need && colours[c + 3] > 127;
      const red = colours[c], green = colours[c + 1], blue = colours[c + 2];
      for (let at = y0 * w + x0, y = 0; y < side; y++, at += w - side) {
        for (let x = 0; x < side; x++, at++) {
          if (on) {
            sums[4 * at] += red;
            sums[4 * at + 1] += green;
            sums[4 * at + 2] += blue;
            sums[4 * at + 3]++;
          } else greys[at]++;
        }
      }
    }
  }

  present({ exposure, faint, dark, grey, greyAlpha }) {
    const { sums, greys, words } = this, { data } = this.image;
    const cover = (n) => (n > 0 ? Math.max(1 - Math.exp(-exposure * n), faint * Math.min(n, 1)) : 0);
    for (let i = 0; i < greys.length; i++) {
      const n = sums[4 * i + 3];
      if (n === 0 && greys[i] === 0) { words[i] = 0; continue; }
      const on = cover(n), off = greyAlpha * cover(greys[i]) * (1 - on), alpha = on + off;
      const heat = n ? Math.min(1, Math.log(1 + exposure * n) / 4.2) ** 2 : 0;
      for (let c = 0; c < 3; c++) {
        let hue = n ? sums[4 * i + c] / n : 0;
        hue += dark ? (255 - hue) * 0.5 * heat : (((hue * hue) / 255) * 0.8 - hue) * 0.65 * heat;
        data[4 * i + c] = (hue * on + grey[c] * off) / alpha;
      }
      data[4 * i + 3] = 255 * alpha;
    }
    this.context.putImageData(this.image, 0, 0);
  }

  close() {}
}

// --- where points lie -------------------------------------------------------------------------------------------------------

// Points by the cell they lie in: who is near the pointer, and who is in view. Built in slices, so that nothing stalls meanwhile.
class Grid {
  constructor(xy, extent) {
    const n = xy.length / 2;
    this.xy = xy;
    this.side = clamp(Math.ceil(Math.sqrt(n / 3)), 8, 1400);
    [this.left, this.bottom] = extent;
    this.across = Math.max(extent[2] - extent[0], 1e-9) / this.side;
    this.up = Math.max(extent[3] - extent[1], 1e-9) / this.side;
    this.start = new Uint32Array(this.side * this.side + 1);
    this.order = new Uint32Array(n);
    this.ready = false;
  }

  column(x) { return clamp(Math.floor((x - this.left) / this.across), 0, this.side - 1); }
  line(y) { return clamp(Math.floor((y - this.bottom) / this.up), 0, this.side - 1); }
  cell(i) { return this.line(this.xy[2 * i + 1]) * this.side + this.column(this.xy[2 * i]); }

  build(done) {
    const { start, order } = this, n = order.length, SLICE = 400_000;
    let i = 0, placing = false, ends;
    const step = () => {
      if (this.closed) return;
      const to = Math.min(n, i + SLICE);
      if (placing) for (; i < to; i++) order[ends[this.cell(i)]++] = i;
      else for (; i < to; i++) start[this.cell(i) + 1]++;
      if (i === n && placing) {
        this.ready = true;
        return done();
      }
      if (i === n) {
        for (let c = 1; c < start.length; c++) start[c] += start[c - 1];
        ends = start.slice(0, -1);
        placing = true;
        i = 0;
      }
      setTimeout(step);
    };
    step();
  }

  // Points of the cells that a rectangle touches, or null when there are more than `most`.
  within(left, bottom, right, top, most) {
    const a = this.column(left), b = this.column(right), c = this.line(bottom), d = this.line(top), { start, order, side } = this;
    let count = 0;
    for (let y = c; y <= d; y++) if ((count += start[y * side + b + 1] - start[y * side + a]) > most) return null;
    const found = new Uint32Array(count);
    let at = 0;
    for (let y = c; y <= d; y++) {
      const part = order.subarray(start[y * side + a], start[y * side + b + 1]);
      found.set(part, at);
      at += part.length;
    }
    return found;
  }

  // Points within `reach` of a place, nearest first, at most `most` of them. Until the cells are there, among all: that takes some milliseconds.
  near(x, y, reach, most, wanted) {
    const { xy, order } = this, found = [];
    const look = (i) => {
      const off = (xy[2 * i] - x) ** 2 + (xy[2 * i + 1] - y) ** 2;
      if (off <= reach * reach && wanted(i)) found.push([off, i]);
    };
    if (this.ready) this.within(x - reach, y - reach, x + reach, y + reach, Infinity).forEach(look);
    else for (let i = 0; i < order.length; i++) look(i);
    return found.sort((a, b) => a[0] - b[0]).slice(0, most).map(([, i]) => i);
  }
}

// --- the map ----------------------------------------------------------------------------------------------------------------

class Scatter {
  constructor(root, meeting, painter) {
    this.root = root;
    this.meeting = meeting;
    this.view = { x: 0, y: 0, scale: 1, ratio: 1, size: 2, need: 0 };
    this.n = 0;
    this.chunk = 500_000;
    this.tool = "pan";
    this.off = new Set();
    this.sequence = 0;
    this.region = null;
    this.drawing = null;
    this.pointers = new Map();
    this.titles = true;
    this.build();
    this.painter = this.newPainter(painter);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.stage);
    this.resize();
  }

  build() {
    const tool = (name, text, title) => make("button", { type: "button", text, title, "data-tool": name, "aria-pressed": String(name === this.tool), onclick: () => this.choose(name) });
    const act = (name, text, title, onclick) => make("button", { type: "button", text, title, "aria-label": title, "data-act": name, onclick });
    this.over = make("canvas", { class: "over", "aria-hidden": "true" });
    this.paint = make("canvas", { class: "paint", "aria-hidden": "true" });
    this.tools = make(
      "div", { class: "tools", role: "toolbar", "aria-label": "Map tools" },
      make("div", { class: "group" }, tool("pan", "Move", "Drag to move, wheel to zoom (H)"), tool("lasso", "Lasso", "Draw around points; or hold Shift and drag (L)"), tool("box", "Box", "Draw a rectangle (B)")),
      make("div", { class: "group" }, act("in", "+", "Zoom in", () => this.zoomBy(1.6)), act("out", "−", "Zoom out", () => this.zoomBy(1 / 1.6)), act("all", "Whole map", "Show the whole map; also a double click", () => this.home())),
      (this.el_titles = make("button", { type: "button", class: "lone", text: "Titles", title: "Titles of the clusters", "data-act": "titles", "aria-pressed": "true", onclick: () => { this.titles = !this.titles; this.el_titles.setAttribute("aria-pressed", String(this.titles)); this.overlay(); } })),
    );
    this.legend = make("div", { class: "legend", role: "group" });
    this.card = make("div", { class: "card", hidden: true, "aria-hidden": "true" });
    this.note = make("div", { class: "note" });
    this.chip = make("button", { type: "button", class: "chip", hidden: true, title: "Remove what is drawn (Esc)", onclick: () => this.clearRegion() });
    this.live = make("div", { class: "sr", role: "status", "aria-live": "polite" });
    this.stage = make("div", { class: "stage", tabindex: "0", role: "application", "aria-roledescription": "map" }, this.paint, this.over);
    this.root.replaceChildren(make("div", { class: "frame" }, this.stage, this.tools, this.legend, this.chip, this.note, this.card, this.live));
    const { stage } = this;
    stage.onpointerdown = (e) => this.down(e);
    stage.onpointermove = (e) => this.move(e);
    stage.onpointerup = (e) => this.up(e);
    stage.onpointercancel = (e) => this.up(e, true);
    stage.onpointerleave = () => { this.pointer = null; this.point(null); };
    stage.ondblclick = () => { clearTimeout(this.clicking); this.home(); };
    stage.onkeydown = (e) => this.key(e);
    stage.onfocus = () => { this.keyboard = stage.matches(":focus-visible"); this.overlay(); };
    stage.onblur = () => { this.keyboard = false; this.overlay(); };
    stage.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
  }

  newPainter(wanted) {
    for (const Painter of wanted === "plane" ? [PlanePainter] : [GlPainter, PlanePainter]) {
      try {
        const painter = new Painter(this.paint, wanted === "webgl2");
        this.root.dataset.painter = painter.name;
        this.paint.addEventListener("webglcontextlost", (e) => { e.preventDefault(); if (this.painter === painter && !this.closed) this.plane(); });
        return painter;
      } catch {
        this.freshCanvas();
      }
    }
    throw new Error("this browser has no canvas");
  }

  // A canvas that was asked for one kind of context gives no other.
  freshCanvas() {
    const canvas = make("canvas", { class: "paint", "aria-hidden": "true" });
    this.paint.replaceWith(canvas);
    this.paint = canvas;
  }

  plane() {
    this.freshCanvas();
    this.painter = new PlanePainter(this.paint);
    this.root.dataset.painter = "plane";
    this.reload();
    this.resize();
  }

  close() {
    this.closed = true;
    if (this.grid) this.grid.closed = true;
    cancelAnimationFrame(this.waiting);
    for (const timer of [this.clicking, this.resting, this.asking, this.delivering]) clearTimeout(timer);
    this.watch.disconnect();
    this.painter.close();
  }

  // --- what Python says ---

  configure(data) {
    const legend = JSON.stringify(data.legend);
    this.config = data;
    this.stage.setAttribute("aria-label", data.title);
    this.remark();
    this.root.style.setProperty("--height", data.height);
    this.el_titles.hidden = !data.titles.length;
    if (legend !== this.said) {
      this.said = legend;
      this.off.clear();
    }
    this.theme();
    for (const name of ["points", "codes", "kept"]) if (this.meeting.layers[name]) this.layer(name);
    if (this.meeting.state) this.adopt(this.meeting.state);
    this.draw();
  }

  layer(name) {
    const { layers } = this.meeting, layer = layers[name];
    if (!this.config || this[`${name}Stamp`] === layer.stamp) return;
    if (name !== "points" && layer.points !== this.pointsStamp) {
      if (layers.points?.stamp === layer.points) this.layer("points");
      else return; // its points are still on their way
    }
    this[`${name}Stamp`] = layer.stamp;
    if (name === "points") {
      this.xy = new Float32Array(layer.bytes.buffer);
      this.n = this.xy.length / 2;
      this.codes = new Uint8Array(this.n).fill(NONE);
      this.flags = new Uint8Array(this.n).fill(KEPT | INSIDE);
      this.codesStamp = this.keptStamp = undefined;
      this.survey();
      this.reload();
      for (const other of ["codes", "kept"]) if (layers[other]?.points === layer.stamp) this.layer(other);
      if (this.region) this.mark();
    } else if (name === "codes") {
      this.codes = layer.bytes;
      this.painter.codes = this.codes;
    } else {
      const { bytes } = layer, all = !bytes.length;
      if (all && !this.dims) return;
      for (let i = 0; i < this.n; i++) this.flags[i] = (this.flags[i] & ~KEPT) | (all || (bytes[i >> 3] >> (i & 7)) & 1);
      this.dims = !all;
      this.painter.flags = this.flags;
    }
    this.draw();
  }

  reload() {
    Object.assign(this.painter, { xy: this.xy, codes: this.codes, flags: this.flags });
    if (this.colours) this.painter.colours = this.colours;
  }

  // Extent, density and grid of new points. What lies far from everything else does not shrink the map: the note says how much.
  survey() {
    const { xy, n } = this, k = Math.min(n, SAMPLE), xs = new Float32Array(k), ys = new Float32Array(k);
    let [l, b, r, t] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      const x = xy[2 * i], y = xy[2 * i + 1];
      if (x < l) l = x;
      if (x > r) r = x;
      if (y < b) b = y;
      if (y > t) t = y;
    }
    for (let i = 0; i < k; i++) { xs[i] = xy[2 * i]; ys[i] = xy[2 * i + 1]; }
    xs.sort();
    ys.sort();
    const low = Math.floor(TRIMMED * k), high = k - 1 - low;
    const trim = (first, last, from, to) => (last - first > 1.35 * (to - from) && to > from ? [Math.max(first, from - 0.1 * (to - from)), Math.min(last, to + 0.1 * (to - from))] : [first, last]);
    const [x0, x1] = n ? trim(l, r, xs[low], xs[high]) : [0, 1], [y0, y1] = n ? trim(b, t, ys[low], ys[high]) : [0, 1];
    const extent = [x0, y0, x1, y1];
    this.whole = n ? [l, b, r, t] : extent;
    const same = this.extent && extent.every((v, i) => v === this.extent[i]);
    this.extent = extent;
    this.coarse = new Map();
    const cell = (this.cellSize = Math.max(x1 - x0, y1 - y0, 1e-9) / clamp(Math.sqrt(k) / 3, 10, 160)); // a few points a cell, or chance decides
    for (let i = 0; i < k; i++) {
      const at = Math.floor((xy[2 * i] - x0) / cell) * 4096 + Math.floor((xy[2 * i + 1] - y0) / cell);
      this.coarse.set(at, (this.coarse.get(at) ?? 0) + 1);
    }
    if (this.grid) this.grid.closed = true;
    this.grid = n ? new Grid(xy, [l, b, r, t]) : null;
    this.root.dataset.grid = "0";
    this.root.dataset.points = String(n);
    this.started = performance.now();
    if (!same) this.fit(extent);
  }

  adopt(state) {
    this.opened = state.opened;
    if (state.sequence >= this.meeting.unsent?.sequence) this.meeting.unsent = null;
    if (state.sequence >= this.sequence) {
      this.sequence = state.sequence;
      const now = state.region ? { kind: state.region.kind, points: state.region.points } : null;
      if (JSON.stringify(now) !== JSON.stringify(this.region)) {
        this.region = now;
        this.mark();
      }
    }
    this.overlay();
  }

  theme() {
    const style = getComputedStyle(this.root), read = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
    const paper = rgb(read("--st-background-color", "#ffffff")), ink = rgb(read("--st-text-color", "#222222"));
    const dark = 0.299 * paper[0] + 0.587 * paper[1] + 0.114 * paper[2] < 128;
    const palette = read("--st-chart-categorical-colors", "#0072b2,#e69f00,#009e73,#cc79a7,#56b4e9,#d55e00,#b8a800,#6b6b6b").split(",").map(rgb);
    this.ink = { paper, ink, dark, palette, grey: mixed(ink, paper, 0.5), muted: mixed(ink, paper, 0.3), font: read("--st-font", "system-ui"), heading: read("--st-heading-font", "Georgia, serif") };
    this.root.dataset.theme = dark ? "dark" : "light";
    // A canvas does not wait for a font as a page does.
    Promise.all([document.fonts.load(`600 16px ${this.ink.heading}`), document.fonts.load(`500 12px ${this.ink.font}`)]).then(() => this.closed || this.overlay(), () => {});
    this.recolour();
  }

  recolour() {
    const { legend } = this.config, { palette, dark, grey } = this.ink, table = new Uint8Array(1024);
    const put = (code, colour, on = true) => table.set([...colour, on ? 255 : 0], 4 * code);
    put(NONE, grey, legend.kind === "none");
    if (legend.kind === "values") {
      for (let code = 0; code < NONE; code++) put(code, scale(code / (NONE - 1), dark));
    } else if (legend.kind === "classes") {
      legend.items.forEach((item, i) => put(item.code, this.colourOf(item, i), !this.off.has(item.code)));
    } else put(NONE, palette[0]);
    this.colours = table;
    this.painter.colours = table;
    this.drawLegend();
    this.draw();
  }

  colourOf(item, i) {
    const { palette, ink, paper, dark, grey } = this.ink;
    if (item.tone === "kept") return rgb(dark ? "#6fbde0" : "#0b6e99");
    if (item.tone === "dropped") return rgb(dark ? "#d98a9b" : "#a1475b");
    return item.tone === "rest" ? grey : classColour(item.colour ?? i, palette, ink, paper);
  }

  // Built when what it says or the theme changes; a click only presses, so that a second one meets the same button.
  drawLegend() {
    const { legend } = this.config, { dark } = this.ink, said = `${this.said} ${dark}`;
    if (said !== this.legendSaid) {
      this.legendSaid = said;
      this.legend.hidden = legend.kind === "none";
      this.legend.setAttribute("aria-label", `Colours: ${legend.name ?? ""}`);
      const fold = make("button", { type: "button", class: "what", title: legend.about || "Fold or unfold", "aria-expanded": "true", onclick: () => this.fold(fold) }, make("span", { text: legend.name ?? "" }), make("span", { class: "mark", "aria-hidden": "true" }));
      this.legend.replaceChildren(fold);
      if (legend.kind === "classes") {
        this.all = make("button", { type: "button", class: "all", text: "Show all", onclick: () => { this.off.clear(); this.recolour(); } });
        this.legend.append(make("div", { class: "items" }, ...legend.items.map((item, i) => this.legendItem(item, i))), this.all);
      } else if (legend.kind === "values") {
        const stops = Array.from({ length: 12 }, (_, i) => css(scale(i / 11, dark))).join(", ");
        this.legend.append(
          make("div", { class: "ramp", style: `background: linear-gradient(90deg, ${stops})`, role: "img", "aria-label": `from ${legend.ends[0]} to ${legend.ends.at(-1)}` }),
          make("div", { class: "ends" }, ...legend.ends.map((text) => make("span", { text }))),
          make("div", { class: "foot", text: legend.foot }),
        );
      }
    }
    if (said !== this.fitted && this.untouched) {
      this.fitted = said;
      this.fit();
    }
    if (legend.kind !== "classes") return;
    this.all.hidden = !this.off.size;
    for (const button of this.legend.querySelectorAll("[data-code]")) button.setAttribute("aria-pressed", String(!this.off.has(Number(button.dataset.code))));
  }

  fold(button) {
    const folded = this.legend.classList.toggle("folded");
    button.setAttribute("aria-expanded", String(!folded));
    if (this.untouched) this.fit();
    this.overlay();
  }

  legendItem(item, i) {
    const title = `${item.label}: ${exactly(item.n)} documents. Click to hide or show it; double click or Shift for this alone.`;
    return make(
      "button", { type: "button", "data-code": item.code, title, onclick: (e) => (e.detail === 2 || e.shiftKey ? this.isolate(item.code) : this.toggle(item.code)) },
      make("i", { style: `background: ${css(this.colourOf(item, i))}` }), make("span", { class: "name", text: item.label }), make("span", { class: "n", text: compact(item.n) }),
    );
  }

  toggle(code) {
    if (!this.off.delete(code)) this.off.add(code);
    if (this.off.size === this.config.legend.items.length) this.off.clear();
    this.recolour();
  }

  isolate(code) {
    this.off = new Set(this.config.legend.items.map((item) => item.code).filter((other) => other !== code));
    this.recolour();
  }

  // --- view ---

  resize() {
    const { clientWidth: w, clientHeight: h } = this.stage;
    if (!w || !h) return;
    const before = this.width;
    this.width = w;
    this.height = h;
    const ratio = Math.min(2, globalThis.devicePixelRatio || 1);
    this.view.ratio = ratio;
    this.painter.resize(Math.round(w * ratio), Math.round(h * ratio));
    Object.assign(this.over, { width: Math.round(w * ratio), height: Math.round(h * ratio) });
    if (this.extent) {
      if (before && !this.untouched) this.view.scale *= w / before;
      else this.fit();
    }
    this.draw();
  }

  fit(extent = this.framed ?? this.extent) {
    if (!this.width || !extent) return;
    // Beside a tall legend and below the tools where there is room for it.
    const { offsetWidth: w, offsetHeight: h } = this.legend, tall = h > 0.3 * this.height && this.width > 2.2 * w, aside = tall ? w + 14 : 0, above = 34;
    const [l, b, r, t] = extent, pad = 0.045, width = this.width - aside, height = this.height - above;
    const scale = Math.min(width / (Math.max(r - l, 1e-9) * (1 + 2 * pad)), height / (Math.max(t - b, 1e-9) * (1 + 2 * pad)));
    Object.assign(this.view, { x: (l + r) / 2 + aside / 2 / scale, y: (b + t) / 2 + above / 2 / scale, scale });
    this.base = scale;
    this.framed = extent;
    this.untouched = true;
    this.remark();
    this.draw();
  }

  // What is not drawn, and what a first look leaves out of view.
  remark() {
    let outside = 0;
    if (this.width && this.xy && this.untouched && this.framed === this.extent) {
      const { xy, n } = this, [l, b, r, t] = this.bounds();
      for (let i = 0; i < n; i++) if (xy[2 * i] < l || xy[2 * i] > r || xy[2 * i + 1] < b || xy[2 * i + 1] > t) outside++;
    }
    const far = outside ? `${exactly(outside)} lie farther out: press Whole map` : "";
    this.note.textContent = [this.config?.note, far].filter(Boolean).join(" · ");
    this.note.hidden = !this.note.textContent;
  }

  home() {
    // Back to the first look; from there on to all, with what lies far outside.
    this.fit(this.untouched && this.framed === this.extent ? this.whole : this.extent);
    this.moved();
  }

  across(px) { return this.view.x + (px - this.width / 2) / this.view.scale; }
  upwards(py) { return this.view.y - (py - this.height / 2) / this.view.scale; }
  px(x) { return (x - this.view.x) * this.view.scale + this.width / 2; }
  py(y) { return this.height / 2 - (y - this.view.y) * this.view.scale; }

  zoomBy(factor, px = this.width / 2, py = this.height / 2) {
    const x = this.across(px), y = this.upwards(py);
    this.view.scale = clamp(this.view.scale * factor, this.base * 0.2, this.base * 20_000);
    this.view.x = x - (px - this.width / 2) / this.view.scale;
    this.view.y = y + (py - this.height / 2) / this.view.scale;
    this.moved();
  }

  panBy(dx, dy) {
    this.view.x -= dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.moved();
  }

  moved() {
    if (this.untouched && this.base !== this.view.scale) {
      this.untouched = false;
      this.remark();
    }
    this.movedAt = performance.now();
    this.point(null);
    this.draw();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.say("view", { box: this.bounds() }), 450);
    this.root.dataset.zoom = (this.view.scale / this.base).toFixed(4);
  }

  bounds() { return [this.across(0), this.upwards(this.height), this.across(this.width), this.upwards(0)]; }
  get span() { return Math.max(this.width, this.height) / this.view.scale; }

  // --- drawing ---

  draw() {
    this.dirty = true;
    this.root.dataset.settled = "0";
    this.later();
  }

  overlay() {
    this.overDirty = true;
    this.later();
  }

  later() { this.waiting ||= requestAnimationFrame(() => { this.waiting = 0; if (!this.closed) this.frame(); }); }

  frame() {
    if (!this.config || !this.width) return;
    if (!this.painter.idle) return this.later();
    if (this.issued) this.pace(performance.now() - this.issued);
    if (this.dirty) {
      this.dirty = false;
      this.overDirty = true;
      this.drawn = 0;
      this.look();
      this.painter.clear();
    }
    const total = this.list ? this.list.length : this.n;
    if (this.drawn < total || !total) {
      const to = Math.min(total, this.drawn + Math.round(this.chunk));
      const first = !this.drawn;
      if (to > this.drawn) {
        if (to - this.drawn > 15_000) this.issued = performance.now();
        this.painter.draw(this.view, this.drawn, to, this.list);
        this.drawn = to;
      }
      if (first || to === total || this.painter.name !== "plane" || performance.now() - this.presented > PRESENT) {
        this.painter.present({ exposure: (this.exposure * total) / Math.max(1, to), faint: this.faint, dark: this.ink.dark, grey: this.ink.grey, greyAlpha: this.ink.dark ? 0.34 : 0.4 });
        this.presented = performance.now();
      }
      if (this.issued && this.painter.name === "plane") this.pace(performance.now() - this.issued);
    }
    if (this.overDirty) this.drawOver();
    if (this.drawn < total || this.issued) this.later();
    if (this.drawn < total) return;
    if (this.n === (this.meeting.layers.points?.bytes.length ?? 0) / 8) this.settled();
  }

  // As many points a frame as it takes to look smooth while the map moves, and more when it rests.
  pace(took) {
    const moving = performance.now() - (this.movedAt ?? -1e9) < 400;
    this.chunk = clamp(this.chunk * (took > (moving ? 40 : 110) ? 0.6 : took < (moving ? 22 : 60) ? 1.6 : 1), 20_000, 4_000_000);
    this.issued = 0;
  }

  settled() {
    this.root.dataset.drawn = String(this.drawn);
    this.root.dataset.settled = "1";
    if (!this.meeting.layers.points) return;
    if (this.root.dataset.ready !== "1") this.root.dataset.readyMs = String(Math.round(performance.now() - this.started));
    this.root.dataset.ready = "1";
    this.find(); // the pointer may have been there before the points
    this.meeting.tell?.(this.pointsStamp);
    if (this.grid && !this.grid.started) {
      this.grid.started = true;
      this.grid.build(() => { this.root.dataset.grid = "1"; });
    }
  }

  // Size of the points and exposure, from how many lie where most of them lie; and the list of those in view when they are few.
  look() {
    const { view } = this, [l, b, r, t] = this.bounds(), cell = this.cellSize, found = [];
    let all = 0;
    const [x0, y0] = this.extent ?? [0, 0];
    for (const [at, n] of this.coarse ?? []) {
      const x = x0 + (Math.floor(at / 4096) + 0.5) * cell, y = y0 + ((at & 4095) + 0.5) * cell;
      if (x < l - cell || x > r + cell || y < b - cell || y > t + cell) continue;
      found.push(n);
      all += n;
    }
    found.sort((a, b) => a - b);
    let passed = 0, middle = 1;
    for (const n of found) if ((passed += n) >= all / 2) { middle = n; break; }
    const each = (cell * view.scale) ** 2; // square pixels of a cell
    const density = (middle * Math.max(1, this.n / SAMPLE)) / each; // points a square pixel, where the median point of the view lies
    const spacing = 1 / Math.sqrt(density);
    const seen = (all * this.n) / Math.max(1, Math.min(this.n, SAMPLE)); // the fewer are seen, the larger the smallest points are
    view.size = clamp(Math.max(0.6 * spacing, 4.5 - 0.47 * Math.log10(Math.max(10, seen))), 1.25, 10);
    const covered = (density * this.painter.footprint(view.size * view.ratio)) / view.ratio ** 2; // points over a pixel, likewise
    this.exposure = clamp(1.7 / covered, 0.02, 2.6);
    this.faint = clamp(0.34 + 0.22 * (view.size - 1.25), 0.34, 0.88);
    view.need = (this.dims && this.config.dims ? KEPT : 0) | (this.region ? INSIDE : 0);
    this.list = null;
    if (this.grid?.ready && (r - l) * (t - b) < 0.3 * (this.extent[2] - this.extent[0]) * (this.extent[3] - this.extent[1])) {
      const reach = 6 / view.scale;
      this.list = this.grid.within(l - reach, b - reach, r + reach, t + reach, 400_000);
    }
  }

  drawOver() {
    this.overDirty = false;
    const { view, ink, config } = this, pen = this.over.getContext("2d");
    pen.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.lineJoin = "round";
    const ring = (x, y, radius, colour, width = 2) => {
      for (const [stroke, extra] of [[css(ink.paper), 2.5], [colour, 0]]) {
        pen.beginPath();
        pen.arc(this.px(x), this.py(y), radius, 0, 2 * Math.PI);
        pen.strokeStyle = stroke;
        pen.lineWidth = width + extra;
        pen.stroke();
      }
    };
    const accent = ink.dark ? "#ffd166" : "#b3261e";
    for (const [x, y] of config.hits) ring(x, y, Math.max(5, view.size / 2 + 2.5), accent, 1.6);
    if (this.titles) this.drawTitles(pen);
    if (this.opened) ring(this.opened[0], this.opened[1], Math.max(8, view.size / 2 + 4), css(ink.ink), 2.4);
    if (this.hover !== undefined && this.hover !== null) ring(this.xy[2 * this.hover], this.xy[2 * this.hover + 1], Math.max(6, view.size / 2 + 3), css(ink.ink), 1.6);
    const shape = this.drawing ?? this.region;
    if (shape) {
      const points = shape.kind === "box" && shape === this.drawing ? corners(shape.points) : shape.points;
      pen.beginPath();
      points.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](this.px(x), this.py(y)));
      pen.closePath();
      pen.fillStyle = `rgb(${ink.ink.join(" ")} / 5%)`;
      pen.fill("evenodd");
      pen.strokeStyle = css(ink.paper);
      pen.lineWidth = 4;
      pen.stroke();
      pen.setLineDash(this.drawing ? [5, 4] : []);
      pen.strokeStyle = css(ink.ink);
      pen.lineWidth = 1.6;
      pen.stroke();
      pen.setLineDash([]);
    }
    if (this.keyboard) {
      const x = this.width / 2, y = this.height / 2;
      for (const [colour, width] of [[css(ink.paper), 4], [css(ink.ink), 1.5]]) {
        pen.beginPath();
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
          pen.moveTo(x + 5 * dx, y + 5 * dy);
          pen.lineTo(x + 15 * dx, y + 15 * dy);
        }
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.stroke();
      }
    }
  }

  // Coarse titles while their theme is small on the screen, finer ones as it grows; the larger theme first, and none over another.
  drawTitles(pen) {
    const { view, ink } = this, taken = [];
    const frame = this.root.getBoundingClientRect();
    for (const node of [this.tools, this.legend]) {
      const box = node.getBoundingClientRect();
      if (box.width) taken.push([box.left - frame.left, box.top - frame.top, box.right - frame.left, box.bottom - frame.top]);
    }
    let shown = 0;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const nearest = Math.min(this.width, this.height);
    for (const title of this.config.titles) {
      const reach = title.r * view.scale, coarse = title.level === 0;
      if (coarse ? reach > 0.42 * nearest : reach < 34) continue;
      const x = this.px(title.x), y = this.py(title.y);
      if (x < -40 || y < -20 || x > this.width + 40 || y > this.height + 20) continue;
      const size = coarse ? clamp(12.5 + reach / 26, 13.5, 19) : clamp(10.5 + reach / 40, 11.5, 14);
      pen.font = coarse ? `600 ${size}px ${ink.heading}` : `500 ${size}px ${ink.font}`;
      const lines = wrapped(title.text, coarse ? 20 : 24), height = size * 1.18 * lines.length;
      const width = Math.max(...lines.map((line) => pen.measureText(line).width));
      const box = [x - width / 2 - 5, y - height / 2 - 3, x + width / 2 + 5, y + height / 2 + 3];
      if (taken.some((o) => box[0] < o[2] && box[2] > o[0] && box[1] < o[3] && box[3] > o[1])) continue;
      taken.push(box);
      shown++;
      lines.forEach((line, i) => {
        const at = y + (i - (lines.length - 1) / 2) * size * 1.18;
        pen.lineWidth = coarse ? 4.5 : 3.6;
        pen.strokeStyle = `rgb(${ink.paper.join(" ")} / 86%)`;
        pen.strokeText(line, x, at);
        pen.fillStyle = coarse ? css(ink.ink) : css(mixed(ink.ink, ink.paper, 0.14));
        pen.fillText(line, x, at);
      });
    }
    this.root.dataset.titles = String(shown);
  }

  // --- pointer ---

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  choose(tool) {
    this.tool = tool;
    this.stage.dataset.tool = tool;
    for (const button of this.tools.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  }

  down(event) {
    if (event.button > 0) return;
    const [px, py] = this.at(event);
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [px, py]);
    this.keyboard = false;
    this.point(null);
    if (this.pointers.size === 2) {
      this.drawing = null;
      this.press = null;
      this.pinch = this.pinched();
      return;
    }
    const kind = event.shiftKey || this.tool === "lasso" ? "lasso" : this.tool;
    this.press = { px, py, kind, moved: false };
    if (kind !== "pan") this.drawing = { kind, points: [[this.across(px), this.upwards(py)]] };
  }

  pinched() {
    const [[ax, ay], [bx, by]] = this.pointers.values();
    return { x: (ax + bx) / 2, y: (ay + by) / 2, d: Math.max(8, Math.hypot(ax - bx, ay - by)) };
  }

  move(event) {
    const [px, py] = this.at(event);
    if (!this.pointers.has(event.pointerId)) return this.hovering(px, py);
    this.pointers.set(event.pointerId, [px, py]);
    if (this.pointers.size === 2 && this.pinch) {
      const now = this.pinched(), before = this.pinch;
      this.pinch = now;
      this.panBy(now.x - before.x, now.y - before.y);
      this.zoomBy(now.d / before.d, now.x, now.y);
      return;
    }
    const { press } = this;
    if (!press) return;
    if (!press.moved && Math.hypot(px - press.px, py - press.py) < 4) return;
    if (press.kind === "pan") {
      this.stage.dataset.dragging = "1";
      this.panBy(px - (press.moved ? press.lx : press.px), py - (press.moved ? press.ly : press.py));
    } else {
      const point = [this.across(clamp(px, 0, this.width)), this.upwards(clamp(py, 0, this.height))];
      if (press.kind === "box") this.drawing.points[1] = point;
      else this.drawing.points.push(point);
      this.overlay();
    }
    Object.assign(press, { moved: true, lx: px, ly: py });
  }

  up(event, cancelled = false) {
    this.pointers.delete(event.pointerId);
    delete this.stage.dataset.dragging;
    if (this.pointers.size) { this.press = null; return; }
    this.pinch = null;
    const { press, drawing } = this;
    this.press = this.drawing = null;
    this.overlay();
    if (!press || cancelled) return;
    if (!press.moved) {
      clearTimeout(this.clicking);
      this.clicking = setTimeout(() => this.open(press.px, press.py), 230); // unless it becomes a double click
    } else if (drawing) this.finish(drawing);
  }

  wheel(event) {
    event.preventDefault();
    const [px, py] = this.at(event), step = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 300 : 1;
    this.zoomBy(Math.exp(-clamp(event.deltaY * step, -400, 400) * (event.ctrlKey ? 0.01 : 0.0018)), px, py);
  }

  finish(drawing) {
    const view = this.span;
    let points;
    if (drawing.kind === "box") {
      points = corners(drawing.points);
      if (Math.abs(points[0][0] - points[2][0]) * this.view.scale < 3 || Math.abs(points[0][1] - points[2][1]) * this.view.scale < 3) return;
    } else {
      points = simplify(drawing.points, DEVIATION * view, MOST_VERTICES);
      if (points.length < 3) return;
    }
    const digits = Math.max(0, 5 - Math.floor(Math.log10(view)));
    points = points.map(([x, y]) => [Number(x.toFixed(digits)), Number(y.toFixed(digits))]);
    this.region = { kind: drawing.kind, points };
    this.mark();
    this.say("region", { shape: drawing.kind, points, view });
  }

  clearRegion() {
    if (!this.region) return;
    this.region = null;
    this.mark();
    this.say("clear", {});
  }

  // Which of the points lie inside what is drawn: shown at once, before Python has answered.
  mark() {
    if (!this.n) return;
    const { flags, xy, n, region } = this;
    let inside = 0;
    if (region) {
      const edges = region.points.map(([x1, y1], k) => [x1, y1, ...region.points[(k + 1) % region.points.length]]);
      const xs = region.points.map((p) => p[0]), ys = region.points.map((p) => p[1]);
      const l = Math.min(...xs), r = Math.max(...xs), b = Math.min(...ys), t = Math.max(...ys), flat = new Float64Array(edges.flat());
      for (let i = 0; i < n; i++) {
        const x = xy[2 * i], y = xy[2 * i + 1];
        let odd = x >= l && x <= r && y >= b && y <= t;
        if (odd && region.kind !== "box") {
          odd = false;
          for (let k = 0; k < flat.length; k += 4) if (y < flat[k + 1] !== y < flat[k + 3] && x < flat[k] + ((y - flat[k + 1]) * (flat[k + 2] - flat[k])) / (flat[k + 3] - flat[k + 1])) odd = !odd;
        }
        if (odd) { flags[i] |= INSIDE; inside++; } else flags[i] &= ~INSIDE;
      }
    } else for (let i = 0; i < n; i++) flags[i] |= INSIDE;
    this.painter.flags = flags;
    this.root.dataset.inside = region ? String(inside) : "";
    this.chip.hidden = !region;
    this.chip.replaceChildren(make("b", { text: exactly(inside) }), region ? ` of the points shown are inside` : "", make("span", { text: "✕", "aria-hidden": "true" }));
    if (region) this.live.textContent = `${exactly(inside)} points inside`;
    this.draw();
  }

  // --- one document ---

  on(i) { return (this.flags[i] & this.view.need) === this.view.need && this.colours[4 * this.codes[i] + 3] > 0; }

  nearest(px, py, most = 1, reach = REACH) {
    if (!this.grid) return [];
    const x = this.across(px), y = this.upwards(py), far = reach / this.view.scale;
    const found = this.grid.near(x, y, far, most, (i) => this.on(i));
    return found.length ? found : this.grid.near(x, y, far, most, () => true);
  }

  hovering(px, py) {
    this.pointer = [px, py];
    this.looking ||= requestAnimationFrame(() => {
      this.looking = 0;
      this.find();
    });
  }

  find() {
    if (this.pointer && !this.pointers.size) this.point(this.nearest(...this.pointer)[0] ?? null);
  }

  point(i) {
    if (i === (this.hover ?? null)) return;
    this.hover = i;
    this.root.dataset.hover = i === null ? "" : String(i);
    clearTimeout(this.asking);
    this.overlay();
    this.showCard();
    const pause = Math.max(110, (this.saidAt ?? -1e9) + 500 - performance.now()); // what the reader did goes first
    if (i !== null && !this.meeting.cards.has(`${this.pointsStamp}:${i}`)) this.asking = setTimeout(() => this.ask(i), pause);
  }

  // Ask for the documents around the pointer together, so that the next one pointed at is there already.
  ask(i, times = DELIVERIES) {
    clearTimeout(this.asking);
    if (this.closed || this.hover !== i || !times) return;
    const around = this.pointer ? this.nearest(...this.pointer, 12, 3 * REACH) : [];
    const wanted = [...new Set([i, ...around])].filter((j) => !this.meeting.cards.has(`${this.pointsStamp}:${j}`));
    this.unasked = this.meeting.ask ? null : i; // until there is someone to ask
    if (!wanted.includes(i)) return;
    this.meeting.ask?.(this.pointsStamp, wanted);
    this.asking = setTimeout(() => this.ask(i, times - 1), PATIENCE); // Streamlit may have been about to run something else
  }

  answered() {
    this.showCard();
    if ((this.unasked ?? null) !== null && this.unasked === this.hover) this.ask(this.hover);
  }

  showCard() {
    const i = this.hover ?? null, card = i === null ? null : this.meeting.cards.get(`${this.pointsStamp}:${i}`);
    this.card.hidden = !card;
    if (!card) return;
    this.card.replaceChildren(make("div", { class: "head", text: card.head }), make("div", { class: "text", dir: "auto", text: card.text }));
    const x = this.px(this.xy[2 * i]), y = this.py(this.xy[2 * i + 1]), { offsetWidth: w, offsetHeight: h } = this.card;
    const left = x + 16 + w < this.width ? x + 16 : Math.max(4, x - 16 - w), top = clamp(y - h / 2, 4, Math.max(4, this.height - h - 4));
    this.card.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  open(px, py, reach = REACH) {
    const i = this.nearest(px, py, 1, reach)[0];
    if (i === undefined) return;
    this.opened = [this.xy[2 * i], this.xy[2 * i + 1]];
    this.overlay();
    this.say("open", { point: i });
  }

  // The document nearest to the crosshair, however far.
  openNearest() {
    for (let reach = REACH; reach < 4 * this.width; reach *= 2) {
      if (this.nearest(this.width / 2, this.height / 2, 1, reach).length) return this.open(this.width / 2, this.height / 2, reach);
    }
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 0.12 * Math.min(this.width, this.height);
    const acts = {
      ArrowLeft: () => this.panBy(step, 0), ArrowRight: () => this.panBy(-step, 0), ArrowUp: () => this.panBy(0, step), ArrowDown: () => this.panBy(0, -step),
      "+": () => this.zoomBy(1.35), "=": () => this.zoomBy(1.35), "-": () => this.zoomBy(1 / 1.35), _: () => this.zoomBy(1 / 1.35),
      0: () => this.home(), Home: () => this.home(), Enter: () => this.openNearest(), Escape: () => this.clearRegion(),
      h: () => this.choose("pan"), l: () => this.choose("lasso"), b: () => this.choose("box"),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    this.keyboard = true;
    act();
    this.overlay();
  }

  say(kind, message) {
    this.sequence = Math.max(this.sequence + 1, Date.now());
    const said = { kind, sequence: this.sequence, stamp: this.pointsStamp, ...message };
    this.meeting.unsent = said;
    this.deliver(DELIVERIES);
  }

  // Until Python says that it has heard: the wire of a large map comes after it, and Streamlit runs one fragment alone when two speak at once.
  deliver(times) {
    clearTimeout(this.delivering);
    if (this.closed || !this.meeting.unsent) return;
    this.saidAt = performance.now();
    this.meeting.send?.(this.meeting.unsent);
    if (times > 1) this.delivering = setTimeout(() => this.deliver(times - 1), PATIENCE);
  }
}

function corners([[a, b], [c, d] = [a, b]]) {
  return [[Math.min(a, c), Math.min(b, d)], [Math.max(a, c), Math.min(b, d)], [Math.max(a, c), Math.max(b, d)], [Math.min(a, c), Math.max(b, d)]];
}

// At most three lines of about `width` characters.
function wrapped(text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1];
    if (last && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last ? `${last} ${word}` : word;
  }
  return lines.length > 3 ? [...lines.slice(0, 2), `${lines[2]} …`] : lines;
}
