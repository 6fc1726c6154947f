// @ts-check
/** The colours of a picture: those of the theme shown, or of the light theme on white for print. */
import { parseHex, readPalette } from '../theme.js';
import { hexOf } from './drawing.js';

/** @typedef {{well: string, ink: string, ink2: string, ink3: string, rule: string, star: string, none: string, slots: string[], ramp: string[], sources: string[], dark: boolean, palette: import('../theme.js').Palette}} Colors as #rrggbb */

/** @param {'light' | 'dark' | 'print'} theme @returns {Colors} */
export function readColors(theme) {
  const root = document.documentElement;
  const shown = root.dataset.theme;
  // Custom properties of the other theme can only be read while it holds; nothing is painted in between.
  root.dataset.theme = theme === 'dark' ? 'dark' : 'light';
  try {
    const light = readPalette();
    /** @type {import('../theme.js').Palette} */
    const palette = theme === 'print' ? { ...light, well: [1, 1, 1] } : light;
    const style = getComputedStyle(root);
    const read = (/** @type {string} */ name) => hexOf(parseHex(style.getPropertyValue(name)));
    return {
      well: hexOf(palette.well), ink: read('--ink'), ink2: read('--ink-2'), ink3: read('--ink-3'), rule: read('--rule'), star: read('--star'), none: read('--none'),
      slots: palette.slots.map(hexOf), ramp: palette.ramp.map(hexOf), sources: palette.sources.map(hexOf), dark: palette.dark, palette,
    };
  } finally {
    if (shown === undefined) delete root.dataset.theme; else root.dataset.theme = shown;
  }
}
