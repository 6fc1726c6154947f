// @ts-check
/** The map on a 2-D canvas: for browsers without a graphics processor, where it is faster than WebGL in software. */
import { KIND, NO_CODE } from '../model/paint.js';
import { cssColor, rampColor } from '../theme.js';
import { MARK, MAX_HAZE } from './shared.js';
import { drawTrail, trailPoints } from './trails.js';

/** @typedef {import('./shared.js').Frame} Frame */
/** @typedef {import('../theme.js').Rgb} Rgb */

const RAMP_SHADES = 24;
const HAZE_SHRINK = 6;

/** @typedef {import("./shared.js").Renderer} Renderer */

/** @implements {Renderer} */
export class CanvasRenderer {
  /** @param {HTMLCanvasElement} canvas @param {{inMemory: boolean}} options */
  constructor(canvas, { inMemory }) {
    this.kind = /** @type {const} */ ('canvas');
    this.canvas = canvas;
    this.inMemory = inMemory;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { alpha: false, willReadFrequently: inMemory }));
    this.haze = document.createElement('canvas');
    this.layer = /** @type {import('../model/layer.js').Layer | null} */ (null);
    this.paint = /** @type {import('../model/paint.js').Paint | null} */ (null);
    this.palette = /** @type {import('../theme.js').Palette | null} */ (null);
    this.marks = /** @type {Uint8Array} */ (new Uint8Array(0));
    this.trails = /** @type {import('./trails.js').Trail[]} */ ([]);
    /** Ready-made dots by colour and size: copying one is several times faster than filling an arc. @type {Map<string, HTMLCanvasElement>} */
    this.sprites = new Map();
    this.hazeKey = '';
  }

  /** @param {import('../model/layer.js').Layer} layer */
  setLayer(layer) { this.layer = layer; this.hazeKey = ''; }
  /** @param {import('../model/paint.js').Paint} paint */
  setPaint(paint) { this.paint = paint; this.hazeKey = ''; }
  /** @param {Uint8Array} marks */
  setMarks(marks) { this.marks = marks; }
  /** @param {import('./trails.js').Trail[]} trails */
  setTrails(trails) { this.trails = trails; }
  /** @param {import('../theme.js').Palette} palette */
  setPalette(palette) { this.palette = palette; this.sprites.clear(); this.hazeKey = ''; }
  dispose() { this.sprites.clear(); }

  /** @param {Frame} frame */
  draw(frame) {
    const { context, layer, paint, palette } = this;
    if (!palette) return;
    const width = Math.round(frame.width * frame.ratio);
    const height = Math.round(frame.height * frame.ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = cssColor(palette.well);
    context.fillRect(0, 0, width, height);
    if (!layer || !paint || paint.kind.length !== layer.steps.length * layer.neurons) return;
    if (layer.neurons <= MAX_HAZE) this.#drawHaze(frame);
    context.setTransform(frame.ratio, 0, 0, frame.ratio, 0, 0);
    if (frame.trails) this.#drawTrails(frame);
    this.#drawPoints(frame);
    this.#drawMarked(frame);
  }

  /** Colour of a code. @param {number} code @returns {Rgb} */
  #color(code) {
    const { palette, paint } = this;
    if (!palette || code === NO_CODE) return palette?.none ?? [0.5, 0.5, 0.5];
    if (paint?.colorBy === 'category') return palette.slots[code] ?? palette.none;
    return rampColor(palette.ramp, Math.round((code / 254) * RAMP_SHADES) / RAMP_SHADES);
  }

  /** @param {number} code @param {number} kind @param {number} radius px @param {number} ratio */
  #sprite(code, kind, radius, ratio) {
    const shade = this.paint?.colorBy === 'category' || code === NO_CODE ? code : Math.round((code / 254) * RAMP_SHADES) * 1000;
    const key = `${shade}/${kind}/${radius.toFixed(1)}/${ratio}`;
    let sprite = this.sprites.get(key);
    if (sprite) return sprite;
    const faint = kind === KIND.FAINT || kind === KIND.DIM_FAINT;
    const r = radius * (faint ? 0.74 : 1) * ratio;
    sprite = document.createElement('canvas');
    sprite.width = sprite.height = Math.ceil(2 * r + 4 * ratio);
    const context = /** @type {CanvasRenderingContext2D} */ (sprite.getContext('2d', { willReadFrequently: this.inMemory }));
    const centre = sprite.width / 2;
    const disc = (/** @type {number} */ size) => { context.beginPath(); context.arc(centre, centre, size, 0, 2 * Math.PI); };
    context.globalAlpha = kind >= KIND.DIM_FAINT ? 0.13 : 1;
    if (kind < KIND.DIM_FAINT) {
      context.fillStyle = cssColor(/** @type {import('../theme.js').Palette} */ (this.palette).well);
      disc(r + 1.1 * ratio);
      context.fill();
    }
    context.fillStyle = context.strokeStyle = cssColor(this.#color(code));
    if (faint) {
      // Hollow: that a neuron has no concept shows without colour too.
      context.lineWidth = Math.max(1, r * 0.42);
      disc(Math.max(0.6, r - context.lineWidth / 2));
      context.stroke();
    } else {
      disc(r);
      context.fill();
    }
    if (this.sprites.size > 600) this.sprites.clear();
    this.sprites.set(key, sprite);
    return sprite;
  }

  /** @param {Frame} frame @param {number} neuron @returns {[number, number]} CSS px */
  #place(frame, neuron) {
    const { position, neurons } = /** @type {import('../model/layer.js').Layer} */ (this.layer);
    const a = 2 * (frame.before * neurons + neuron);
    const b = 2 * (frame.after * neurons + neuron);
    const x = position[a] + (position[b] - position[a]) * frame.share;
    const y = position[a + 1] + (position[b + 1] - position[a + 1]) * frame.share;
    return [frame.x + frame.scale * x, frame.y - frame.scale * y];
  }

  /** @param {Frame} frame */
  #drawPoints(frame) {
    const { context, layer, paint, marks } = this;
    if (!layer || !paint) return;
    const { position, neurons } = layer;
    const base = (frame.share < 0.5 ? frame.before : frame.after) * neurons;
    const a = 2 * frame.before * neurons;
    const b = 2 * frame.after * neurons;
    const { share, scale, ratio } = frame;
    context.setTransform(1, 0, 0, 1, 0, 0);
    // Quiet ones first, so that meaning lies on top.
    for (const wanted of [KIND.DIM_FAINT, KIND.DIM_FULL, KIND.FAINT, KIND.FULL]) {
      for (let neuron = 0; neuron < neurons; neuron++) {
        if (paint.kind[base + neuron] !== wanted || marks[neuron]) continue;
        const i = 2 * neuron;
        const x = frame.x + scale * (position[a + i] + (position[b + i] - position[a + i]) * share);
        const y = frame.y - scale * (position[a + i + 1] + (position[b + i + 1] - position[a + i + 1]) * share);
        if (x < -10 || y < -10 || x > frame.width + 10 || y > frame.height + 10) continue;
        const sprite = this.#sprite(paint.code[base + neuron], wanted, frame.radius, ratio);
        context.drawImage(sprite, x * ratio - sprite.width / 2, y * ratio - sprite.height / 2);
      }
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** @param {Frame} frame */
  #drawMarked(frame) {
    const { context, layer, paint, palette, marks } = this;
    if (!layer || !paint || !palette) return;
    const base = (frame.share < 0.5 ? frame.before : frame.after) * layer.neurons;
    for (let neuron = 0; neuron < marks.length; neuron++) {
      const kind = paint.kind[base + neuron];
      if (!marks[neuron] || kind === KIND.HIDDEN) continue;
      const [x, y] = this.#place(frame, neuron);
      const strong = marks[neuron] & (MARK.SELECTED | MARK.HOVERED);
      const quiet = marks[neuron] === MARK.SUGGESTED;
      const radius = Math.max(3, frame.radius * (strong ? 1.45 : quiet ? 1.1 : 1.2));
      context.globalAlpha = kind >= KIND.DIM_FAINT && !strong ? 0.25 : 1;
      const disc = (/** @type {number} */ size, /** @type {Rgb} */ color) => {
        context.beginPath();
        context.arc(x, y, size, 0, 2 * Math.PI);
        context.fillStyle = cssColor(color);
        context.fill();
      };
      const ring = marks[neuron] & MARK.SELECTED ? 2.2 : quiet ? 0.8 : 1.3;
      if (context.globalAlpha === 1) {
        disc(radius + 1.4 + ring, palette.ink);
        disc(radius + 1.4, palette.well);
      }
      disc(radius, this.#color(paint.code[base + neuron]));
    }
    context.globalAlpha = 1;
  }

  /** @param {Frame} frame */
  #drawTrails(frame) {
    const { context, layer, paint } = this;
    if (!layer || !paint) return;
    const colorOf = (/** @type {number} */ code, /** @type {number} */ opacity) => cssColor(this.#color(code), opacity);
    for (const trail of this.trails) {
      const points = trailPoints(layer, paint, trail, frame.cursor);
      drawTrail(context, points.map((point) => ({ ...point, x: frame.x + frame.scale * point.x, y: frame.y - frame.scale * point.y })), trail, colorOf);
    }
  }

  /** A soft glow under crowds, drawn small and stretched. @param {Frame} frame */
  #drawHaze(frame) {
    const { haze, layer, paint, context } = this;
    if (!layer || !paint) return;
    const width = Math.ceil(frame.width / HAZE_SHRINK);
    const height = Math.ceil(frame.height / HAZE_SHRINK);
    const key = [frame.cursor.toFixed(3), frame.scale, frame.x, frame.y, width, height].join();
    if (key !== this.hazeKey) {
      this.hazeKey = key;
      if (haze.width !== width || haze.height !== height) { haze.width = width; haze.height = height; }
      const small = /** @type {CanvasRenderingContext2D} */ (haze.getContext('2d', { willReadFrequently: this.inMemory }));
      small.clearRect(0, 0, width, height);
      small.globalAlpha = Math.min(0.1, 26 / layer.neurons);
      const base = (frame.share < 0.5 ? frame.before : frame.after) * layer.neurons;
      for (let neuron = 0; neuron < layer.neurons; neuron++) {
        if (paint.kind[base + neuron] !== KIND.FULL) continue;
        const sprite = this.#glow(paint.code[base + neuron]);
        const [x, y] = this.#place(frame, neuron);
        small.drawImage(sprite, x / HAZE_SHRINK - sprite.width / 2, y / HAZE_SHRINK - sprite.height / 2);
      }
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(haze, 0, 0, width * HAZE_SHRINK * frame.ratio, height * HAZE_SHRINK * frame.ratio);
  }

  /** @param {number} code */
  #glow(code) {
    const shade = this.paint?.colorBy === 'category' ? code : Math.round((code / 254) * RAMP_SHADES);
    const key = `glow/${shade}`;
    let sprite = this.sprites.get(key);
    if (sprite) return sprite;
    const radius = Math.round(42 / HAZE_SHRINK);
    sprite = document.createElement('canvas');
    sprite.width = sprite.height = 2 * radius;
    const context = /** @type {CanvasRenderingContext2D} */ (sprite.getContext('2d', { willReadFrequently: this.inMemory }));
    const [r, g, b] = this.#color(code).map((value) => Math.round(value * 255));
    const gradient = context.createRadialGradient(radius, radius, 0, radius, radius, radius);
    for (const stop of [0, 0.25, 0.5, 0.75, 1]) gradient.addColorStop(stop, `rgba(${r},${g},${b},${Math.exp(-4.5 * stop * stop) * (1 - stop)})`);
    context.fillStyle = gradient;
    context.fillRect(0, 0, 2 * radius, 2 * radius);
    this.sprites.set(key, sprite);
    return sprite;
  }
}
