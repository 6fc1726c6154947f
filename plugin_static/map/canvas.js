// @ts-check
/** The map on a 2-D canvas: for browsers without a graphics processor, where it is faster than WebGL in software. */
import { epochOf, placeAt } from '../model/layer.js';
import { KIND, NO_CODE } from '../model/paint.js';
import { cssColor, hueColor, rampColor } from '../theme.js';
import { MARK, MAX_HAZE } from './shared.js';
import { drawTrail, trailPoints } from './trails.js';

/** @typedef {import('./shared.js').Frame} Frame */
/** @typedef {import('./shared.js').Sheet} Sheet */
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
    this.palette = /** @type {import('../theme.js').Palette | null} */ (null);
    /** Ready-made dots by colour and size: copying one is several times faster than filling an arc. @type {Map<string, HTMLCanvasElement>} */
    this.sprites = new Map();
    this.hazeKey = '';
    this.hazed = /** @type {import('../model/paint.js').Paint[]} */ ([]);
  }

  /** @param {import('../theme.js').Palette} palette */
  setPalette(palette) { this.palette = palette; this.sprites.clear(); this.hazeKey = ''; }
  dispose() { this.sprites.clear(); }

  /** @param {Frame} frame @param {Sheet[]} sheets */
  draw(frame, sheets) {
    const { context, palette } = this;
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
    const drawn = sheets.filter(({ moment }) => moment.before >= 0);
    if (drawn.reduce((total, { layer }) => total + layer.neurons, 0) <= MAX_HAZE) this.#drawHaze(frame, drawn);
    context.setTransform(frame.ratio, 0, 0, frame.ratio, 0, 0);
    for (const sheet of drawn) this.#drawTrails(frame, sheet);
    for (const sheet of drawn) this.#drawPoints(frame, sheet);
    for (const sheet of drawn) this.#drawMarked(frame, sheet);
  }

  /** Colour of a code. @param {Sheet} sheet @param {number} code @returns {Rgb} */
  #color({ paint, source }, code) {
    const { palette } = this;
    if (!palette || code === NO_CODE) return palette?.none ?? [0.5, 0.5, 0.5];
    if (paint.scale === 'slot') return palette.slots[code] ?? palette.none;
    if (paint.scale === 'source') return palette.sources[source] ?? palette.ink;
    if (paint.scale === 'hue') return hueColor(code / 254, palette);
    return rampColor(palette.ramp, Math.round((code / 254) * RAMP_SHADES) / RAMP_SHADES);
  }

  /** @param {Sheet} sheet @param {number} code @param {number} kind @param {number} radius px @param {number} ratio */
  #sprite(sheet, code, kind, radius, ratio) {
    const { paint } = sheet;
    const shade = paint.scale !== 'ramp' || code === NO_CODE ? code : Math.round((code / 254) * RAMP_SHADES) * 1000;
    const key = `${paint.scale}/${paint.scale === 'source' ? sheet.source : 0}/${shade}/${kind}/${radius.toFixed(1)}/${ratio}`;
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
    context.fillStyle = context.strokeStyle = cssColor(this.#color(sheet, code));
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

  /** @param {Frame} frame @param {Sheet} sheet @param {number} neuron @returns {[number, number]} CSS px */
  #place(frame, { layer, moment }, neuron) {
    const [x, y] = placeAt(layer, neuron, moment);
    return [frame.x + frame.scale * x, frame.y - frame.scale * y];
  }

  /** @param {Frame} frame @param {Sheet} sheet */
  #drawPoints(frame, sheet) {
    const { context } = this;
    const { layer, paint, marks, moment } = sheet;
    const coat = paint.at(epochOf(moment));
    const { ratio } = frame;
    context.setTransform(1, 0, 0, 1, 0, 0);
    // Quiet ones first, so that meaning lies on top.
    for (const wanted of [KIND.DIM_FAINT, KIND.DIM_FULL, KIND.FAINT, KIND.FULL]) {
      for (let neuron = 0; neuron < layer.neurons; neuron++) {
        if (coat.kind[neuron] !== wanted || marks[neuron]) continue;
        const [x, y] = this.#place(frame, sheet, neuron);
        if (!(x > -10 && y > -10 && x < frame.width + 10 && y < frame.height + 10)) continue;
        const sprite = this.#sprite(sheet, coat.code[neuron], wanted, frame.radius, ratio);
        context.drawImage(sprite, x * ratio - sprite.width / 2, y * ratio - sprite.height / 2);
      }
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** @param {Frame} frame @param {Sheet} sheet */
  #drawMarked(frame, sheet) {
    const { context, palette } = this;
    const { paint, marks, moment } = sheet;
    if (!palette) return;
    const coat = paint.at(epochOf(moment));
    for (let neuron = 0; neuron < marks.length; neuron++) {
      const kind = coat.kind[neuron];
      if (!marks[neuron] || kind === KIND.HIDDEN) continue;
      const [x, y] = this.#place(frame, sheet, neuron);
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
      disc(radius, this.#color(sheet, coat.code[neuron]));
    }
    context.globalAlpha = 1;
  }

  /** @param {Frame} frame @param {Sheet} sheet */
  #drawTrails(frame, sheet) {
    const colorOf = (/** @type {number} */ code, /** @type {number} */ opacity) => cssColor(this.#color(sheet, code), opacity);
    for (const trail of sheet.trails) {
      const points = trailPoints(sheet.layer, sheet.paint, trail, sheet.cursor);
      drawTrail(this.context, points.map((point) => ({ ...point, x: frame.x + frame.scale * point.x, y: frame.y - frame.scale * point.y })), trail, colorOf);
    }
  }

  /** A soft glow under crowds, drawn small and stretched. @param {Frame} frame @param {Sheet[]} sheets */
  #drawHaze(frame, sheets) {
    const { haze, context } = this;
    const width = Math.ceil(frame.width / HAZE_SHRINK);
    const height = Math.ceil(frame.height / HAZE_SHRINK);
    const key = [...sheets.map(({ cursor }) => cursor.toFixed(3)), frame.scale, frame.x, frame.y, width, height].join();
    const same = sheets.length === this.hazed.length && sheets.every(({ paint }, i) => paint === this.hazed[i]);
    if (key !== this.hazeKey || !same) {
      this.hazeKey = key;
      this.hazed = sheets.map(({ paint }) => paint);
      if (haze.width !== width || haze.height !== height) { haze.width = width; haze.height = height; }
      const small = /** @type {CanvasRenderingContext2D} */ (haze.getContext('2d', { willReadFrequently: this.inMemory }));
      small.clearRect(0, 0, width, height);
      for (const sheet of sheets) {
        small.globalAlpha = Math.min(0.1, 26 / sheet.layer.neurons);
        const coat = sheet.paint.at(epochOf(sheet.moment));
        for (let neuron = 0; neuron < sheet.layer.neurons; neuron++) {
          if (coat.kind[neuron] !== KIND.FULL) continue;
          const sprite = this.#glow(sheet, coat.code[neuron]);
          const [x, y] = this.#place(frame, sheet, neuron);
          small.drawImage(sprite, x / HAZE_SHRINK - sprite.width / 2, y / HAZE_SHRINK - sprite.height / 2);
        }
      }
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(haze, 0, 0, width * HAZE_SHRINK * frame.ratio, height * HAZE_SHRINK * frame.ratio);
  }

  /** @param {Sheet} sheet @param {number} code */
  #glow(sheet, code) {
    const { paint } = sheet;
    const shade = paint.scale !== 'ramp' ? code : Math.round((code / 254) * RAMP_SHADES);
    const key = `glow/${paint.scale}/${paint.scale === 'source' ? sheet.source : 0}/${shade}`;
    let sprite = this.sprites.get(key);
    if (sprite) return sprite;
    const radius = Math.round(42 / HAZE_SHRINK);
    sprite = document.createElement('canvas');
    sprite.width = sprite.height = 2 * radius;
    const context = /** @type {CanvasRenderingContext2D} */ (sprite.getContext('2d', { willReadFrequently: this.inMemory }));
    const [r, g, b] = this.#color(sheet, code).map((value) => Math.round(value * 255));
    const gradient = context.createRadialGradient(radius, radius, 0, radius, radius, radius);
    for (const stop of [0, 0.25, 0.5, 0.75, 1]) gradient.addColorStop(stop, `rgba(${r},${g},${b},${Math.exp(-4.5 * stop * stop) * (1 - stop)})`);
    context.fillStyle = gradient;
    context.fillRect(0, 0, 2 * radius, 2 * radius);
    this.sprites.set(key, sprite);
    return sprite;
  }
}
