// @ts-check
/** What the colours, shapes and sizes on the map mean now, and the switches to dim categories. */
import { effect, html, nothing, render, svg } from '../lib.js';
import { describeInvalid } from '../model/history.js';
import { formatCount, formatNumber, shorten } from '../model/format.js';
import { hueOf, NONE_KEY } from '../model/paint.js';
import { countConcepts, mostCounted } from '../model/select.js';
import { wordOf } from '../model/space.js';
import { dismissible } from '../panels/chooser.js';
import { explain } from '../panels/explain.js';
import { icon, star } from '../panels/icons.js';
import { sourceMark } from '../panels/sourcemark.js';
import { cssColor, hueColor } from '../theme.js';
import { calm } from './calm.js';
import { nameOf } from './names.js';
import { MANY } from './shared.js';
import { shapePath } from './shapes.js';
import { toneOf } from './sheets.js';

/** @typedef {import('../store.js').Store} Store */

const MAX_CONCEPTS = 6;
const MAX_WORD = 18;
const NAME_LENGTH = 24;
/** What the ramp runs over. @type {Record<string, string>} */
const RAMPS = {
  similarity: 'How well its best concept fits a neuron',
  displacement: 'How far a neuron has moved since the step before',
  born: 'The step at which a neuron was first interpretable; grey: not yet',
};

/** The summary of the first source, in large layers not at every frame. @param {Store} store */
export function calmSummary(store) {
  return calm(() => {
    const { layer, epoch, spaceAt, metricsNow } = store.first.value;
    void [layer.value, epoch.value, spaceAt.value, metricsNow.value];
    return (layer.value?.neurons ?? 0) > MANY;
  }, () => {
    const { summary, layer, epoch, metricsNow } = store.first.value;
    return { summary: summary.value, layer: layer.value, epoch: epoch.value, invalid: describeInvalid(metricsNow.value, summary.value) };
  });
}

/** @param {HTMLElement} host @param {Store} store */
export function mountLegend(host, store) {
  const now = calmSummary(store);
  const concepts = calm(() => {
    void now.value;
    return store.colorBy.value === 'concept';
  }, () => (store.colorBy.value === 'concept' ? commonest(store) : []));
  effect(() => {
    const { colorBy: { value: colorBy }, hidden, space } = store;
    const { summary, invalid } = now.value;
    const names = [...(space.value?.categories ?? []).map(({ name }) => name), NONE_KEY];
    const toggle = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string | number} */ slot, /** @type {number} */ count) => html`
      <button type="button" class="legend-item" aria-pressed=${String(!hidden.value.has(name))} title="Show or dim ${label}; shift-click: ${label} alone"
        @click=${(/** @type {MouseEvent} */ event) => { if (event.shiftKey) store.isolateCategory(name, names); else store.toggleCategory(name); }}>
        <i class="dot slot-${slot}"></i>${label} <span class="legend-count">${formatCount(count)}</span></button>`;
    const categories = [
      ...(space.value?.categories ?? []).map(({ name, label, slot }) => toggle(name, label, colorBy === 'category' ? slot : 'plain', summary?.counts.get(name) ?? 0)),
      summary ? toggle(NONE_KEY, 'no concept', 'none', summary.uninterpretable) : nothing,
    ];
    render(html`
      ${sourceKeys(store)}
      ${colorBy in RAMPS ? ramp(store) : nothing}
      ${colorBy === 'concept' ? conceptKeys(store, concepts.value) : nothing}
      ${store.sizeBySimilarity.value ? html`<span class="legend-ramp" title="The larger its dot, the better its concept fits a neuron"><i class="size-mark small"></i>–<i class="size-mark large"></i><span>similarity</span></span>` : nothing}
      ${colorBy === 'category' ? categories : html`<details class="legend-more" @toggle=${dismissible}><summary class="legend-item ${hidden.value.size ? 'filtered' : ''}" title="Show or dim categories">categories${hidden.value.size ? ` (${hidden.value.size} dimmed)` : ''}${icon('chevron')}</summary><div class="menu">${categories}</div></details>`}
      ${space.value ? html`<button type="button" class="legend-item" aria-expanded=${String(store.editingAnchors.value)} title="${explain('anchor')} Click to edit the anchors." @click=${() => { store.editingAnchors.value = !store.editingAnchors.peek(); }}>${star(13)}${store.anchors.value.length ? 'anchor' : 'add anchors'}</button>` : nothing}
      ${invalid ? html`<span class="legend-item still" title="Not drawn: neurons without a usable signal over the probe images, and those whose stimuli the semantic space does not know">${invalid}</span>` : nothing}`, host);
  });
}

/** Shape and colour of each source on a shared map; by which colour each map goes side by side. @param {Store} store */
function sourceKeys(store) {
  const all = store.sources.value;
  const { colorBy: { value: colorBy } } = store;
  const own = colorBy === 'run' || colorBy === 'layer';
  const overlaid = store.layout.value === 'overlay' && all.length > 1;
  if (!overlaid && !own) return nothing;
  return all.map((source, place) => {
    const tone = own ? toneOf(store, source) : -1;
    const name = all.length > 1 ? nameOf(store, source) : colorBy === 'layer' ? source.name : source.run;
    return html`<span class="legend-item still source-key" title="${source.run} · ${source.name}">
      ${overlaid ? html`<svg class="shape-mark" width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">${svg`<path d=${shapePath(place, 4.6)} style=${`fill:var(${tone < 0 ? '--ink-2' : `--source-${tone}`})`}/>`}</svg>` : sourceMark(tone)}
      <span>${shorten(name, NAME_LENGTH)}</span></span>`;
  });
}

/** The ramp with the numbers at its ends. @param {Store} store */
function ramp(store) {
  const { colorBy: { value: colorBy } } = store;
  const range = store.first.value.paint.value?.range ?? [0, 1];
  const steps = store.steps.value;
  const ends = colorBy === 'born' ? [formatCount(steps[0] ?? 0), formatCount(steps[steps.length - 1] ?? 0)] : range.map(formatNumber);
  return html`<span class="legend-ramp" title=${RAMPS[colorBy]}><span>${colorBy === 'born' ? 'born at step' : colorBy}</span><span class="mute">${ends[0]}</span><i class="ramp"></i><span class="mute">${ends[1]}</span></span>`;
}

/** The concepts that most neurons of the first source detect now. @param {Store} store */
function commonest(store) {
  const { layer, epoch, space } = store.first.value;
  if (!layer.value || !space.value) return [];
  const counts = countConcepts([{ layer: layer.value, epoch: epoch.value }], space.value.words.length);
  // Any place will do: all are in view.
  const everywhere = new Float32Array(2 * counts.length);
  return mostCounted(everywhere, counts, { scale: 0, x: 1, y: 1 }, { width: 2, height: 2 }, counts.length)
    .filter((concept) => counts[concept] > 0).map((concept) => ({ concept, count: counts[concept], word: wordOf(/** @type {import('../model/space.js').Space} */ (space.value), concept) }));
}

/** @param {Store} store @param {{concept: number, count: number, word: string}[]} found */
function conceptKeys(store, found) {
  const dark = store.theme.value === 'dark';
  const shown = found.slice(0, MAX_CONCEPTS);
  const rest = found.length - shown.length;
  return html`${shown.map(({ concept, count, word }) => html`<button type="button" class="legend-item" aria-pressed=${String(store.concept.value === word)} data-chosen=${String(store.concept.value === word)} title="Bring out “${word}”"
      @click=${() => { store.concept.value = store.concept.peek() === word ? null : word; }}><i class="dot" style="background:${cssColor(hueColor(hueOf(concept) / 254, { dark }))}"></i>${shorten(word, MAX_WORD)} <span class="legend-count">${formatCount(count)}</span></button>`)}
    ${rest > 0 ? html`<span class="legend-item still">and ${formatCount(rest)} more</span>` : nothing}`;
}
