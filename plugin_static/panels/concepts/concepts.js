// @ts-check
/** The panel of concepts: which ones the layer has, how neurons went from one to another, and what is missing. */
import { computed, effect, render } from '../../lib.js';
import { tallyLayer } from '../../model/concepts.js';
import { mountFlow } from './flow.js';
import { mountMissing } from './missing.js';
import { switchOf } from './switch.js';
import { mountTable } from './table.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../api.js').Api} Api */
/** @typedef {'table' | 'flow' | 'missing'} View */

/** @type {[View, string, string][]} name, label, explanation */
const VIEWS = [
  ['table', 'Table', 'Every concept that some neuron of the layer has had: how many neurons now, since when, and what changed'],
  ['flow', 'Flow', 'How neurons went from one category or concept to another between two steps'],
  ['missing', 'Missing', 'Words by their distance to the nearest neuron: what the network has not learned'],
];

/** @param {HTMLElement} host @param {Store} store @param {Api} api @param {import('./distances.js').Distances} distances */
export function mountConcepts(host, store, api, distances) {
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
  mountFlow(hosts[1], store, isShown('flow'));
  mountMissing(hosts[2], store, isShown('missing'), distances);
  effect(() => {
    VIEWS.forEach(([name], i) => { hosts[i].hidden = store.conceptsView.value !== name; });
    if (!isOpen.value) { store.pointedConcept.value = null; return; }
    render(switchOf('View of the concepts', VIEWS, store.conceptsView), top);
  });
}
