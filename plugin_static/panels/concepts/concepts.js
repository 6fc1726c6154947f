// @ts-check
/** The panel of concepts: which ones the layer has, how neurons went from one to another, and what is missing. */
import { computed, effect, html, render } from '../../lib.js';
import { tallyLayer } from '../../model/concepts.js';
import { mountTable } from './table.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../api.js').Api} Api */
/** @typedef {'table' | 'flow' | 'missing'} View */

/** @type {[View, string, string][]} name, label, explanation */
const VIEWS = [
  ['table', 'Table', 'Every concept that some neuron of the layer has had: how many neurons now, since when, and what changed'],
];

/** @param {HTMLElement} host @param {Store} store @param {Api} api */
export function mountConcepts(host, store, api) {
  const top = document.createElement('div');
  top.className = 'concepts-top';
  const hosts = VIEWS.map(([name]) => Object.assign(document.createElement('section'), { className: `concepts-view concepts-${name}`, id: `concepts-${name}` }));
  host.replaceChildren(top, ...hosts);
  const isOpen = computed(() => store.panel.value === 'concepts');
  const isShown = (/** @type {View} */ view) => computed(() => isOpen.value && store.conceptsView.value === view);

  /** @type {import('../../model/concepts.js').Tally | null} */
  let counted = null;
  const tally = computed(() => {
    const { layer, spaceAt } = store.first.value;
    if (isOpen.value && layer.value) counted = tallyLayer(layer.value, spaceAt.value, counted);
    return isOpen.value && layer.value ? counted : null;
  });

  mountTable(hosts[0], store, api, tally, isShown('table'));
  effect(() => {
    VIEWS.forEach(([name], i) => { hosts[i].hidden = store.conceptsView.value !== name; });
    if (!isOpen.value) { store.pointedConcept.value = null; return; }
    render(switchOf(store, VIEWS), top);
  });
}

/** The choice among views, one stop for the Tab key. @param {Store} store @param {typeof VIEWS} views */
function switchOf(store, views) {
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const now = views.findIndex(([name]) => name === store.conceptsView.peek());
    [store.conceptsView.value] = views[(now + by + views.length) % views.length];
    const buttons = /** @type {HTMLElement} */ (event.currentTarget).querySelectorAll('button');
    buttons[(now + by + views.length) % views.length].focus();
  };
  return html`<div class="switch" role="radiogroup" aria-label="View of the concepts" @keydown=${onKey}>
    ${views.map(([name, label, explanation]) => html`<button type="button" role="radio" title=${explanation} aria-checked=${String(store.conceptsView.value === name)}
      tabindex=${store.conceptsView.value === name ? 0 : -1} @click=${() => { store.conceptsView.value = name; }}>${label}</button>`)}</div>`;
}
