// @ts-check
/** The charts of scalars: any that the run logged, several at once, smoothed and scaled as TensorBoard does it. */
import { computed, html, nothing } from '../lib.js';
import { MAX_SMOOTHING } from '../model/smooth.js';
import { defaultGroups, groupTags } from '../model/scalars.js';
import { icon } from '../panels/icons.js';
import { chart } from './frame.js';
import { createLines } from './lines.js';
import { createPicker } from './picker.js';
import { scalarSeries } from './series.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/scalars.js').TagGroup} TagGroup */

/**
 * @param {Store} store @param {import('./lines.js').Axis} axis @param {() => number} height
 * @param {() => number} most how many charts there is room for where the reader did not choose
 */
export function createScalars(store, axis, height, most) {
  const tags = computed(() => store.data.value.tags);
  const groups = computed(() => groupTags(tags.value));
  const picker = createPicker('scalar-picker');
  const usual = computed(() => defaultGroups(groups.value));
  /** What is shown, in the order in which it was chosen. */
  const keys = () => store.scalarChoice.value ?? usual.value.slice(0, most());
  /** What this run has not is left out. @returns {TagGroup[]} */
  const chosen = () => keys().flatMap((key) => groups.value.filter((group) => group.key === key));
  /** Charts live as long as the tab: what one has worked out is there when it comes back. @type {Map<string, {lines: ReturnType<typeof createLines>, byTime: () => boolean}>} */
  const made = new Map();
  const chartOf = (/** @type {string} */ key) => {
    let found = made.get(key);
    if (!found) {
      const group = computed(() => groups.value.find((one) => one.key === key));
      const data = computed(() => (group.value ? scalarSeries(store, group.value) : { series: [], byTime: false }));
      found = { lines: createLines(axis, height, { series: () => data.value.series, log: () => store.logScale.value }), byTime: () => data.value.byTime };
      made.set(key, found);
    }
    return found;
  };
  const toggle = (/** @type {string} */ key) => {
    const now = keys();
    store.scalarChoice.value = now.includes(key) ? now.filter((other) => other !== key) : [...now, key];
  };

  const controls = () => html`
    <button type="button" class="toggle" aria-pressed=${String(store.logScale.value)} data-explain="log_scale" aria-label="Logarithmic scale" @click=${() => { store.logScale.value = !store.logScale.peek(); }}>log</button>
    <label class="smoothing" data-explain="smoothing"><span>smooth</span><input type="range" data-own-keys min="0" max=${MAX_SMOOTHING} step="0.01" .value=${String(store.smoothing.value)} aria-label="Smoothing"
      @input=${(/** @type {any} */ event) => { store.smoothing.value = Number(event.target.value); }}><output>${store.smoothing.value ? store.smoothing.value.toFixed(2) : 'off'}</output></label>
    ${picker.template({
      button: html`${icon('plus')}<span>chart</span>`, label: 'Scalars shown as charts', title: 'Show another scalar of this run', several: true,
      options: () => groups.value.map(({ key, label, members }) => ({ value: key, label, note: members.length > 1 ? members.map(({ split, tag }) => split || tag).join(', ') : '' })),
      isChosen: (key) => keys().includes(key), choose: toggle, empty: 'This run logged no scalars',
    })}`;

  const body = () => {
    const shown = chosen();
    if (!shown.length) {
      return chart({
        name: 'no scalar', width: axis.width(), height: 12, label: 'No scalars', still: true, body: nothing,
        title: html`<span class="chart-note">${usual.value.length ? 'No chart chosen: add one with “+ chart”' : 'no scalars in this run: write loss/train, accuracy/val … with the same SummaryWriter and they appear here'}</span>`,
      });
    }
    return shown.map(({ key, label }) => {
      const { lines, byTime } = chartOf(key);
      const picture = lines();
      return chart({
        name: key, width: axis.width(), height: height(), body: picture.body, label: `${label} at step ${store.step.value}: ${picture.read || 'nothing logged yet'}`,
        title: html`<span class="chart-name" title=${label}>${label}</span>${byTime() ? html`<span class="chart-note" title="This scalar counts other steps than the concepts do: the two meet by the clock">aligned by time</span>` : nothing}
          <button type="button" class="chart-remove" aria-label="Remove the chart ${label}" title="Remove this chart" @click=${() => { toggle(key); }}>${icon('close')}</button>`,
      });
    });
  };
  /** How many charts are wanted, if there were room. */
  const wanted = () => Math.max(1, (store.scalarChoice.value ? chosen() : usual.value).length);
  return { body, controls, wanted };
}
