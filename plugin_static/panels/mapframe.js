// @ts-check
/** What surrounds the map inside its well: caption, notices, legend, tools. */
import { effect, html, nothing, render } from '../lib.js';
import { describeNeurons } from '../model/concepts.js';
import { describeEpoch, describeInvalid } from '../model/history.js';
import { counted, formatCount, formatNumber, shorten } from '../model/format.js';
import { NONE_KEY } from '../model/paint.js';
import { icon, iconButton, star } from './icons.js';

/** @typedef {import('../store.js').Store} Store */

/** Letters of a run's name over its half of a narrow map. */
const NAME_LENGTH = 30;

/** @param {HTMLElement} host @param {Store} store */
export function mountCaption(host, store) {
  effect(() => {
    const { summary: summaryNow, invalidText } = store.first.value;
    const summary = summaryNow.value;
    const layer = store.layer.value;
    const at = store.epoch.value;
    const concept = store.concept.value;
    const skipped = store.runIndex.value?.skipped ?? [];
    const note = store.runIndex.value?.note || store.space.value?.note || '';
    // One line, whatever its length: the map's upper margin is made for it, and must not move with the text.
    const told = summary && layer ? describeEpoch(summary, layer.neurons, at > 0 ? layer.steps[at - 1] : null, invalidText.value) : 'Loading…';
    render(html`<h2 title=${store.primary.value}>${store.others.value.length && store.layout.value === 'side' ? shorten(nameOf(store, store.first.value), NAME_LENGTH) : 'Concept space'}</h2>
      <p class="epoch-summary" title=${told}>${told}</p>
      ${summary && summary.valid === 0 ? html`<p class="notice warn">${icon('warn')}<span>No neuron has a signal at this step: nothing to draw</span></p>` : nothing}
      ${concept === null ? nothing : html`<p class="chip">showing “${concept}” <button type="button" aria-label="Show all concepts" @click=${() => { store.concept.value = null; }}>${icon('close')}</button></p>`}
      ${selectionChip(store)}
      ${note ? html`<p class="notice" title=${note}>${icon('info')}<span>${note}</span></p>` : nothing}
      ${skipped.length ? html`<details class="notice warn"><summary>${icon('warn')}<span>${counted(skipped.length, 'record')} could not be read</span></summary>
        <ul>${skipped.slice(0, 20).map(({ layer: name, step, reason }) => html`<li>${name ? `${name}, ` : ''}${step === undefined || step === null ? '' : `step ${step}: `}${reason}</li>`)}</ul></details>` : nothing}
      ${store.problem.value ? html`<p class="notice warn" role="status">${icon('warn')}<span>${store.problem.value}</span></p>` : nothing}`, host);
  });
}

/** The selected neurons in words, with a button that lets them go. @param {Store} store */
function selectionChip(store) {
  const chosen = store.sources.value.filter(({ selection }) => selection.value);
  const told = chosen.map((source) => {
    const { layer: { value: layer }, spaceAt, epoch, selection } = source;
    const text = layer && selection.value ? describeNeurons(layer, spaceAt.value, epoch.value, selection.value) : '';
    return store.others.value.length ? `${nameOf(store, source)}: ${text}` : text;
  }).join('; ');
  if (!chosen.length) return nothing;
  return html`<p class="chip" title="Selected: ${told}"><span role="status">${told}</span> <button type="button" aria-label="Clear the selection" title="Clear the selection (Escape)" @click=${store.clearSelection}>${icon('close')}</button></p>`;
}

/** What tells a source apart from the others shown: its run, its layer, or both. @param {Store} store @param {import('../source.js').Source} source */
export function nameOf(store, source) {
  const all = store.sources.value;
  const runs = new Set(all.map(({ run }) => run)).size;
  const layers = new Set(all.map(({ name }) => name)).size;
  if (runs > 1 && layers > 1) return `${source.run} · ${source.name}`;
  return layers > 1 ? source.name : source.run;
}

/** Name and state of the sources compared with, over their maps. @param {import('../map/maps.js').Maps} maps @param {Store} store */
export function mountComparedCaptions(maps, store) {
  maps.list.forEach(({ name: host }, place) => {
    if (place === 0) return;
    effect(() => {
      const source = store.layout.value === 'side' ? store.sources.value[place] : undefined;
      if (!source) { render(nothing, host); return; }
      const { summary: { value: summary }, layer: { value: layer } } = source;
      const listed = store.index.value?.runs[source.run]?.layers ?? {};
      const missing = source.name && !(source.name in listed);
      const told = summary && layer ? describeEpoch(summary, layer.neurons, null, source.invalidText.value) : missing ? `This run has no layer “${source.name}”` : 'Loading…';
      const name = nameOf(store, source);
      render(html`<h2 title=${name}>${shorten(name, NAME_LENGTH)}</h2><p class="epoch-summary" title=${told}>${told}</p>`, host);
    });
  });
}

/** @param {HTMLElement} host @param {Store} store */
export function mountLegend(host, store) {
  effect(() => {
    const { colorBy, hidden, space } = store;
    const { summary, paint, invalidText } = store.first.value;
    const counts = summary.value?.counts;
    const toggle = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string | number} */ slot, /** @type {number} */ count) => html`
      <button type="button" class="legend-item" aria-pressed=${String(!hidden.value.has(name))} title="Show or dim ${label}" @click=${() => store.toggleCategory(name)}>
        <i class="dot slot-${slot}"></i>${label} <span class="legend-count">${formatCount(count)}</span></button>`;
    const range = paint.value?.range ?? [0, 1];
    render(html`
      ${colorBy.value === 'category' ? nothing : html`<span class="legend-ramp"><span>${colorBy.value}</span><span class="mute">${formatNumber(range[0])}</span><i class="ramp"></i><span class="mute">${formatNumber(range[1])}</span></span>`}
      ${(space.value?.categories ?? []).map(({ name, label, slot }) => toggle(name, label, colorBy.value === 'category' ? slot : 'plain', counts?.get(name) ?? 0))}
      ${summary.value ? toggle(NONE_KEY, 'no concept', 'none', summary.value.uninterpretable) : nothing}
      ${space.value?.anchors.length ? html`<span class="legend-item still">${star(13)}anchor</span>` : nothing}
      ${invalidText.value ? html`<span class="legend-item still" title="Neurons without a usable signal over the probe images are not drawn">${invalidText.value}</span>` : nothing}`, host);
  });
}

/** @param {HTMLElement} host @param {Store} store @param {import('../map/maps.js').Maps} maps */
export function mountTools(host, store, maps) {
  effect(() => { render(html`
    ${iconButton({ name: 'trail', label: 'Trails', pressed: store.showTrails.value, onClick: () => { store.showTrails.value = !store.showTrails.peek(); } })}
    ${iconButton({ name: 'label', label: 'Names', pressed: store.showLabels.value, onClick: () => { store.showLabels.value = !store.showLabels.peek(); } })}
    <hr>
    ${iconButton({ name: 'plus', label: 'Zoom in', onClick: () => maps.zoomBy(1.5) })}
    ${iconButton({ name: 'minus', label: 'Zoom out', onClick: () => maps.zoomBy(1 / 1.5) })}
    ${iconButton({ name: 'fit', label: 'Fit the whole map', onClick: maps.fit })}`, host); });
}
