// @ts-check
/** The panel of neurons: cards side by side, or a figure of the same neurons over a few steps. */
import { batch, computed, effect, html, nothing, render, signal, untracked } from '../../lib.js';
import { counted } from '../../model/format.js';
import { cardsOf, neuronKey, sameNeuron } from '../../model/neurons.js';
import { similarityOf } from '../../model/layer.js';
import { explainMark } from '../explain.js';
import { createAnswers } from './answers.js';
import { createCard } from './card.js';
import { emptyCards } from './empty.js';
import { mountFigure } from './figure.js';

/** @typedef {import('../../source.js').NeuronRef} NeuronRef */
/** @typedef {import('../../store.js').Store} Store */

/** Of a selection, this many are pinned at once. */
export const MAX_PINNED_AT_ONCE = 12;
/** In logs with more neurons, relatives elsewhere are looked for only when the reader asks. */
const MAX_LOOKED_ACROSS = 20000;
const CLOSE = '[aria-label^="Close"]';

/** @param {HTMLElement} host @param {Store} store @param {import('../../api.js').Api} api @param {import('../../player.js').Player} player */
export function mountNeurons(host, store, api, player) {
  const bar = Object.assign(document.createElement('div'), { className: 'neurons-bar' });
  const empty = document.createElement('div');
  const grid = Object.assign(document.createElement('div'), { className: 'neuron-cards' });
  const figure = Object.assign(document.createElement('div'), { className: 'neuron-figure' });
  host.replaceChildren(bar, empty, grid, figure);

  const answers = createAnswers(store, api);
  const shown = computed(() => store.panel.value === 'neurons');
  const refs = computed(() => cardsOf(store.focus.value, store.pinned.value));
  const domain = computed(() => {
    const ends = store.sources.value.flatMap(({ places }) => (places.value.length ? [places.value[0], places.value[places.value.length - 1]] : []));
    return /** @type {[number, number]} */ (ends.length ? [Math.min(...ends), Math.max(...ends)] : [0, 1]);
  });
  const context = {
    store, api, player, answers, domain, across: createAcross(store), isShown: () => shown.value && store.neuronsAs.value === 'cards',
    open: (/** @type {NeuronRef} */ ref) => { store.focus.value = ref; focusCard(0); },
    close: (/** @type {NeuronRef} */ ref) => {
      if (sameNeuron(store.hovered.peek(), ref)) store.hovered.value = null;
      batch(() => {
        if (sameNeuron(store.focus.peek(), ref)) store.focus.value = null;
        if (store.pinned.peek().some((other) => sameNeuron(other, ref))) store.togglePinned(ref);
      });
    },
  };

  /** @type {Map<string, ReturnType<typeof createCard>>} */
  const cards = new Map();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) for (const card of cards.values()) if (card.element === target) card.seen(isIntersecting);
  }, { root: host, rootMargin: '200px' });
  effect(() => {
    const list = refs.value;
    untracked(() => {
      const keys = list.map(neuronKey);
      const order = [...grid.children];
      let left = -1;
      for (const [key, card] of cards) {
        if (keys.includes(key)) continue;
        // Whoever is in a card that goes is taken to the one in its place.
        if (card.element.contains(document.activeElement)) left = order.indexOf(card.element);
        watcher.unobserve(card.element);
        card.dispose();
        card.element.remove();
        cards.delete(key);
      }
      list.forEach((ref, i) => {
        const known = cards.get(keys[i]);
        const card = known ?? createCard(ref, context);
        if (grid.children[i] !== card.element) grid.insertBefore(card.element, grid.children[i] ?? null);
        if (known) return;
        cards.set(keys[i], card);
        watcher.observe(card.element);
      });
      if (left >= 0) focusCard(left, CLOSE);
    });
  });
  effect(() => { if (store.focus.value) host.scrollTop = 0; });
  effect(() => {
    void refs.value;
    const first = store.focus.value && neuronKey(store.focus.value);
    for (const [key, { element }] of cards) element.classList.toggle('focused', key === first);
  });
  effect(() => {
    if (!shown.value) return;
    render(toolbar(store), bar);
    const none = refs.value.length === 0 && store.neuronsAs.value === 'cards';
    empty.hidden = !none;
    grid.hidden = none || store.neuronsAs.value !== 'cards';
    figure.hidden = store.neuronsAs.value !== 'figure';
    render(none ? emptyCards(store, pinSelected) : nothing, empty);
  });
  mountFigure(figure, { store, api, player, answers, isShown: () => shown.value && store.neuronsAs.value === 'figure' });

  /** Focus a card that is about to be there; the panel's tab where there is none. @param {number} place @param {string} [selector] of what in it */
  function focusCard(place, selector = '.icon-button') {
    requestAnimationFrame(() => {
      const card = grid.hidden ? undefined : grid.children[Math.min(place, grid.children.length - 1)];
      const target = card?.querySelector(selector) ?? card?.querySelector('.icon-button') ?? document.getElementById('tab-neurons');
      /** @type {HTMLElement | null} */ (target)?.focus();
    });
  }
}

/** Whether relatives are looked for: by default where that is quick. @param {Store} store */
function createAcross(store) {
  const chosen = signal(/** @type {boolean | null} */ (null));
  const total = computed(() => Object.values(store.index.value?.runs ?? {}).flatMap(({ layers }) => Object.values(layers)).reduce((sum, { neurons }) => sum + neurons, 0));
  return {
    get value() { return chosen.value ?? total.value <= MAX_LOOKED_ACROSS; },
    set value(open) { if (open !== this.value) chosen.value = open; },
  };
}

/** Pin what is selected, the clearest neurons first where they are many. @param {Store} store */
export function pinSelected(store) {
  const chosen = [...store.selection.peek()].flatMap(([key, neurons]) => {
    const source = store.sourceOf(key);
    const layer = source?.layer.peek();
    if (!source || !layer) return [];
    const at = source.epoch.peek();
    return [...neurons].map((neuron) => ({ ref: { run: source.run, layer: source.name, neuron }, similarity: similarityOf(layer, at, neuron) || 0 }));
  });
  const best = chosen.sort((a, b) => b.similarity - a.similarity).slice(0, MAX_PINNED_AT_ONCE).map(({ ref }) => ref);
  const now = store.pinned.peek();
  store.pinned.value = [...now, ...best.filter((ref) => !now.some((other) => sameNeuron(other, ref)))];
}

/** @param {Store} store */
function toolbar(store) {
  const selected = [...store.selection.value.values()].reduce((sum, { size }) => sum + size, 0);
  const pinned = store.pinned.value.length;
  const as = store.neuronsAs.value;
  const choose = (/** @type {'cards' | 'figure'} */ one) => html`<button type="button" role="radio" aria-checked=${String(as === one)} tabindex=${as === one ? 0 : -1}
    title=${one === 'cards' ? 'One card for each neuron' : 'Neurons by steps with their images, as in the thesis’ Fig. 2.1'} @click=${() => { store.neuronsAs.value = one; }}>${one}</button>`;
  const move = (/** @type {KeyboardEvent} */ event) => {
    if (!['ArrowLeft', 'ArrowRight'].includes(event.key)) return;
    event.preventDefault();
    store.neuronsAs.value = as === 'cards' ? 'figure' : 'cards';
    /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.currentTarget).querySelector('[aria-checked="true"]'))?.focus();
  };
  return html`<div class="neurons-as" role="radiogroup" aria-label="Show neurons as" @keydown=${move}>${choose('cards')}${choose('figure')}</div>
    <span class="mute">${pinned ? `${pinned} pinned` : ''}</span>${explainMark('pinned')}<span class="grow"></span>
    ${selected ? html`<button type="button" class="text-button" title="Pin the cards of the selected neurons, at most ${MAX_PINNED_AT_ONCE} at once: those with the highest similarity" @click=${() => pinSelected(store)}>pin ${selected > MAX_PINNED_AT_ONCE ? `${MAX_PINNED_AT_ONCE} of ` : ''}${counted(selected, 'selected neuron')}</button>` : nothing}
    ${pinned ? html`<button type="button" class="text-button" title="Close all pinned cards" @click=${() => { store.pinned.value = []; }}>unpin all</button>` : nothing}`;
}
