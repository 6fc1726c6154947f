// @ts-check
/** Two handles on the time line between which playing stays. */
import { html, nothing } from '../lib.js';
import { nearestIndex } from '../model/steps.js';
import { formatCount } from '../model/format.js';

/** @param {import('../store.js').Store} store */
export function createRange(store) {
  const last = () => Math.max(0, store.steps.peek().length - 1);
  /** The range as indices; the ends of the run where there is none. @returns {[number, number]} */
  const indices = () => {
    const steps = store.steps.value;
    const range = store.range.value;
    if (!range || !steps.length) return [0, Math.max(0, steps.length - 1)];
    return [nearestIndex(steps, range[0]), nearestIndex(steps, range[1])];
  };
  /** Set both ends; the whole run is no range. @param {number} from @param {number} to indices in any order */
  const set = (from, to) => {
    const [a, b] = from < to ? [from, to] : [to, from];
    const low = Math.max(0, Math.min(last(), Math.round(a)));
    const high = Math.max(0, Math.min(last(), Math.round(b)));
    const steps = store.steps.peek();
    store.range.value = low >= high || (low === 0 && high === last()) ? null : [steps[low], steps[high]];
  };
  const clear = () => { store.range.value = null; };
  /** Move one end, never past the other. @param {0 | 1} end @param {number} index */
  const move = (end, index) => {
    const [from, to] = indices();
    if (end === 0) set(Math.min(index, to - 1), to);
    else set(from, Math.max(index, from + 1));
  };

  /** @param {0 | 1} end @param {(index: number) => number} place @param {(event: PointerEvent) => number} indexUnder */
  const handle = (end, place, indexUnder) => {
    const now = indices()[end];
    const name = end === 0 ? 'Range start' : 'Range end';
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, PageUp: now - 10, PageDown: now + 10, Home: 0, End: last() }[event.key];
      if (to !== undefined) move(end, to);
      else if (event.key === 'Escape' || event.key === 'Delete') clear();
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    return html`<div class="range-handle ${end === 0 ? 'from' : 'to'}" role="slider" tabindex="0" data-own-keys style="left:${place(now)}px"
      aria-label=${name} aria-valuemin="0" aria-valuemax=${last()} aria-valuenow=${now} aria-valuetext="step ${store.steps.value[now]}"
      title="${name}: playing stays between the two handles. Drag, or shift-drag on the track; double-click clears"
      @keydown=${onKey} @dblclick=${clear}
      @pointerdown=${(/** @type {PointerEvent} */ event) => { /** @type {Element} */ (event.currentTarget).setPointerCapture(event.pointerId); event.stopPropagation(); }}
      @pointermove=${(/** @type {PointerEvent} */ event) => { if (/** @type {Element} */ (event.currentTarget).hasPointerCapture(event.pointerId)) move(end, Math.round(indexUnder(event))); }}></div>`;
  };

  /** @param {(index: number) => number} place px of an index @param {(event: PointerEvent) => number} indexUnder @param {number} width */
  const template = (place, indexUnder, width) => {
    const [from, to] = indices();
    return html`${store.range.value ? html`<div class="range-out" style="left:0;width:${place(from)}px"></div><div class="range-out" style="left:${place(to)}px;width:${Math.max(0, width - place(to))}px"></div>
        <div class="range-in" style="left:${place(from)}px;width:${place(to) - place(from)}px"></div>` : nothing}
      ${handle(0, place, indexUnder)}${handle(1, place, indexUnder)}`;
  };
  /** Says the range and takes it away. */
  const clearButton = () => {
    if (!store.range.value) return nothing;
    const [from, to] = store.range.value;
    return html`<button type="button" class="range-clear" title="Clear the range: play over all steps" aria-label="Clear the range, steps ${from} to ${to}" @click=${clear}>${formatCount(from)}–${formatCount(to)} <span aria-hidden="true">×</span></button>`;
  };
  return { set, clear, template, clearButton };
}
