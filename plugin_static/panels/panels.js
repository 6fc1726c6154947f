// @ts-check
/** The tabs of the right column. */
import { effect, html, render } from '../lib.js';

/** @type {[import('../store.js').PanelName, string, string][]} name, label, explanation */
const PANELS = [
  ['overview', 'Overview', 'Curves over training and the neurons that are followed'],
  ['neurons', 'Neurons', 'Cards of neurons: concepts, history, images, neighbours'],
  ['concepts', 'Concepts', 'Which concepts the layer has, gains, loses and misses'],
  ['evolutions', 'Evolutions', 'Which neurons’ change between two steps matters to a class'],
  ['compare', 'Compare', 'What differs between the runs and layers shown'],
];

/** @param {HTMLElement} host @param {import('../store.js').Store} store */
export function mountPanels(host, store) {
  const choose = (/** @type {number} */ index) => {
    const [name] = PANELS[(index + PANELS.length) % PANELS.length];
    store.panel.value = name;
    /** @type {HTMLElement | null} */ (host.querySelector(`#tab-${name}`))?.focus();
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const now = PANELS.findIndex(([name]) => name === store.panel.peek());
    const move = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: PANELS.length - 1 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    choose(move);
  };
  effect(() => {
    render(PANELS.map(([name, label, explanation]) => html`<button type="button" role="tab" id="tab-${name}" aria-controls="panel-${name}" title=${explanation}
      aria-selected=${String(store.panel.value === name)} tabindex=${store.panel.value === name ? 0 : -1} @click=${() => { store.panel.value = name; }} @keydown=${onKey}>${label}</button>`), host);
    for (const [name] of PANELS) /** @type {HTMLElement} */ (document.getElementById(`panel-${name}`)).hidden = store.panel.value !== name;
  });
}
