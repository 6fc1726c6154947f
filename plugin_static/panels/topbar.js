// @ts-check
/** The bar at the top: runs, layer, colour, search. */
import { effect, html, nothing, render, signal } from '../lib.js';
import { formatCount, shorten } from '../model/format.js';
import { searchMatches } from '../model/search.js';
import { icon, star } from './icons.js';

/** @typedef {import('../store.js').Store} Store */
const NARROW = 1180;
const COLORS = /** @type {const} */ ([['category', 'category'], ['similarity', 'similarity'], ['displacement', 'displacement']]);

/**
 * @param {HTMLElement} host @param {Store} store @param {import('../map/maps.js').Maps} maps
 * @param {{address: import('../address.js').Address, help: {open: () => void}}} parts
 */
export function mountTopBar(host, store, maps, { address, help }) {
  const query = signal('');
  const active = signal(0);
  const choose = (/** @type {import('../model/search.js').ConceptMatch | import('../model/search.js').NeuronMatch} */ match) => {
    query.value = '';
    if (match.type === 'neuron') store.focus.value = { run: store.first.peek().run, layer: store.first.peek().name, neuron: match.neuron };
    else {
      store.concept.value = match.word;
      const space = store.space.peek();
      const id = space ? space.words.indexOf(match.word) : -1;
      if (space && id >= 0) maps.centreOn(space.position[2 * id], space.position[2 * id + 1]);
    }
    /** @type {HTMLInputElement} */ (host.querySelector('.search input')).value = '';
  };
  const matchesNow = () => (store.layer.value && store.space.value ? searchMatches(query.value, store.layer.value, store.space.value, store.epoch.value) : []);
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const matches = matchesNow();
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (matches.length) active.value = (active.peek() + (event.key === 'ArrowDown' ? 1 : matches.length - 1)) % matches.length;
    } else if (event.key === 'Enter' && matches.length) choose(matches[Math.min(active.peek(), matches.length - 1)]);
    else if (event.key === 'Escape') { query.value = ''; /** @type {HTMLInputElement} */ (event.target).value = ''; }
  };

  effect(() => { render(html`
    <div class="brand">${star(18)}<span>Concept Monitor</span></div>
    ${runChooser(store)}
    <label class="choice"><span>layer</span><span class="select"><select aria-label="Layer" @change=${(/** @type {any} */ event) => store.chooseLayer(event.target.value)}>
      ${store.layerNames.value.map((name) => html`<option value=${name} ?selected=${name === store.layerName.value}>${name}</option>`)}</select>${icon('chevron')}</span></label>
    <label class="choice wide-only"><span>colour</span><span class="select"><select aria-label="Colour by" @change=${(/** @type {any} */ event) => { store.colorBy.value = event.target.value; }}>
      ${COLORS.map(([value, text]) => html`<option value=${value} ?selected=${value === store.colorBy.value}>${text}</option>`)}</select>${icon('chevron')}</span></label>
    <span class="grow"></span>
    <div class="search">${icon('search')}<input type="search" placeholder="Find a concept or neuron" aria-label="Find a concept or neuron" role="combobox" aria-autocomplete="list"
        aria-expanded=${String(Boolean(query.value))} aria-controls="matches" autocomplete="off" spellcheck="false"
        @input=${(/** @type {any} */ event) => { active.value = 0; query.value = event.target.value; }} @keydown=${onKey}
        @blur=${() => setTimeout(() => { query.value = ''; }, 150)}>
      ${query.value.trim() ? matchList(matchesNow(), active.value, choose) : nothing}</div>
    <button type="button" class="icon-button" aria-label="Undo" title="Undo the last change of the view (Ctrl+Z)" ?disabled=${!address.canUndo.value} @click=${address.undo}>${icon('undo')}</button>
    <button type="button" class="icon-button" aria-label="Help" title="What you see here, keys, and every word explained (?)" @click=${help.open}>${icon('help')}</button>`, host); });
}

/** @param {ReturnType<typeof searchMatches>} matches @param {number} active @param {(match: any) => void} choose */
const matchList = (matches, active, choose) => html`<ul id="matches" class="menu" role="listbox" aria-label="Matches">
  ${matches.length ? matches.map((match, i) => html`<li role="option" aria-selected=${String(i === active)} @pointerdown=${() => choose(match)}>
      <i class="dot slot-${match.slot < 0 ? 'none' : match.slot}"></i><span class="menu-name">${match.type === 'neuron' ? `neuron ${match.neuron}` : match.word}</span>
      <span class="mute">${match.type === 'neuron' ? match.word || 'no clear concept' : `${formatCount(match.count)} here`}</span></li>`)
    : html`<li class="mute" role="option" aria-selected="false" aria-disabled="true">Not a concept or neuron of this layer</li>`}</ul>`;

/** @param {Store} store */
function runChooser(store) {
  const names = store.runNames.value;
  const compared = store.others.value[0]?.run ?? '';
  // In a narrow window two names must be cut in the middle, before the bar cuts off their ends, where sweeps differ.
  const cut = (/** @type {string} */ name) => (name.length <= 14 ? name : shorten(name, window.innerWidth < NARROW ? 11 : 20));
  const close = (/** @type {Event} */ event) => { const menu = /** @type {HTMLElement} */ (event.target).closest('details'); if (menu) menu.open = false; };
  const row = (/** @type {string} */ name) => html`<li><button type="button" class="menu-main" role="radio" aria-checked=${String(name === store.primary.value)} title=${name}
      @click=${(/** @type {Event} */ event) => { store.chooseRun(name); close(event); }}><i class="run-mark ${name === store.primary.value ? 'main' : name === compared ? 'other' : ''}"></i><span class="menu-name">${name}</span></button>
    <button type="button" class="menu-side" aria-pressed=${String(name === compared)} ?disabled=${name === store.primary.value} aria-label="Compare with ${name}"
      @click=${() => { store.toggleCompared({ run: name, layer: store.layerName.peek() }); }}>${name === store.primary.value ? 'shown' : name === compared ? 'comparing' : 'compare'}</button></li>`;
  return html`<details class="runs" @toggle=${dismissible}><summary aria-label="Runs: ${store.primary.value}${compared ? `, compared with ${compared}` : ''}" title=${[store.primary.value, compared].filter(Boolean).join('\n')}>
      <i class="run-mark main"></i><span class="run-name">${compared ? cut(store.primary.value) : shorten(store.primary.value, 32)}</span>
      ${compared ? html`<i class="run-mark other"></i><span class="run-name mute">${cut(compared)}</span>` : nothing}
      ${!compared && names.length > 1 ? html`<span class="mute run-more">+${names.length - 1}</span>` : nothing}${icon('chevron')}</summary>
    <ul class="menu run-menu" role="radiogroup" aria-label="Run on the map">${names.map(row)}</ul></details>
    ${compared ? html`<button type="button" class="icon-button wide-only" aria-label="Maps side by side" title="Maps side by side" aria-pressed=${String(store.layout.value === 'side')} @click=${() => { store.layout.value = store.layout.peek() === 'side' ? 'overlay' : 'side'; }}>${icon('split')}</button>` : nothing}`;
}

/** Close an open menu at a click elsewhere or Escape. @param {Event} event */
function dismissible(event) {
  const menu = /** @type {HTMLDetailsElement} */ (event.target);
  if (!menu.open) return;
  const dismiss = (/** @type {Event} */ other) => {
    if (other instanceof KeyboardEvent ? other.key !== 'Escape' : menu.contains(/** @type {Node} */ (other.target))) return;
    menu.open = false;
    if (other instanceof KeyboardEvent) menu.querySelector('summary')?.focus();
  };
  document.addEventListener('pointerdown', dismiss);
  document.addEventListener('keydown', dismiss);
  menu.addEventListener('toggle', () => {
    document.removeEventListener('pointerdown', dismiss);
    document.removeEventListener('keydown', dismiss);
  }, { once: true });
}
