// @ts-check
/** The vendored libraries, imported in one place, so that a new version is one change. */
import { readable } from './model/text.js';
import './vendor/d3/d3.min.js';
import * as lit from './vendor/lit/lit-html.js';

/** @template T @typedef {import('./vendor/signals/signals-core.mjs').Signal<T>} Signal */

export { signal, computed, effect, batch, untracked } from './vendor/signals/signals-core.mjs';
export { render, nothing } from './vendor/lit/lit-html.js';

/** Texts that are taken back from the page are left as they are: properties, values of fields, data of an element. */
const TAKEN_BACK = /\s(?:\.[\w-]+|value|data-[\w-]+)=["']?$/;
/** @type {WeakMap<TemplateStringsArray, boolean[]>} */
const shown = new WeakMap();

/** The values of a template, all text among them readable: a log may hold anything, and every view shows some of it. @param {TemplateStringsArray} strings @param {unknown[]} values */
function readables(strings, values) {
  let isShown = shown.get(strings);
  if (!isShown) shown.set(strings, (isShown = strings.map((before) => !TAKEN_BACK.test(before))));
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === 'string') { if (isShown[i]) values[i] = readable(value); }
    else if (Array.isArray(value) && value.some((one) => typeof one === 'string')) values[i] = value.map((one) => (typeof one === 'string' ? readable(one) : one));
  }
  return values;
}

/** @type {typeof lit.html} */
export const html = (strings, ...values) => lit.html(strings, ...readables(strings, values));
/** @type {typeof lit.svg} */
export const svg = (strings, ...values) => lit.svg(strings, ...readables(strings, values));

// d3's published single file is no ES module: importing it sets a global.
const d3 = /** @type {typeof import('d3')} */ (Reflect.get(globalThis, 'd3'));
export const { scaleLinear, scaleLog, line, area, stack, select, zoom, zoomIdentity, easeCubicInOut, contourDensity } = d3;
