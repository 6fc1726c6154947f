// @ts-check
/**
 * Density lines over a map, in an element of their own: they are worked out while nothing moves, piece by piece,
 * and kept for each step; the drawing of neurons never waits for them.
 */
import { effect, nothing, render, svg, untracked } from '../lib.js';
import { contoursOf, crowdsOf, densityOf } from '../model/contours.js';
import { epochOf } from '../model/layer.js';

/** @typedef {import('../model/contours.js').Contours} Contours */

const REST_MS = 160;

/**
 * @param {HTMLElement} host @param {import('../store.js').Store} store
 * @param {{sheets: import('../lib.js').Signal<import('./shared.js').Sheet[]>, fit: import('../lib.js').Signal<import('../model/geometry.js').Transform>, size: import('../lib.js').Signal<import('../model/geometry.js').Size>}} map
 */
export function mountContours(host, store, { sheets, fit, size }) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  element.setAttribute('class', 'contours');
  element.setAttribute('aria-hidden', 'true');
  host.insertBefore(element, host.querySelector('.overlay'));
  /** By the frame of the first sheet. @type {WeakMap<object, Contours[]>} */
  let known = new WeakMap();
  let timer = 0;
  let work = 0;

  const frameNow = () => { const [sheet] = sheets.peek(); return sheet && sheet.moment.before >= 0 ? sheet.layer.frames[epochOf(sheet.moment)] : null; };
  const show = (/** @type {Contours[]} */ all) => {
    const { k, x, y } = store.view.peek();
    render(all.length ? svg`<g transform="translate(${x},${y}) scale(${k})">${all.map(({ scale, code, paths }) => svg`<g class="contour-${scale}" style=${`stroke:${strokeOf(scale, code)}`}>${paths.map((path) => svg`<path d=${path}/>`)}</g>`)}</g>` : nothing, /** @type {any} */ (element));
    element.dataset.shown = String(all.length > 0);
  };
  const workOut = async () => {
    timer = 0;
    const frame = frameNow();
    if (!frame) return;
    const mine = ++work;
    const pause = () => new Promise((resolve) => setTimeout(resolve));
    const crowds = crowdsOf(sheets.peek(), fit.peek());
    /** @type {ReturnType<typeof densityOf>[]} */
    const densities = [];
    for (const crowd of crowds) {
      densities.push(densityOf(crowd, size.peek()));
      await pause();
      if (mine !== work) return;
    }
    const highest = Math.max(0, ...densities.map(({ max }) => max));
    const all = crowds.map((crowd, i) => contoursOf(crowd, densities[i], highest));
    known.set(frame, all);
    if (frame === frameNow() && store.showContours.peek()) show(all);
  };

  // What is known is no longer true when colours, filters or the frame around them change.
  effect(() => {
    void [store.colorBy.value, store.hidden.value, store.concept.value, store.pointedConcept.value, store.selection.value, store.threshold.value, store.sources.value, store.layout.value, fit.value, size.value];
    known = new WeakMap();
    work++;
  });
  effect(() => {
    const wanted = store.showContours.value;
    void [sheets.value, fit.value, size.value];
    untracked(() => {
      clearTimeout(timer);
      const frame = wanted ? frameNow() : null;
      const ready = frame ? known.get(frame) : undefined;
      show(ready ?? []);
      if (frame && !ready) timer = setTimeout(workOut, REST_MS);
    });
  });
  effect(() => {
    const { k, x, y } = store.view.value;
    element.firstElementChild?.setAttribute('transform', `translate(${x},${y}) scale(${k})`);
  });
}

/** @param {Contours['scale']} scale @param {number} code */
const strokeOf = (scale, code) => (scale === 'slot' ? `var(--slot-${code})` : scale === 'source' ? `var(--source-${code})` : 'var(--ink-2)');
