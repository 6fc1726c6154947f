// @ts-check
/** The vendored libraries, imported in one place, so that a new version is one change. */
import './vendor/d3/d3.min.js';

/** @template T @typedef {import('./vendor/signals/signals-core.mjs').Signal<T>} Signal */

export { signal, computed, effect, batch, untracked } from './vendor/signals/signals-core.mjs';
export { html, svg, render, nothing } from './vendor/lit/lit-html.js';

// d3's published single file is no ES module: importing it sets a global.
const d3 = /** @type {typeof import('d3')} */ (Reflect.get(globalThis, 'd3'));
export const { scaleLinear, scaleLog, line, area, stack, select, zoom, zoomIdentity, easeCubicInOut, contourDensity } = d3;
