// @ts-check
/** From the codes of a painted layer to colours. */
import { NO_CODE } from '../model/paint.js';
import { hueColor, rampColor } from '../theme.js';

/** @typedef {import('../theme.js').Rgb} Rgb */
/** @typedef {import('../theme.js').Palette} Palette */
/** @typedef {import('../model/paint.js').Scale} Scale */

/** Steps of the ramp that are told apart: fewer ready-made dots, no visible difference. */
const RAMP_SHADES = 24;
/** Between the colour of the ground (0) and that of the mark (SHADES). */
export const SHADES = 8;
/** How large a neuron is drawn whose similarity is lowest and highest, as a factor; in so many sizes. */
const SMALLEST = 0.6;
const LARGEST = 1.7;
export const SIZES = 7;

/** @param {Palette} palette @param {Scale} scale @param {number} source index of the source's own colour @param {number} code @returns {Rgb} */
export function colorOf(palette, scale, source, code) {
  if (code === NO_CODE) return palette.none;
  if (scale === 'slot') return palette.slots[code] ?? palette.none;
  if (scale === 'source') return palette.sources[source] ?? palette.ink;
  if (scale === 'hue') return hueColor(code / 254, palette);
  return rampColor(palette.ramp, Math.round((code / 254) * RAMP_SHADES) / RAMP_SHADES);
}

/** Codes that look the same have one shade. @param {Scale} scale @param {number} code */
export const shadeOf = (scale, code) => (scale === 'ramp' && code !== NO_CODE ? Math.round((code / 254) * RAMP_SHADES) : code);

/** Which of the SIZES a neuron has. @param {Uint8Array | null} size @param {number} neuron */
export const sizeLevel = (size, neuron) => (size && size[neuron] !== NO_CODE ? Math.round((size[neuron] / 254) * (SIZES - 1)) : -1);
/** Its radius as a factor of the usual one. @param {number} level -1: the usual one */
export const sizeFactor = (level) => (level < 0 ? 1 : SMALLEST + ((LARGEST - SMALLEST) * level) / (SIZES - 1));

/** A colour as the four bytes of a pixel in memory, red first. @param {Rgb} color */
export const toPixel = ([r, g, b]) => (0xff000000 | (Math.round(b * 255) << 16) | (Math.round(g * 255) << 8) | Math.round(r * 255)) >>> 0;

/** @param {Rgb} from @param {Rgb} to @param {number} share @returns {Rgb} */
export const mixed = (from, to, share) => /** @type {Rgb} */ (from.map((value, i) => value + (to[i] - value) * share));

/**
 * Pixels of all codes of a scale, each in SHADES + 1 steps from the ground to the full colour.
 * @param {Palette} palette @param {Scale} scale @param {number} source @returns {Uint32Array} (256 * (SHADES + 1))
 */
export function pixelTable(palette, scale, source) {
  const table = new Uint32Array(256 * (SHADES + 1));
  for (let code = 0; code < 256; code++) {
    const color = colorOf(palette, scale, source, code);
    for (let shade = 0; shade <= SHADES; shade++) table[code * (SHADES + 1) + shade] = toPixel(mixed(palette.well, color, shade / SHADES));
  }
  return table;
}
