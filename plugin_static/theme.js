// @ts-check
/** Colours live in CSS custom properties; the renderers read them back, so that both themes have one source. */
import { effect, signal } from './lib.js';
import { SLOTS } from './model/space.js';

/** @typedef {[number, number, number]} Rgb 0..1 each */
/** @typedef {{slots: Rgb[], none: Rgb, ramp: Rgb[], sources: Rgb[], well: Rgb, ink: Rgb, faint: Rgb, star: Rgb, dark: boolean}} Palette faint: of words that are no anchors */

export const RAMP_STOPS = 5;
/** Runs or layers shown at once, each with a colour and a dash of its own (`--source-0` is the first). */
export const SOURCES = 4;

/** @param {import('./store.js').Store} store */
export function createPalette(store) {
  const palette = signal(readPalette());
  effect(() => {
    document.documentElement.dataset.theme = store.theme.value;
    palette.value = readPalette();
  });
  const query = window.matchMedia('(prefers-reduced-motion: reduce)');
  const sync = () => { store.reducedMotion.value = query.matches; };
  query.addEventListener('change', sync);
  sync();
  return palette;
}

/** @returns {Palette} */
export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const read = (/** @type {string} */ name) => parseHex(style.getPropertyValue(name));
  return {
    slots: Array.from({ length: SLOTS }, (_, slot) => read(`--slot-${slot}`)),
    none: read('--none'),
    ramp: Array.from({ length: RAMP_STOPS }, (_, stop) => read(`--ramp-${stop}`)),
    sources: Array.from({ length: SOURCES }, (_, i) => read(`--source-${i}`)),
    dark: document.documentElement.dataset.theme === 'dark',
    well: read('--well'),
    ink: read('--ink'),
    faint: read('--ink-3'),
    star: read('--star'),
  };
}

/** @param {string} hex such as `#1a2b3c` @returns {Rgb} */
export function parseHex(hex) {
  const value = parseInt(hex.trim().slice(1), 16) || 0;
  return [((value >> 16) & 255) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

/** Colour at a place of the ramp. @param {Rgb[]} ramp @param {number} share 0..1 @returns {Rgb} */
export function rampColor(ramp, share) {
  const at = Math.max(0, Math.min(1, share)) * (ramp.length - 1);
  const low = Math.min(Math.floor(at), ramp.length - 2);
  const mix = at - low;
  return /** @type {Rgb} */ (ramp[low].map((value, i) => value + (ramp[low + 1][i] - value) * mix));
}

/** A colour around the wheel, as light as the theme needs. @param {number} share 0..1 @param {Pick<Palette, 'dark'>} palette @returns {Rgb} */
export function hueColor(share, { dark }) {
  const [hue, saturation, lightness] = [share * 360, 0.62, dark ? 0.64 : 0.45];
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  return /** @type {Rgb} */ ([0, 8, 4].map((n) => {
    const k = (n + hue / 30) % 12;
    return lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  }));
}

/** @param {Rgb} color @param {number} [opacity] 0..1 */
export const cssColor = (color, opacity = 1) => `rgb(${color.map((value) => Math.round(value * 255)).join(' ')} / ${opacity.toFixed(3)})`;
