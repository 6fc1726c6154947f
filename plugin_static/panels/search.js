// @ts-check
/** The search box: type a word, a neuron's number, an anchor, a category or a layer, and say Enter. */
import { batch, computed, effect, html, nothing, render, signal } from '../lib.js';
import { neuronsWith } from '../model/concepts.js';
import { counted, formatCount } from '../model/format.js';
import { placeOf } from '../model/layer.js';
import { NONE_KEY } from '../model/paint.js';
import { searchMatches } from '../model/search.js';
import { keyOf } from '../source.js';
import { addAnchor } from './anchors.js';
import { icon, star } from './icons.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/search.js').Match} Match */
/** @typedef {import('../map/maps.js').Maps} Maps */

const NAME = 'Find a concept or neuron';
const HINT = 'Words, neurons (“17”, “layer3:17”), anchors, categories, layers. Press / to come here.';

/** @param {HTMLElement} host @param {Store} store @param {Maps} maps */
export function mountSearch(host, store, maps) {
  const query = signal('');
  const active = signal(0);
  const isOpen = signal(false);
  const groups = computed(() => {
    const { layer: { value: layer }, space: { value: space } } = store;
    if (!isOpen.value || !layer || !space) return [];
    const listed = store.runIndex.value?.layers ?? {};
    const layers = Object.fromEntries(Object.entries(listed).map(([name, { neurons }]) => [name, neurons]));
    return searchMatches(query.value, { space, layer, epoch: store.epoch.value, layers, anchors: store.anchors.value });
  });
  const matches = computed(() => groups.value.flatMap((group) => group.matches));
  const input = () => /** @type {HTMLInputElement} */ (host.querySelector('input'));
  const close = () => { isOpen.value = false; };

  /** @param {Match} match */
  const choose = (match) => {
    batch(() => {
      query.value = '';
      close();
      act(match, store, maps);
    });
    input().value = '';
    // The keys of the time line are at work again; a match that opens something has taken the focus there.
    if (document.activeElement === input()) input().blur();
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const { length } = matches.peek();
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      isOpen.value = true;
      if (length) active.value = (active.peek() + (event.key === 'ArrowDown' ? 1 : length - 1)) % length;
    } else if (event.key === 'Enter' && length && isOpen.peek()) {
      event.preventDefault();
      choose(matches.peek()[Math.min(active.peek(), length - 1)]);
    } else if (event.key === 'Escape') {
      event.preventDefault();
      if (!query.peek()) input().blur();
      batch(() => { query.value = ''; close(); });
      input().value = '';
    }
  };
  effect(() => {
    const now = Math.min(active.value, matches.value.length - 1);
    const isListed = isOpen.value && query.value.trim() !== '';
    render(html`${icon('search')}<input type="search" placeholder=${NAME} aria-label=${NAME} title=${HINT} role="combobox" aria-autocomplete="list" aria-haspopup="listbox"
        aria-expanded=${String(isListed)} aria-controls="matches" aria-activedescendant=${isListed && now >= 0 ? `match-${now}` : ''} autocomplete="off" spellcheck="false"
        @input=${(/** @type {any} */ event) => batch(() => { active.value = 0; isOpen.value = true; query.value = event.target.value; })} @keydown=${onKey}
        @blur=${close} @focus=${() => { isOpen.value = query.peek() !== ''; }}>
      <kbd class="search-key" aria-hidden="true">/</kbd>
      ${isListed ? matchList(groups.value, now, store, choose) : nothing}`, host);
  });
  document.addEventListener('keydown', (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || target.closest('input:not([type="range"], [type="checkbox"], [type="radio"]), textarea, select')) return;
    event.preventDefault();
    input().focus();
    input().select();
  });
}

/** @param {import('../model/search.js').MatchGroup[]} groups @param {number} active @param {Store} store @param {(match: Match) => void} choose */
function matchList(groups, active, store, choose) {
  // The pointer must not take the focus away before the click is done.
  const keepFocus = (/** @type {Event} */ event) => event.preventDefault();
  let at = -1;
  const option = (/** @type {Match} */ match) => {
    at += 1;
    const { mark, name, told, fate } = describe(match, store);
    return html`<div role="option" id="match-${at}" class="match" aria-selected=${String(at === active)} title=${fate} @click=${() => choose(match)}>
      ${mark}<span class="menu-name">${name}</span><span class="mute">${told}</span>${at === active ? html`<span class="match-fate">${fate} <kbd aria-hidden="true">↵</kbd></span>` : nothing}</div>`;
  };
  return html`<div id="matches" class="menu matches" role="listbox" aria-label="Matches" @pointerdown=${keepFocus}>
    ${groups.map(({ title, matches }) => html`<div role="group" aria-label=${title}><div class="match-group" aria-hidden="true">${title}</div>${matches.map(option)}</div>`)}
    ${groups.length ? nothing : html`<div class="mute match" role="option" aria-selected="false" aria-disabled="true">Nothing of that name in this run</div>`}</div>`;
}

/** How a match is written, and what choosing it will do. @param {Match} match @param {Store} store */
function describe(match, store) {
  const dot = (/** @type {number} */ slot) => html`<i class="dot slot-${slot < 0 ? 'none' : slot}"></i>`;
  switch (match.type) {
    case 'concept': return {
      mark: dot(match.slot), name: match.word, told: counted(match.count, 'neuron'),
      fate: match.count ? `Select ${match.count === 1 ? 'its neuron' : `its ${formatCount(match.count)} neurons`}` : 'Go to its place: no neuron has it at this step',
    };
    case 'neuron': {
      const isHere = match.layer === store.first.value.name;
      return { mark: dot(match.slot), name: `neuron ${match.neuron}`, told: isHere ? match.word || 'no clear concept' : match.layer, fate: isHere ? 'Open its card' : `Show ${match.layer} and open its card` };
    }
    case 'anchor': return { mark: star(13), name: match.word, told: 'anchor', fate: 'Go to its star' };
    case 'category': return { mark: dot(match.slot), name: match.label, told: 'category', fate: 'Show these neurons only' };
    case 'layer': return { mark: icon('layers'), name: match.layer, told: counted(match.neurons, 'neuron'), fate: 'Show this layer' };
    default: return { mark: icon('plus'), name: `add anchor “${match.word}”`, told: '', fate: match.isConcept ? 'Mark it with a star' : 'Ask the encoder for its place' };
  }
}

/** @param {Match} match @param {Store} store @param {Maps} maps */
function act(match, store, maps) {
  const { run, name, key, layer, spaceAt, epoch, cursor } = store.first.peek();
  const shown = layer.peek();
  switch (match.type) {
    case 'concept': {
      const neurons = shown ? neuronsWith(shown, spaceAt.peek(), epoch.peek(), match.word) : [];
      store.concept.value = null;
      if (neurons.length) store.select(key, neurons);
      maps.centreOn(match.x, match.y);
      break;
    }
    case 'neuron': {
      if (match.layer !== name) store.chooseLayer(match.layer);
      const ref = { run, layer: match.layer, neuron: match.neuron };
      store.focus.value = ref;
      const [x, y] = shown && keyOf(ref) === key ? placeOf(shown, match.neuron, cursor.peek()) : [NaN, NaN];
      if (Number.isFinite(x)) maps.centreOn(x, y);
      break;
    }
    case 'anchor': maps.centreOn(match.x, match.y); break;
    case 'category': {
      const names = store.space.peek()?.categories.map((category) => category.name) ?? [];
      store.hidden.value = new Set([...names, NONE_KEY].filter((other) => other !== match.name));
      break;
    }
    case 'layer': store.chooseLayer(match.layer); break;
    default: addAnchor(store, match.word);
  }
}
