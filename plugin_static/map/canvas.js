// @ts-check
/**
 * The map on a 2-D canvas, which without a graphics processor is faster than WebGL in software. A few thousand
 * marks are copied one by one (sprites.js), more are written as pixels (splat.js); both look the same.
 */
import { epochOf, placeAt } from '../model/layer.js';
import { KIND } from '../model/paint.js';
import { cssColor } from '../theme.js';
import { drawGhosts } from './ghosts.js';
import { Haze } from './haze.js';
import { MANY, MARK, MAX_HAZE } from './shared.js';
import { traceShape } from './shapes.js';
import { Splat } from './splat.js';
import { Sprites } from './sprites.js';
import { colorOf, sizeFactor, sizeLevel } from './tint.js';
import { drawTrail, trailPoints } from './trails.js';

/** @typedef {import('./shared.js').Frame} Frame */
/** @typedef {import('./shared.js').Sheet} Sheet */
/** @typedef {import('../theme.js').Palette} Palette */
/** @typedef {import("./shared.js").Renderer} Renderer */

/** @implements {Renderer} */
export class CanvasRenderer {
  /** @param {HTMLCanvasElement} canvas @param {{inMemory: boolean}} options */
  constructor(canvas, { inMemory }) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { alpha: false, willReadFrequently: inMemory }));
    this.palette = /** @type {Palette | null} */ (null);
    this.haze = new Haze(inMemory);
    this.sprites = new Sprites(inMemory);
    this.splat = new Splat();
    this.kind = 'canvas';
  }

  /** @param {Palette} palette */
  setPalette(palette) {
    this.palette = palette;
    for (const part of [this.haze, this.sprites, this.splat]) part.setPalette(palette);
  }
  dispose() { this.sprites.clear(); this.haze.clear(); }

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
    context.globalAlpha = 1;
    const drawn = sheets.filter(({ moment }) => moment.before >= 0);
    const neurons = drawn.reduce((total, { layer }) => total + layer.neurons, 0);
    const many = neurons + (frame.terrain?.words.length ?? 0) > MANY;
    this.kind = many ? 'pixels' : 'canvas';
    if (many) {
      this.splat.draw(context, frame, drawn);
      this.#drawUnder(frame, drawn, palette);
    } else {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.fillStyle = cssColor(palette.well);
      context.fillRect(0, 0, width, height);
      // The sources' own colours are lines' colours: as a glow they would be smoke.
      if (neurons <= MAX_HAZE && drawn.every(({ paint }) => paint.scale !== 'source')) this.haze.draw(context, frame, drawn);
      this.#drawUnder(frame, drawn, palette);
      this.sprites.draw(context, frame, drawn);
    }
    context.setTransform(frame.ratio, 0, 0, frame.ratio, 0, 0);
    for (const sheet of drawn) this.#drawMarked(frame, sheet, palette);
  }

  /** What tells where neurons come from. @param {Frame} frame @param {Sheet[]} sheets @param {Palette} palette */
  #drawUnder(frame, sheets, palette) {
    this.context.setTransform(frame.ratio, 0, 0, frame.ratio, 0, 0);
    for (const sheet of sheets) drawGhosts(this.context, frame, sheet, palette);
    for (const sheet of sheets) {
      const tint = (/** @type {number} */ code, /** @type {number} */ opacity) => cssColor(colorOf(palette, sheet.paint.scale, sheet.source, code), opacity);
      for (const trail of sheet.trails) {
        const points = trailPoints(sheet.layer, sheet.paint, trail, sheet.cursor);
        drawTrail(this.context, points.map((point) => ({ ...point, x: frame.x + frame.scale * point.x, y: frame.y - frame.scale * point.y })), trail, tint);
      }
    }
  }

  /** @param {Frame} frame @param {Sheet} sheet @param {Palette} palette */
  #drawMarked(frame, { layer, paint, marks, marked = [], moment, source, shape = 0 }, palette) {
    const { context } = this;
    const coat = paint.at(epochOf(moment));
    for (const neuron of marked) {
      if (coat.kind[neuron] === KIND.HIDDEN) continue;
      const [mapX, mapY] = placeAt(layer, neuron, moment);
      const look = markedLook(marks[neuron], coat.kind[neuron], frame.radius * sizeFactor(sizeLevel(coat.size, neuron)));
      context.globalAlpha = look.opacity;
      const fill = (/** @type {number} */ size, /** @type {import('../theme.js').Rgb} */ color) => {
        context.beginPath();
        traceShape(context, shape, frame.x + frame.scale * mapX, frame.y - frame.scale * mapY, size);
        context.fillStyle = cssColor(color);
        context.fill();
      };
      if (look.opacity === 1) {
        fill(look.radius + 1.4 + look.ring, palette.ink);
        fill(look.radius + 1.4, palette.well);
      }
      fill(look.radius, colorOf(palette, paint.scale, source, coat.code[neuron]));
    }
    context.globalAlpha = 1;
  }
}

/** How a marked neuron stands out. @param {number} mark @param {number} kind @param {number} usual radius */
export function markedLook(mark, kind, usual) {
  const strong = mark & (MARK.SELECTED | MARK.HOVERED);
  const quiet = mark === MARK.SUGGESTED;
  return {
    radius: Math.max(3, usual * (strong ? 1.45 : quiet ? 1.1 : 1.2)),
    ring: mark & MARK.SELECTED ? 2.2 : quiet ? 0.8 : 1.3,
    opacity: kind >= KIND.DIM_FAINT && !strong ? 0.25 : 1,
  };
}
