// @ts-check
/** What is written over the map: how the layer fares, what is selected or filtered, what went wrong. */
import { batch, effect, html, nothing, render } from '../lib.js';
import { describeNeurons } from '../model/concepts.js';
import { describeEpoch } from '../model/history.js';
import { namesOf } from '../model/run.js';
import { calmSummary } from '../map/legend.js';
import { nameOf } from '../map/names.js';
import { counted, formatCount, shorten } from '../model/format.js';
import { explain } from './explain.js';
import { icon } from './icons.js';
import { captionMarks, followStates, stateNotices } from './states.js';

export { mountLegend } from '../map/legend.js';
export { nameOf } from '../map/names.js';
export { mountTools } from '../map/tools.js';

/** @typedef {import('../store.js').Store} Store */

/** Letters of a run's name over its half of a narrow map. */
const NAME_LENGTH = 30;

/** Cards that are pinned at once: more do not fit beside each other. */
const MAX_PINNED = 6;
const MAX_DESCRIBED = 5000;
/** More trails would hide the map. */
const MAX_TRACKED = 40;

/** @param {HTMLElement} host @param {Store} store */
export function mountCaption(host, store) {
  const now = calmSummary(store);
  const states = followStates(store, () => store.first.value);
  effect(() => {
    const { summary, layer, epoch, invalid } = now.value;
    const concept = store.concept.value;
    // One line, whatever its length: the map's upper margin is made for it, and must not move with the text.
    const fares = summary && layer ? describeEpoch(summary, layer.neurons, epoch > 0 ? layer.steps[epoch - 1] : null, invalid) : 'Loading…';
    const several = store.others.value.length > 0;
    const beside = several && store.layout.value === 'side';
    const name = shorten(nameOf(store, store.first.value), NAME_LENGTH);
    const title = !several ? 'Concept space' : beside ? name : `${counted(store.sources.value.length, new Set(store.sources.value.map(({ run }) => run)).size > 1 ? 'run' : 'layer')} on one map`;
    const told = several && !beside ? `${name}: ${fares}` : fares;
    render(html`<h2 title=${several ? store.primary.value : explain('concept_space')}><span class="caption-name">${title}</span>${captionMarks(states.value)}</h2>
      <p class="epoch-summary" title=${told}>${told}</p>
      ${selectionChip(store)}
      ${concept === null ? nothing : html`<p class="chip">showing “${concept}” <button type="button" aria-label="Show all concepts" title="Show all concepts" @click=${() => { store.concept.value = null; }}>${icon('close')}</button></p>`}
      ${stateNotices(store, states.value)}`, host);
  });
}

/** How many neurons are selected, and what one may do with them. @param {Store} store */
function selectionChip(store) {
  const groups = [...store.selection.value].filter(([key]) => store.sourceOf(key));
  const total = groups.reduce((sum, [, neurons]) => sum + neurons.size, 0);
  if (!total) return nothing;
  // Of very many it takes too long to say what they detect, and they detect everything.
  const told = total > MAX_DESCRIBED ? `${counted(total, 'neuron')} selected` : store.sources.value.flatMap((source) => {
    const { layer: { value: layer }, spaceAt, epoch, selection: { value: selection } } = source;
    if (!layer || !selection) return [];
    const text = describeNeurons(layer, spaceAt.value, epoch.value, selection);
    return [store.others.value.length ? `${nameOf(store, source)}: ${text}` : text];
  }).join('; ');
  const refs = () => groups.flatMap(([key, neurons]) => { const { run, layer } = namesOf(key); return [...neurons].map((neuron) => ({ run, layer, neuron })); });
  const pin = () => {
    const chosen = refs().slice(0, MAX_PINNED);
    batch(() => { store.pinned.value = chosen; store.panel.value = 'neurons'; });
  };
  const track = () => batch(() => { for (const [key, neurons] of groups) store.setTracked(key, [...neurons].slice(0, MAX_TRACKED)); });
  return html`<p class="chip selection" title="Selected: ${told}. ${explain('selection')}"><span class="chip-text" role="status">${told}</span>
    <button type="button" class="chip-action" title="Open the cards of ${total > MAX_PINNED ? `the first ${MAX_PINNED}` : 'these neurons'} side by side" @click=${pin}>${total > 1 ? 'pin cards' : 'pin card'}</button>
    <button type="button" class="chip-action" title="Follow ${total > MAX_TRACKED ? `the first ${MAX_TRACKED} of them` : 'them'} with trails" @click=${track}>track</button>
    <button type="button" aria-label="Clear the selection" title="Clear the selection (Escape)" @click=${() => store.clearSelection()}>${icon('close')}</button></p>`;
}

/** Name and state of the sources compared with, over their maps. @param {import('../map/maps.js').Maps} maps @param {Store} store */
export function mountComparedCaptions(maps, store) {
  maps.list.forEach(({ name: host }, place) => {
    if (place === 0) return;
    const sourceNow = () => (store.layout.value === 'side' ? store.sources.value[place] : undefined);
    const states = followStates(store, sourceNow);
    effect(() => {
      const source = sourceNow();
      if (!source) { render(nothing, host); return; }
      const { summary: { value: summary }, layer: { value: layer } } = source;
      const listed = store.index.value?.runs[source.run]?.layers ?? {};
      const missing = source.name && !(source.name in listed);
      const told = summary && layer ? describeEpoch(summary, layer.neurons, null, source.invalidText.value) : missing ? `This run has no layer “${source.name}”` : 'Loading…';
      const name = nameOf(store, source);
      render(html`<h2 title=${name}><span class="caption-name">${shorten(name, NAME_LENGTH)}</span>${captionMarks(states.value)}</h2><p class="epoch-summary" title=${told}>${told}</p>${stateNotices(store, states.value)}`, host);
    });
  });
}
