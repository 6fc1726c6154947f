// @ts-check
/** A few thousand points, each a copy of a ready-made dot: several times faster than filling arcs. */
import { epochOf } from '../model/layer.js';
import { KIND } from '../model/paint.js';
import { cssColor } from '../theme.js';
import { reachOf, traceShape } from './shapes.js';
import { colorOf, shadeOf, sizeFactor, sizeLevel } from './tint.js';

/** @typedef {import('./shared.js').Frame} Frame */
/** @typedef {import('./shared.js').Sheet} Sheet */

const MAX_SPRITES = 900;
const HALO_PX = 1.1;
const TERRAIN_OPACITY = 0.26;
const TERRAIN_RADIUS = 1.7;

/** @param {HTMLCanvasElement} canvas @param {boolean} inMemory */
export const contextOf = (canvas, inMemory) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: inMemory }));

export class Sprites {
  /** @param {boolean} inMemory whether canvases are kept in main memory */
  constructor(inMemory) {
    this.inMemory = inMemory;
    this.palette = /** @type {import('../theme.js').Palette | null} */ (null);
    /** By sheet's look, then by a number made of shade, kind and size. @type {Map<string, Map<number, HTMLCanvasElement>>} */
    this.sets = new Map();
    this.made = 0;
  }

  /** @param {import('../theme.js').Palette} palette */
  setPalette(palette) { this.palette = palette; this.clear(); }
  clear() { this.sets.clear(); this.made = 0; }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {Sheet[]} sheets */
  draw(context, frame, sheets) {
    if (this.made > MAX_SPRITES) this.clear();
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (frame.terrain) this.#drawTerrain(context, frame, frame.terrain);
    // Quiet ones first, so that meaning lies on top.
    for (const wanted of [KIND.DIM_FAINT, KIND.DIM_FULL, KIND.FAINT, KIND.FULL]) for (const sheet of sheets) this.#drawSheet(context, frame, sheet, wanted);
  }

  /** @param {string} look @returns {Map<number, HTMLCanvasElement>} */
  #set(look) {
    let set = this.sets.get(look);
    if (!set) this.sets.set(look, (set = new Map()));
    return set;
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {Sheet} sheet @param {number} wanted kind */
  #drawSheet(context, frame, sheet, wanted) {
    const { layer, moment, paint, marks } = sheet;
    const coat = paint.at(epochOf(moment));
    const before = layer.frames[moment.before]?.position;
    const after = layer.frames[moment.after]?.position;
    if (!before || !after) return;
    const { share } = moment;
    const radius = Math.round(frame.radius * 10) / 10;
    const set = this.#set(`${paint.scale}/${paint.scale === 'source' ? sheet.source : 0}/${sheet.shape ?? 0}/${radius}/${frame.ratio}`);
    for (let neuron = 0; neuron < layer.neurons; neuron++) {
      if (coat.kind[neuron] !== wanted || marks[neuron]) continue;
      let x = before[2 * neuron];
      let y = before[2 * neuron + 1];
      if (x !== x) {
        x = after[2 * neuron];
        y = after[2 * neuron + 1];
      } else if (share > 0) {
        const then = after[2 * neuron];
        if (then === then) { x += (then - x) * share; y += (after[2 * neuron + 1] - y) * share; }
      }
      x = frame.x + frame.scale * x;
      y = frame.y - frame.scale * y;
      if (!(x > -10 && y > -10 && x < frame.width + 10 && y < frame.height + 10)) continue;
      const level = sizeLevel(coat.size, neuron);
      const key = (shadeOf(paint.scale, coat.code[neuron]) * 8 + wanted) * 16 + level + 1;
      let sprite = set.get(key);
      if (sprite === undefined) {
        sprite = this.#make(sheet, coat.code[neuron], wanted, radius * sizeFactor(level), frame.ratio);
        set.set(key, sprite);
        this.made++;
      }
      context.drawImage(sprite, x * frame.ratio - sprite.width / 2, y * frame.ratio - sprite.height / 2);
    }
  }

  /** @param {Sheet} sheet @param {number} code @param {number} kind @param {number} radius CSS px @param {number} ratio */
  #make({ paint, source, shape = 0 }, code, kind, radius, ratio) {
    const palette = /** @type {import('../theme.js').Palette} */ (this.palette);
    const faint = kind === KIND.FAINT || kind === KIND.DIM_FAINT;
    const r = radius * (faint ? 0.74 : 1) * ratio;
    const sprite = document.createElement('canvas');
    sprite.width = sprite.height = Math.ceil(2 * reachOf(shape, r) + 4 * ratio);
    const context = contextOf(sprite, this.inMemory);
    const centre = sprite.width / 2;
    const trace = (/** @type {number} */ size) => { context.beginPath(); traceShape(context, shape, centre, centre, size); };
    context.globalAlpha = kind >= KIND.DIM_FAINT ? 0.13 : 1;
    if (kind < KIND.DIM_FAINT) {
      context.fillStyle = cssColor(palette.well);
      trace(r + HALO_PX * ratio);
      context.fill();
    }
    context.fillStyle = context.strokeStyle = cssColor(colorOf(palette, paint.scale, source, code));
    if (faint) {
      // Hollow: that a neuron has no concept shows without colour too.
      context.lineWidth = Math.max(1, r * 0.42);
      trace(Math.max(0.6, r - context.lineWidth / 2));
      context.stroke();
    } else {
      trace(r);
      context.fill();
    }
    return sprite;
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {import('../model/space.js').Space} space */
  #drawTerrain(context, { ratio, scale, x: left, y: top, width, height }, space) {
    const palette = /** @type {import('../theme.js').Palette} */ (this.palette);
    const set = this.#set(`terrain/${ratio}`);
    context.globalAlpha = TERRAIN_OPACITY;
    for (let i = 0; i < space.words.length; i++) {
      const x = left + scale * space.position[2 * i];
      const y = top - scale * space.position[2 * i + 1];
      if (!(x > 0 && y > 0 && x < width && y < height)) continue;
      const slot = space.categories[space.categoryOfWord[i]]?.slot ?? 0;
      let sprite = set.get(slot);
      if (!sprite) set.set(slot, (sprite = dot(TERRAIN_RADIUS * ratio, cssColor(palette.slots[slot] ?? palette.none), this.inMemory)));
      context.drawImage(sprite, x * ratio - sprite.width / 2, y * ratio - sprite.height / 2);
    }
    context.globalAlpha = 1;
  }
}

/** @param {number} radius device px @param {string} color @param {boolean} inMemory */
function dot(radius, color, inMemory) {
  const sprite = document.createElement('canvas');
  sprite.width = sprite.height = Math.ceil(2 * radius + 2);
  const context = contextOf(sprite, inMemory);
  context.fillStyle = color;
  context.beginPath();
  context.arc(sprite.width / 2, sprite.height / 2, radius, 0, 2 * Math.PI);
  context.fill();
  return sprite;
}
