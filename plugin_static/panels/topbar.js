// @ts-check
/** The bar at the top: what is shown and how it is coloured, search, undo, sharing, help. */
import { effect, html, nothing, render, signal } from '../lib.js';
import { mountChooser } from './chooser.js';
import { explain } from './explain.js';
import { icon, star } from './icons.js';
import { mountSearch } from './search.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/paint.js').ColorBy} ColorBy */

const HELP_SEEN = 'conceptmon.help-seen';
/** @type {[ColorBy, string, string][]} value, name, explanation */
const COLORS = [
  ['category', 'category', explain('category')],
  ['concept', 'concept', 'A colour of its own for each concept, so that neurons with the same word are seen together.'],
  ['layer', 'layer', 'The colour of the layer shown, as in the charts. Tells layers apart when several lie on one map.'],
  ['run', 'run', 'The colour of the run shown, as in the charts. Tells runs apart when several lie on one map.'],
  ['similarity', 'similarity', explain('similarity')],
  ['displacement', 'displacement', explain('displacement')],
  ['born', 'born at step', explain('born')],
];

const BAR = html`<div class="brand" title="Concept Monitor">${star(18)}<span>Concept Monitor</span></div>
  <div id="chooser"></div><div id="choices"></div><span class="grow"></span>
  <div id="search" class="search"></div><div id="undo"></div><div id="share"></div><div id="help"></div>`;

/**
 * @param {HTMLElement} host @param {Store} store @param {import('../map/maps.js').Maps} maps
 * @param {{address: import('../address.js').Address, help: {open: () => void}, api: import('../api.js').Api}} parts
 */
export function mountTopBar(host, store, maps, { address, help, api }) {
  render(BAR, host);
  const place = (/** @type {string} */ id) => /** @type {HTMLElement} */ (host.querySelector(`#${id}`));
  mountChooser(place('chooser'), store, api.allRuns);
  mountChoices(place('choices'), store);
  mountSearch(place('search'), store, maps);
  effect(() => {
    render(html`<button type="button" class="icon-button" aria-label="Undo" title="Undo the last change of the view (Ctrl+Z)" ?disabled=${!address.canUndo.value} @click=${address.undo}>${icon('undo')}</button>`, place('undo'));
  });
  mountHelpButton(place('help'), help.open);
}

/** The way to the help sheet: with words until it has been taken once. @param {HTMLElement} host @param {() => void} open */
function mountHelpButton(host, open) {
  const isNew = signal(recall(HELP_SEEN) === null);
  const onClick = () => { isNew.value = false; remember(HELP_SEEN, '1'); open(); };
  effect(() => {
    render(html`<button type="button" class=${isNew.value ? 'icon-button first-visit' : 'icon-button'} aria-label="Help" title="What you see here, keys, and every word explained (?)"
      @click=${onClick}>${icon('help')}${isNew.value ? html`<span>New here?</span>` : nothing}</button>`, host);
  });
}

/** @param {string} key @returns {string | null} null also where the browser keeps nothing for us */
function recall(key) {
  try { return localStorage.getItem(key); } catch { return ''; }
}
/** @param {string} key @param {string} value */
function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* Then it is shown again the next time. */ }
}

/** Layer, layout and colour. @param {HTMLElement} host @param {Store} store */
function mountChoices(host, store) {
  effect(() => {
    const several = store.sources.value.length > 1;
    render(html`
      <label class="choice" title=${explain('layer')}><span class="choice-name">layer</span><span class="select"><select aria-label="Layer" @change=${(/** @type {any} */ event) => store.chooseLayer(event.target.value)}>
        ${store.layerNames.value.map((name) => html`<option value=${name} ?selected=${name === store.layerName.value}>${name}</option>`)}</select>${icon('chevron')}</span></label>
      ${several ? layoutSwitch(store) : nothing}
      <label class="choice wide-only" title=${COLORS.find(([value]) => value === store.colorBy.value)?.[2] ?? ''}><span class="choice-name">colour</span><span class="select"><select aria-label="Colour by" @change=${(/** @type {any} */ event) => { store.colorBy.value = event.target.value; }}>
        ${COLORS.map(([value, text, told]) => html`<option value=${value} title=${told} ?selected=${value === store.colorBy.value}>${text}</option>`)}</select>${icon('chevron')}</span></label>
      <button type="button" class="icon-button wide-only" aria-label="Size by similarity" title="Draw neurons larger the better their concept fits" aria-pressed=${String(store.sizeBySimilarity.value)}
        @click=${() => { store.sizeBySimilarity.value = !store.sizeBySimilarity.peek(); }}>${icon('size')}</button>`, host);
  });
}

/** @param {Store} store */
function layoutSwitch(store) {
  const choice = (/** @type {import('../store.js').Layout} */ layout, /** @type {'split' | 'overlay'} */ name, /** @type {string} */ label, /** @type {string} */ told) => html`<button type="button" role="radio" aria-checked=${String(store.layout.value === layout)}
    aria-label=${label} title=${`${label}. ${told}`} tabindex=${store.layout.value === layout ? 0 : -1} @click=${() => { store.layout.value = layout; }}>${icon(name)}</button>`;
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (!['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'].includes(event.key)) return;
    event.preventDefault();
    store.layout.value = store.layout.peek() === 'side' ? 'overlay' : 'side';
    const group = /** @type {HTMLElement} */ (event.currentTarget);
    queueMicrotask(() => { /** @type {HTMLElement | null} */ (group.querySelector('[aria-checked="true"]'))?.focus(); });
  };
  return html`<div class="segments" role="radiogroup" aria-label="Maps" data-own-keys @keydown=${onKey}>
    ${choice('side', 'split', 'Side by side', explain('side_by_side'))}${choice('overlay', 'overlay', 'Overlay', explain('overlay'))}</div>`;
}
