// @ts-check
/**
 * Many points, written straight into the pixels of an image: with one ready-made mask per kind and place within a
 * pixel, a hundred thousand points take a few milliseconds without a graphics processor. Nothing is allocated per frame.
 */
import { epochOf } from '../model/layer.js';
import { KIND } from '../model/paint.js';
import { isOnShape, reachOf } from './shapes.js';
import { pixelTable, SHADES, sizeFactor, SIZES, toPixel } from './tint.js';

/** @typedef {import('./shared.js').Frame} Frame */
/** @typedef {import('./shared.js').Sheet} Sheet */
/** @typedef {{offsets: Int32Array, shades: Uint8Array, weights: Uint16Array, solid: number}} Mask pixels of a mark, those that need no mixing (`solid` of them) first; weights of 256 */

/** Room around the picture, so that marks at its edge need no clipping. */
const PAD = 40;
/** Places within a pixel, each way: still enough that slow motion does not stutter. */
const SUB = 4;
const SAMPLES = 4;
const DIM = 0.13;
const HALO_PX = 1.1;
/** In larger crowds halos would be all that one sees. */
const MAX_HALO = 20000;
/** Dots of the concepts themselves, under the neurons. */
const TERRAIN = 5;
const KINDS = 6;
const TERRAIN_OPACITY = 0.26;
const TERRAIN_RADIUS = 1.7;
const ORDER = [KIND.DIM_FAINT, KIND.DIM_FULL, KIND.FAINT, KIND.FULL];

export class Splat {
  constructor() {
    this.image = /** @type {ImageData | null} */ (null);
    this.pixels = new Uint32Array(0);
    this.palette = /** @type {import('../theme.js').Palette | null} */ (null);
    /** @type {Map<string, Uint32Array>} */
    this.tables = new Map();
    /** @type {(Mask | undefined)[]} */
    this.masks = [];
    this.masksFor = '';
    /** @type {WeakMap<import('../model/space.js').Space, {kind: Uint8Array, code: Uint8Array}>} */
    this.grounds = new WeakMap();
  }

  /** @param {import('../theme.js').Palette} palette */
  setPalette(palette) { this.palette = palette; this.tables.clear(); }

  /** Draw over the whole of a canvas. @param {CanvasRenderingContext2D} context @param {Frame} frame @param {Sheet[]} sheets */
  draw(context, frame, sheets) {
    const { width, height } = context.canvas;
    const stride = width + 2 * PAD;
    const { palette } = this;
    if (!palette) return;
    if (!this.image || this.image.width !== stride || this.image.height !== height + 2 * PAD) {
      this.image = new ImageData(stride, height + 2 * PAD);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    const count = sheets.reduce((total, { layer }) => total + layer.neurons, 0);
    const halo = (count > MAX_HALO ? 0 : HALO_PX) * frame.ratio;
    const radius = Math.round(frame.radius * frame.ratio * 8) / 8;
    const masksFor = `${stride}/${radius}/${halo}/${frame.ratio}`;
    if (masksFor !== this.masksFor) { this.masksFor = masksFor; this.masks.length = 0; }
    this.pixels.fill(toPixel(palette.well));
    if (frame.terrain) this.#drawTerrain(frame, frame.terrain);
    for (const wanted of ORDER) for (const sheet of sheets) this.#drawSheet(frame, sheet, wanted, radius, halo);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.putImageData(this.image, -PAD, -PAD, PAD, PAD, width, height);
  }

  /** @param {Frame} frame @param {Sheet} sheet @param {number} wanted kind @param {number} radius @param {number} halo device px */
  #drawSheet(frame, sheet, wanted, radius, halo) {
    const { layer, moment, paint, marks } = sheet;
    const coat = paint.at(epochOf(moment));
    const before = layer.frames[moment.before]?.position;
    const after = layer.frames[moment.after]?.position;
    if (!before || !after) return;
    const table = this.#table(paint.scale, sheet.source);
    const shape = sheet.shape ?? 0;
    // Levels of size that occur: the usual one alone, or all.
    for (let level = -1; level < (coat.size ? SIZES : 0); level++) this.#prepare(shape, level, wanted, radius, halo);
    this.#splat(frame, before, after, moment.share, coat.kind, coat.code, coat.size, marks, table, shape, wanted);
  }

  /** @param {Frame} frame @param {import('../model/space.js').Space} space */
  #drawTerrain(frame, space) {
    let ground = this.grounds.get(space);
    if (!ground) {
      ground = { kind: new Uint8Array(space.words.length).fill(TERRAIN), code: Uint8Array.from(space.categoryOfWord, (category) => space.categories[category]?.slot ?? 0) };
      this.grounds.set(space, ground);
    }
    this.#prepare(0, -1, TERRAIN, TERRAIN_RADIUS * frame.ratio, 0);
    this.#splat(frame, space.position, space.position, 0, ground.kind, ground.code, null, null, this.#table('slot', 0), 0, TERRAIN);
  }

  /** @param {import('../model/paint.js').Scale} scale @param {number} source */
  #table(scale, source) {
    const key = `${scale}/${scale === 'source' ? source : 0}`;
    let table = this.tables.get(key);
    if (!table) this.tables.set(key, (table = pixelTable(/** @type {import('../theme.js').Palette} */ (this.palette), scale, source)));
    return table;
  }

  /** Make the masks of a shape in all places within a pixel. @param {number} shape @param {number} level @param {number} kind @param {number} radius @param {number} halo */
  #prepare(shape, level, kind, radius, halo) {
    const first = maskIndex(shape, level, kind);
    if (this.masks[first]) return;
    const stride = /** @type {ImageData} */ (this.image).width;
    const size = radius * sizeFactor(level);
    for (let sub = 0; sub < SUB * SUB; sub++) {
      this.masks[first + sub] = makeMask(shape, kind, size, halo, ((sub % SUB) + 0.5) / SUB, (Math.floor(sub / SUB) + 0.5) / SUB, stride);
    }
  }

  /**
   * The inner loop: places mixed from two steps, each written as a mask of pixels.
   * @param {Frame} frame @param {Float32Array} before @param {Float32Array} after @param {number} share
   * @param {Uint8Array} kind @param {Uint8Array} code @param {Uint8Array | null} size @param {Uint8Array | null} marks
   * @param {Uint32Array} table @param {number} shape @param {number} wanted
   */
  #splat({ ratio, scale: zoom, x: left, y: top }, before, after, share, kind, code, size, marks, table, shape, wanted) {
    const { pixels, masks } = this;
    const image = /** @type {ImageData} */ (this.image);
    const stride = image.width;
    const scale = zoom * ratio;
    const x0 = left * ratio + PAD;
    const y0 = top * ratio + PAD;
    const [least, right, bottom] = [PAD / 2, stride - PAD / 2, image.height - PAD / 2];
    const usual = maskIndex(shape, -1, wanted);
    const perSize = maskIndex(shape, 0, wanted) - usual;
    const count = kind.length;
    for (let neuron = 0; neuron < count; neuron++) {
      if (kind[neuron] !== wanted || (marks !== null && marks[neuron] !== 0)) continue;
      let x = before[2 * neuron];
      let y = before[2 * neuron + 1];
      if (x !== x) {
        x = after[2 * neuron];
        y = after[2 * neuron + 1];
      } else if (share > 0) {
        const then = after[2 * neuron];
        if (then === then) { x += (then - x) * share; y += (after[2 * neuron + 1] - y) * share; }
      }
      x = x0 + scale * x;
      y = y0 - scale * y;
      // False for NaN too.
      if (!(x > least && y > least && x < right && y < bottom)) continue;
      const column = x | 0;
      const row = y | 0;
      let at = usual + (((y - row) * SUB) | 0) * SUB + (((x - column) * SUB) | 0);
      if (size !== null) at += perSize * (size[neuron] === 255 ? 0 : 1 + Math.round((size[neuron] / 254) * (SIZES - 1)));
      const mask = masks[at];
      if (mask === undefined) continue;
      const { offsets, shades, weights, solid } = mask;
      const base = row * stride + column;
      const first = code[neuron] * (SHADES + 1);
      for (let k = 0; k < solid; k++) pixels[base + offsets[k]] = table[first + shades[k]];
      for (let k = solid; k < offsets.length; k++) {
        const pixel = table[first + shades[k]];
        const under = pixels[base + offsets[k]];
        const weight = weights[k];
        const rest = 256 - weight;
        // Red and blue at once, green by itself: each has eight free bits above it.
        const redBlue = (Math.imul(under & 0xff00ff, rest) + Math.imul(pixel & 0xff00ff, weight)) >>> 8;
        const green = (Math.imul(under & 0xff00, rest) + Math.imul(pixel & 0xff00, weight)) >>> 8;
        pixels[base + offsets[k]] = 0xff000000 | (redBlue & 0xff00ff) | (green & 0xff00);
      }
    }
  }
}

/** Where the masks of a mark begin; the usual size comes before the others. @param {number} shape @param {number} level @param {number} kind */
const maskIndex = (shape, level, kind) => ((shape * KINDS + kind) * (SIZES + 1) + level + 1) * SUB * SUB;

/**
 * How much of each pixel a mark covers, by sampling.
 * @param {number} shape @param {number} kind @param {number} size radius in device px @param {number} halo
 * @param {number} fx place of the centre within its pixel @param {number} fy @param {number} stride of the image
 * @returns {Mask}
 */
export function makeMask(shape, kind, size, halo, fx, fy, stride) {
  const hollow = kind === KIND.FAINT || kind === KIND.DIM_FAINT;
  const dim = kind === KIND.DIM_FAINT || kind === KIND.DIM_FULL;
  const radius = size * (hollow ? 0.74 : 1);
  const around = dim || kind === TERRAIN ? 0 : halo;
  // A ring needs room for its hole.
  const hole = hollow ? Math.max(0, radius - Math.max(1, radius * 0.42)) : 0;
  const opacity = dim ? DIM : kind === TERRAIN ? TERRAIN_OPACITY : 1;
  const reach = Math.min(PAD / 2 - 2, Math.ceil(reachOf(shape, radius) + around) + 1);
  /** @type {{offset: number, shade: number, weight: number}[]} */
  const found = [];
  for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++) {
    let color = 0;
    let ground = 0;
    for (let s = 0; s < SAMPLES * SAMPLES; s++) {
      const x = dx + ((s % SAMPLES) + 0.5) / SAMPLES - fx;
      const y = dy + (Math.floor(s / SAMPLES) + 0.5) / SAMPLES - fy;
      if (isOnShape(shape, x, y, radius) && !(hole > 0 && isOnShape(shape, x, y, hole))) color++;
      else if (around > 0 && isOnShape(shape, x, y, radius + around)) ground++;
    }
    if (color + ground === 0) continue;
    const covered = (color + ground) / (SAMPLES * SAMPLES);
    found.push({ offset: dy * stride + dx, shade: Math.round((SHADES * color) / (color + ground)), weight: Math.round(256 * covered * opacity) });
  }
  found.sort((a, b) => b.weight - a.weight);
  return {
    offsets: Int32Array.from(found, ({ offset }) => offset),
    shades: Uint8Array.from(found, ({ shade }) => shade),
    weights: Uint16Array.from(found, ({ weight }) => weight),
    solid: found.filter(({ weight }) => weight === 256).length,
  };
}
