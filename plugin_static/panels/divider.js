// @ts-check
/** The line between map and panels: drag it, or move it with the arrow keys, to give either more room. */
import { effect } from '../lib.js';

const LEAST = 320;
/** The map keeps at least this much. */
const LEAST_MAP = 360;
const STEP = 24;

/** @param {HTMLElement} divider @param {HTMLElement} app @param {import('../store.js').Store} store */
export function mountDivider(divider, app, store) {
  const most = () => Math.max(LEAST, window.innerWidth - LEAST_MAP);
  const set = (/** @type {number} */ width) => { store.columnWidth.value = Math.round(Math.max(LEAST, Math.min(most(), width))); };
  const now = () => /** @type {HTMLElement} */ (divider.nextElementSibling).offsetWidth;
  effect(() => {
    const width = store.columnWidth.value;
    if (width === null) app.style.removeProperty('--column');
    else app.style.setProperty('--column', `min(${width}px, calc(100vw - ${LEAST_MAP}px))`);
    divider.setAttribute('aria-valuenow', String(width ?? 0));
    divider.setAttribute('aria-valuetext', width === null ? 'usual width' : `${width} pixels`);
  });
  divider.addEventListener('pointerdown', (event) => { divider.setPointerCapture(event.pointerId); event.preventDefault(); });
  divider.addEventListener('pointermove', (event) => { if (divider.hasPointerCapture(event.pointerId)) set(window.innerWidth - event.clientX); });
  divider.addEventListener('dblclick', () => { store.columnWidth.value = null; });
  divider.addEventListener('keydown', (event) => {
    const width = { ArrowLeft: now() + STEP, ArrowRight: now() - STEP, Home: most(), End: LEAST }[event.key];
    if (width === undefined && event.key !== 'Enter') return;
    event.preventDefault();
    if (width === undefined) store.columnWidth.value = null;
    else set(width);
  });
}
