// @ts-check
/**
 * The player of a saved animation. This file's text is put into the saved page, so it imports nothing, asks for
 * nothing from outside, and reads only what `export/animation.js` wrote. All text of the log is set as text.
 */

/** @typedef {import('./animation.js').Animation} Animation */
/** @typedef {import('./animation.js').Look} Look */
/** @typedef {{positions: Uint16Array, labels: Uint16Array, kinds: Uint8Array, codes: Uint8Array | null}} Arrays */
/** @typedef {{x: number, y: number, width: number, height: number, scale: number, left: number, top: number}} View where a map lies in the canvas, CSS px */

/** @param {Document} page @param {Animation} animation */
export function startPlayer(page, animation) {
  const NOWHERE = 0xffff;
  const FAINT = [1, 3];
  const DIM = [3, 4];
  const { layers, anchors, panes } = animation;
  const lead = layers[0];
  const last = lead.steps.length - 1;
  const arrays = layers.map(({ positions, labels, kinds, codes }) => /** @type {Arrays} */ ({
    positions: new Uint16Array(bytesOf(positions)), labels: new Uint16Array(bytesOf(labels)), kinds: new Uint8Array(bytesOf(kinds)), codes: codes ? new Uint8Array(bytesOf(codes)) : null,
  }));
  const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (page.getElementById(id));
  const canvas = /** @type {HTMLCanvasElement} */ (find('map'));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const scrub = /** @type {HTMLInputElement} */ (find('scrub'));
  const window = /** @type {Window & typeof globalThis} */ (page.defaultView);
  const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches || animation.still;
  let theme = animation.theme;
  let cursor = 0;
  let playing = false;
  let zoom = { k: 1, x: 0, y: 0 };
  let speed = animation.speed;
  let pending = 0;
  /** @type {{layer: number, neuron: number} | null} */
  let hovered = null;

  /** @param {string} text @returns {ArrayBuffer} */
  function bytesOf(text) {
    const whole = atob(text);
    const bytes = new Uint8Array(whole.length);
    for (let i = 0; i < whole.length; i++) bytes[i] = whole.charCodeAt(i);
    return bytes.buffer;
  }
  /** @returns {Look} */
  const look = () => animation.looks[theme];
  /** Fractional index of a layer's step when the leading one is at the cursor. @param {number} layer */
  function cursorOf(layer) {
    if (layer === 0) return cursor;
    const at = Math.floor(cursor);
    const from = lead.places[at];
    const place = from + ((lead.places[Math.min(at + 1, last)] - from) * (cursor - at));
    const { places } = layers[layer];
    const after = places.findIndex((one) => one >= place);
    if (after < 0) return places.length - 1;
    if (after === 0) return 0;
    return after - 1 + (place - places[after - 1]) / (places[after] - places[after - 1]);
  }
  /** The two steps around a cursor and the share of the later one. @param {number} layer */
  function momentOf(layer) {
    const { spaces, steps } = layers[layer];
    const exact = still ? Math.round(cursorOf(layer)) : cursorOf(layer);
    const before = Math.floor(exact);
    const after = Math.min(before + 1, steps.length - 1);
    const share = exact - before;
    if (spaces[before] === spaces[after]) return { before, after, share };
    const near = share < 0.5 ? before : after;
    return { before: near, after: near, share: 0 };
  }

  /** Where the maps lie now. @returns {View[]} */
  function views() {
    const { clientWidth, clientHeight } = canvas;
    const width = clientWidth / panes.length;
    const [left, right, bottom, top] = animation.box;
    const narrow = Math.min(width, clientHeight);
    const margin = Math.max(18, Math.min(60, 0.09 * narrow));
    const scale = Math.min((width - 2 * margin) / (right - left || 1), (clientHeight - 2 * margin) / (top - bottom || 1));
    return panes.map((_, i) => ({
      x: i * width, y: 0, width, height: clientHeight, scale: scale * zoom.k,
      left: i * width + zoom.x + zoom.k * (width / 2 - (scale * (left + right)) / 2), top: zoom.y + zoom.k * (clientHeight / 2 + (scale * (bottom + top)) / 2),
    }));
  }
  /** Pixel of a neuron, NaN where it is nowhere. @param {number} layer @param {number} neuron @param {{before: number, after: number, share: number}} moment @param {View} view @returns {[number, number]} */
  function pixelOf(layer, neuron, { before, after, share }, view) {
    const { neurons, box: [left, right, bottom, top] } = layers[layer];
    const { positions } = arrays[layer];
    const a = 2 * (before * neurons + neuron);
    const b = 2 * (after * neurons + neuron);
    const [from, to, part] = positions[a] === NOWHERE ? [b, b, 0] : positions[b] === NOWHERE ? [a, a, 0] : [a, b, share];
    if (positions[from] === NOWHERE) return [NaN, NaN];
    const x = positions[from] + (positions[to] - positions[from]) * part;
    const y = positions[from + 1] + (positions[to + 1] - positions[from + 1]) * part;
    return [view.left + view.scale * (left + (x * (right - left)) / (NOWHERE - 1)), view.top - view.scale * (bottom + (y * (top - bottom)) / (NOWHERE - 1))];
  }
  /** @param {number} layer @param {number} at index of neuron and step */
  function colorOf(layer, at) {
    const { codes, labels } = arrays[layer];
    const colors = look();
    if (codes) return colors.codes[layer][codes[at]] ?? colors.none;
    return labels[at] === NOWHERE ? colors.none : colors.categories[layers[layer].groups[labels[at]]] ?? colors.none;
  }

  function draw() {
    pending = 0;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const { clientWidth, clientHeight } = canvas;
    if (canvas.width !== Math.round(clientWidth * ratio) || canvas.height !== Math.round(clientHeight * ratio)) {
      canvas.width = Math.round(clientWidth * ratio);
      canvas.height = Math.round(clientHeight * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = look().well;
    context.fillRect(0, 0, clientWidth, clientHeight);
    views().forEach((view, i) => drawPane(view, i));
    tell();
  }
  /** @param {View} view @param {number} place */
  function drawPane(view, place) {
    const colors = look();
    context.save();
    context.beginPath();
    context.rect(view.x, view.y, view.width, view.height);
    context.clip();
    for (const layer of panes[place].layers) { drawTrails(layer, view); drawPoints(layer, view); drawTracked(layer, view); }
    drawAnchors(view);
    context.globalAlpha = 1;
    if (panes[place].name) write(panes[place].name, view.x + 20, 22, 13, colors.ink);
    if (place) { context.fillStyle = colors.rule; context.fillRect(view.x, 0, 1, view.height); }
    context.restore();
  }
  /** @param {number} layer @param {View} view */
  function drawPoints(layer, view) {
    const { neurons } = layers[layer];
    const { kinds } = arrays[layer];
    const moment = momentOf(layer);
    const start = (moment.share < 0.5 ? moment.before : moment.after) * neurons;
    const radius = radiusNow();
    const halo = neurons <= 20000;
    for (const kind of [3, 4, 1, 2]) {
      const hollow = FAINT.includes(kind);
      const dim = DIM.includes(kind);
      context.globalAlpha = dim ? 0.13 : 1;
      for (let neuron = 0; neuron < neurons; neuron++) {
        if (kinds[start + neuron] !== kind) continue;
        const [x, y] = pixelOf(layer, neuron, moment, view);
        if (!(x > view.x - 9 && x < view.x + view.width + 9 && y > -9 && y < view.height + 9)) continue;
        if (halo && !dim) disc(x, y, radius * (hollow ? 0.74 : 1) + 1.1, look().well);
        const color = colorOf(layer, start + neuron);
        if (hollow) { context.strokeStyle = color; context.lineWidth = Math.max(0.8, radius * 0.32); context.beginPath(); context.arc(x, y, radius * 0.62, 0, 7); context.stroke(); }
        else disc(x, y, radius, color);
      }
    }
    context.globalAlpha = 1;
  }
  /** @param {number} x @param {number} y @param {number} radius @param {string} color */
  function disc(x, y, radius, color) {
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    context.fill();
  }
  const radiusNow = () => {
    const neurons = layers.reduce((total, one) => total + one.neurons, 0);
    return Math.max(1.5, Math.min(5.2, 5 - 0.55 * Math.log2(Math.max(1, neurons / 128)))) * Math.min(2, zoom.k ** 0.35);
  };
  /** @param {number} layer @param {View} view */
  function drawTrails(layer, view) {
    const { neurons, spaces } = layers[layer];
    const moment = momentOf(layer);
    context.lineCap = 'round';
    for (const neuron of animation.trails ? animation.tracked[layer] : []) {
      let [x, y] = pixelOf(layer, neuron, moment, view);
      for (let step = moment.share ? moment.before : moment.before - 1, age = 0; step >= 0 && age < 20 && spaces[step] === spaces[moment.before]; step--, age++) {
        const [pastX, pastY] = pixelOf(layer, neuron, { before: step, after: step, share: 0 }, view);
        if (!(pastX === pastX && x === x)) break;
        context.globalAlpha = 0.85 * (1 - age / 20) ** 1.5;
        context.strokeStyle = colorOf(layer, step * neurons + neuron);
        context.lineWidth = 0.7 + 2.6 * (1 - age / 20);
        context.beginPath();
        context.moveTo(x, y);
        context.lineTo(pastX, pastY);
        context.stroke();
        [x, y] = [pastX, pastY];
      }
    }
    context.globalAlpha = 1;
  }
  /** @param {number} layer @param {View} view */
  function drawTracked(layer, view) {
    const { neurons } = layers[layer];
    const moment = momentOf(layer);
    const start = (moment.share < 0.5 ? moment.before : moment.after) * neurons;
    const radius = Math.max(3, radiusNow() * 1.2);
    for (const neuron of [...animation.tracked[layer], ...(hovered?.layer === layer ? [hovered.neuron] : [])]) {
      const [x, y] = pixelOf(layer, neuron, moment, view);
      if (!(x === x)) continue;
      disc(x, y, radius + 2.7, look().ink);
      disc(x, y, radius + 1.4, look().well);
      disc(x, y, radius, colorOf(layer, start + neuron));
    }
  }
  /** Stars and names; a name that finds no room is left out. @param {View} view */
  function drawAnchors(view) {
    const colors = look();
    const star = new Path2D(animation.star);
    /** @type {[number, number, number, number][]} */
    const taken = panes.length > 1 ? [[view.x, 0, view.x + view.width, 30]] : [];
    const placed = anchors.map(({ word, x, y }) => ({ word, x: view.left + view.scale * x, y: view.top - view.scale * y }));
    for (const { x, y } of placed) {
      taken.push([x - 8, y - 8, x + 8, y + 8]);
      context.save();
      context.translate(x, y);
      context.lineJoin = 'round';
      context.lineWidth = 3;
      context.strokeStyle = colors.well;
      context.stroke(star);
      context.fillStyle = colors.star;
      context.fill(star);
      context.restore();
    }
    for (const { word, x, y } of placed) {
      context.font = fontOf(12.5, 600);
      const width = context.measureText(word).width;
      const spot = [[x + 11, y + 4], [x - 11 - width, y + 4], [x - width / 2, y - 12], [x - width / 2, y + 21]].find(([left, base]) => left > view.x + 3 && left + width < view.x + view.width - 3
        && !taken.some((box) => left < box[2] && left + width > box[0] && base - 11 < box[3] && base + 3 > box[1]));
      if (!spot) continue;
      taken.push([spot[0], spot[1] - 11, spot[0] + width, spot[1] + 3]);
      write(word, spot[0], spot[1], 12.5, colors.ink);
    }
  }
  const fontOf = (/** @type {number} */ size, /** @type {number} */ weight) => `${weight} ${size}px Inter, system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif`;
  /** @param {string} text @param {number} x @param {number} y @param {number} size @param {string} color */
  function write(text, x, y, size, color) {
    context.font = fontOf(size, 600);
    context.lineJoin = 'round';
    context.lineWidth = 3.5;
    context.strokeStyle = look().well;
    context.strokeText(text, x, y);
    context.fillStyle = color;
    context.fillText(text, x, y);
  }

  /** Step, counts and legend in words. */
  function tell() {
    const at = Math.round(cursor);
    find('step-now').textContent = String(lead.steps[at]).replace('-', '\u2212');
    scrub.value = String(cursor);
    scrub.setAttribute('aria-valuetext', `step ${lead.steps[at]}`);
    const counts = new Map();
    let interpretable = 0;
    const { labels } = arrays[0];
    for (let i = at * lead.neurons; i < (at + 1) * lead.neurons; i++) {
      if (labels[i] === NOWHERE) continue;
      interpretable++;
      const group = lead.groups[labels[i]];
      counts.set(group, (counts.get(group) ?? 0) + 1);
    }
    find('told').textContent = `${layers.length > 1 ? `${lead.run}, ${lead.layer}: ` : ''}${interpretable} of ${lead.neurons} neurons interpretable${animation.facts[at] ? ` · ${animation.facts[at]}` : ''}`;
    if (layers.length === 1) page.querySelectorAll('#legend b').forEach((element, i) => { element.textContent = String(counts.get(i) ?? 0); });
  }
  function makeLegend() {
    const legend = find('legend');
    const colors = look();
    const entry = (/** @type {string} */ text, /** @type {string} */ style, /** @type {boolean} */ counted, className = '') => {
      const line = page.createElement('span');
      const mark = page.createElement('i');
      mark.className = className;
      mark.style.cssText = style;
      line.append(mark, text);
      if (counted) line.append(page.createElement('b'));
      return line;
    };
    const { ramp } = animation;
    legend.replaceChildren(
      ...animation.categories.map((label, i) => entry(label, `background:${ramp || animation.other ? colors.ink3 : colors.categories[i]}`, layers.length === 1)),
      entry('no concept', `border:2px solid ${colors.none}`, false),
      ...(anchors.length ? [entry('anchor', `width:12px;height:12px;border-radius:0;background:${colors.star};clip-path:polygon(50% 0,62% 36%,98% 36%,69% 58%,79% 94%,50% 72%,21% 94%,31% 58%,2% 36%,38% 36%)`, false)] : []),
      ...(ramp ? [entry(`${ramp.told}: ${ramp.low} to ${ramp.high}`, `background:linear-gradient(90deg,${colors.ramp.join(',')})`, false, 'ramp')] : []),
      ...(animation.other ? [entry(animation.other, 'display:none', false)] : []),
    );
  }

  const repaint = () => { if (!pending) pending = window.requestAnimationFrame(draw); };
  const seek = (/** @type {number} */ to) => { cursor = Math.max(0, Math.min(last, to)); repaint(); };
  const setPlaying = (/** @type {boolean} */ now) => {
    playing = now && last > 0;
    const button = find('play');
    button.setAttribute('aria-label', playing ? 'Pause' : 'Play');
    /** @type {SVGPathElement} */ (button.querySelector('path')).setAttribute('d', playing ? 'M4 3h4v12H4zM10 3h4v12h-4z' : 'M5.5 3.200v11.600l9.200-5.800z');
    if (!playing) { seek(Math.round(cursor)); return; }
    if (cursor >= last) cursor = 0;
    let before = window.performance.now();
    const advance = (/** @type {number} */ now) => {
      if (!playing) return;
      cursor += Math.min(0.1, Math.max(0, now - before) / 1000) * speed * animation.stepsPerSecond;
      before = now;
      if (cursor >= last) { cursor = last; setPlaying(false); return; }
      draw();
      window.requestAnimationFrame(advance);
    };
    window.requestAnimationFrame(advance);
  };
  const jump = (/** @type {number} */ to) => { setPlaying(false); seek(to); };
  const setTheme = (/** @type {'light' | 'dark'} */ to) => {
    theme = to;
    const { well, ink, ink2, ink3, rule } = look();
    const style = page.documentElement.style;
    for (const [name, value] of Object.entries({ well, ink, 'ink-2': ink2, 'ink-3': ink3, rule, card: look().card })) style.setProperty(`--${name}`, value);
    style.colorScheme = to;
    find('theme').setAttribute('aria-pressed', String(to === 'dark'));
    makeLegend();
    repaint();
  };

  /** The neuron under the pointer. @param {number} px @param {number} py */
  function pick(px, py) {
    const place = Math.min(panes.length - 1, Math.floor(px / (canvas.clientWidth / panes.length)));
    const view = views()[place];
    let best = 12 ** 2;
    let found = null;
    for (const layer of panes[place].layers) {
      const moment = momentOf(layer);
      const start = (moment.share < 0.5 ? moment.before : moment.after) * layers[layer].neurons;
      for (let neuron = 0; neuron < layers[layer].neurons; neuron++) {
        const kind = arrays[layer].kinds[start + neuron];
        if (kind !== 1 && kind !== 2) continue;
        const [x, y] = pixelOf(layer, neuron, moment, view);
        const away = (x - px) ** 2 + (y - py) ** 2;
        if (away < best) { best = away; found = { layer, neuron }; }
      }
    }
    return found;
  }
  /** @param {number} px @param {number} py */
  function hover(px, py) {
    hovered = pick(px, py);
    const tip = find('tip');
    tip.hidden = !hovered;
    repaint();
    if (!hovered) return;
    const { layer, neuron } = hovered;
    const moment = momentOf(layer);
    const label = arrays[layer].labels[(moment.share < 0.5 ? moment.before : moment.after) * layers[layer].neurons + neuron];
    const name = page.createElement('b');
    name.textContent = label === NOWHERE ? 'no clear concept' : layers[layer].words[label];
    const group = label === NOWHERE ? '' : animation.categories[layers[layer].groups[label]] ?? '';
    tip.replaceChildren(name, `neuron ${neuron}${group ? ` · ${group}` : ''}${layers.length > 1 ? ` · ${layers[layer].run}, ${layers[layer].layer}` : ''}`);
    tip.style.left = `${Math.min(px + 14, canvas.clientWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(4, Math.min(py + 14, canvas.clientHeight - tip.offsetHeight - 8))}px`;
  }

  page.title = animation.title;
  find('title').textContent = animation.title;
  find('note').textContent = animation.note;
  canvas.setAttribute('aria-label', `Concept map of ${animation.title}: anchors ${anchors.map(({ word }) => word).join(', ') || 'none'}`);
  scrub.max = String(last);
  find('step-last').textContent = ` / ${lead.steps[last]}`;
  find('play').addEventListener('click', () => setPlaying(!playing));
  find('back').addEventListener('click', () => jump(Math.round(cursor) - 1));
  find('on').addEventListener('click', () => jump(Math.round(cursor) + 1));
  find('theme').addEventListener('click', () => setTheme(theme === 'dark' ? 'light' : 'dark'));
  find('speed').addEventListener('change', (event) => { speed = Number(/** @type {HTMLSelectElement} */ (event.target).value); });
  scrub.addEventListener('input', () => { setPlaying(false); seek(Number(scrub.value)); });
  scrub.addEventListener('change', () => seek(Math.round(Number(scrub.value))));
  page.addEventListener('keydown', (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === 'SELECT' || (event.key === ' ' && target.tagName === 'BUTTON')) return;
    /** @type {Record<string, () => void>} */
    const keys = { ' ': () => setPlaying(!playing), ArrowLeft: () => jump(Math.round(cursor) - 1), ArrowRight: () => jump(Math.round(cursor) + 1), Home: () => jump(0), End: () => jump(last) };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  let dragged = /** @type {{x: number, y: number} | null} */ (null);
  canvas.addEventListener('pointerdown', (event) => { dragged = { x: event.clientX, y: event.clientY }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener('pointerup', () => { dragged = null; });
  canvas.addEventListener('pointermove', (event) => {
    if (!dragged) { const bounds = canvas.getBoundingClientRect(); hover(event.clientX - bounds.left, event.clientY - bounds.top); return; }
    zoom = { ...zoom, x: zoom.x + event.clientX - dragged.x, y: zoom.y + event.clientY - dragged.y };
    dragged = { x: event.clientX, y: event.clientY };
    repaint();
  });
  canvas.addEventListener('pointerleave', () => { hovered = null; find('tip').hidden = true; repaint(); });
  canvas.addEventListener('dblclick', () => { zoom = { k: 1, x: 0, y: 0 }; repaint(); });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const k = Math.max(0.6, Math.min(60, zoom.k * 2 ** (-event.deltaY * 0.002)));
    const bounds = canvas.getBoundingClientRect();
    const width = canvas.clientWidth / panes.length;
    const x = (event.clientX - bounds.left) % width;
    const y = event.clientY - bounds.top;
    zoom = { k, x: x - ((x - zoom.x) * k) / zoom.k, y: y - ((y - zoom.y) * k) / zoom.k };
    repaint();
  }, { passive: false });
  new window.ResizeObserver(repaint).observe(canvas);
  setTheme(theme);
  seek(animation.start);
}
