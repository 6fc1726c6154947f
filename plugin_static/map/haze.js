// @ts-check
/** A soft glow under crowds, drawn small and stretched; kept while nothing moves. */
import { epochOf } from '../model/layer.js';
import { KIND } from '../model/paint.js';
import { contextOf } from './sprites.js';
import { colorOf, shadeOf } from './tint.js';

/** @typedef {import('./shared.js').Frame} Frame */
/** @typedef {import('./shared.js').Sheet} Sheet */

const SHRINK = 6;
const REACH_PX = 42;
const STRONGEST = 0.1;

export class Haze {
  /** @param {boolean} inMemory */
  constructor(inMemory) {
    this.inMemory = inMemory;
    this.canvas = document.createElement('canvas');
    this.palette = /** @type {import('../theme.js').Palette | null} */ (null);
    /** @type {Map<string, Map<number, HTMLCanvasElement>>} */
    this.glows = new Map();
    this.key = '';
    this.painted = /** @type {import('../model/paint.js').Paint[]} */ ([]);
  }

  /** @param {import('../theme.js').Palette} palette */
  setPalette(palette) { this.palette = palette; this.clear(); }
  clear() { this.glows.clear(); this.key = ''; }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {Sheet[]} sheets */
  draw(context, frame, sheets) {
    const width = Math.ceil(frame.width / SHRINK);
    const height = Math.ceil(frame.height / SHRINK);
    const key = [...sheets.map(({ cursor }) => cursor.toFixed(3)), frame.scale, frame.x, frame.y, width, height].join();
    const same = sheets.length === this.painted.length && sheets.every(({ paint }, i) => paint === this.painted[i]);
    if (key !== this.key || !same) {
      this.key = key;
      this.painted = sheets.map(({ paint }) => paint);
      if (this.canvas.width !== width || this.canvas.height !== height) { this.canvas.width = width; this.canvas.height = height; }
      const small = contextOf(this.canvas, this.inMemory);
      small.clearRect(0, 0, width, height);
      for (const sheet of sheets) this.#drawSheet(small, frame, sheet);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.canvas, 0, 0, width * SHRINK * frame.ratio, height * SHRINK * frame.ratio);
  }

  /** @param {CanvasRenderingContext2D} small @param {Frame} frame @param {Sheet} sheet */
  #drawSheet(small, frame, sheet) {
    const { layer, moment, paint } = sheet;
    const before = layer.frames[moment.before]?.position;
    const after = layer.frames[moment.after]?.position;
    if (!before || !after) return;
    const { share } = moment;
    const coat = paint.at(epochOf(moment));
    const look = `${paint.scale}/${paint.scale === 'source' ? sheet.source : 0}`;
    let glows = this.glows.get(look);
    if (!glows) this.glows.set(look, (glows = new Map()));
    small.globalAlpha = Math.min(STRONGEST, 26 / layer.neurons);
    for (let neuron = 0; neuron < layer.neurons; neuron++) {
      if (coat.kind[neuron] !== KIND.FULL) continue;
      const nowhere = before[2 * neuron] !== before[2 * neuron];
      const stays = share === 0 || nowhere || after[2 * neuron] !== after[2 * neuron];
      const from = nowhere ? after : before;
      const x = from[2 * neuron] + (stays ? 0 : (after[2 * neuron] - from[2 * neuron]) * share);
      const y = from[2 * neuron + 1] + (stays ? 0 : (after[2 * neuron + 1] - from[2 * neuron + 1]) * share);
      const shade = shadeOf(paint.scale, coat.code[neuron]);
      let glow = glows.get(shade);
      if (!glow) glows.set(shade, (glow = this.#make(sheet, coat.code[neuron])));
      small.drawImage(glow, (frame.x + frame.scale * x) / SHRINK - glow.width / 2, (frame.y - frame.scale * y) / SHRINK - glow.height / 2);
    }
  }

  /** @param {Sheet} sheet @param {number} code */
  #make({ paint, source }, code) {
    const radius = Math.round(REACH_PX / SHRINK);
    const glow = document.createElement('canvas');
    glow.width = glow.height = 2 * radius;
    const context = contextOf(glow, this.inMemory);
    const [r, g, b] = colorOf(/** @type {import('../theme.js').Palette} */ (this.palette), paint.scale, source, code).map((value) => Math.round(value * 255));
    const gradient = context.createRadialGradient(radius, radius, 0, radius, radius, radius);
    for (const stop of [0, 0.25, 0.5, 0.75, 1]) gradient.addColorStop(stop, `rgba(${r},${g},${b},${Math.exp(-4.5 * stop * stop) * (1 - stop)})`);
    context.fillStyle = gradient;
    context.fillRect(0, 0, 2 * radius, 2 * radius);
    return glow;
  }
}
