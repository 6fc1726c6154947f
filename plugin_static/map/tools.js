// @ts-check
/** The tools at the map's edge: what dragging does, what is shown, how near. */
import { effect, html, nothing, render } from '../lib.js';
import { dismissible } from '../panels/chooser.js';
import { explain } from '../panels/explain.js';
import { icon, iconButton } from '../panels/icons.js';
import { MANY } from './shared.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../store.js').Tool} Tool */

/** @type {{tool: Tool, icon: 'hand' | 'lasso' | 'rectangle', key: string, label: string, title: string}[]} */
const TOOLS = [
  { tool: 'move', icon: 'hand', key: 'v', label: 'Move', title: 'Move the map by dragging (V)' },
  { tool: 'lasso', icon: 'lasso', key: 'g', label: 'Lasso', title: 'Lasso: draw around neurons to select them (G). Shift adds, Alt takes away, Escape clears.' },
  { tool: 'rectangle', icon: 'rectangle', key: 'r', label: 'Rectangle', title: 'Rectangle: drag over neurons to select them (R). Shift adds, Alt takes away, Escape clears.' },
];

/** @param {HTMLElement} host @param {Store} store @param {import('./maps.js').Maps} maps */
export function mountTools(host, store, maps) {
  const flip = (/** @type {import('../lib.js').Signal<boolean>} */ value) => () => { value.value = !value.peek(); };
  effect(() => {
    const { tool, showTrails, showLabels, showContours } = store;
    const many = store.sources.value.reduce((total, { layer }) => total + (layer.value?.neurons ?? 0), 0) > MANY;
    render(html`
      <div class="tool-group" role="radiogroup" aria-label="What dragging does" @keydown=${(/** @type {KeyboardEvent} */ event) => walk(event, store)}>${TOOLS.map((one) => html`<button type="button" class="icon-button" role="radio" title=${one.title} aria-label=${one.label} data-tool=${one.tool}
        aria-checked=${String(tool.value === one.tool)} tabindex=${tool.value === one.tool ? 0 : -1} @click=${() => { tool.value = one.tool; }}>${icon(one.icon)}</button>`)}</div>
      <hr>
      ${iconButton({ name: 'trail', label: 'Trails', title: `Trails. ${explain('trail')}`, pressed: showTrails.value, onClick: flip(showTrails) })}
      ${iconButton({ name: 'label', label: 'Names', title: 'Names of anchors, and words of concepts as one zooms in', pressed: showLabels.value, onClick: flip(showLabels) })}
      ${many ? iconButton({ name: 'contours', label: 'Contours', title: `Contours. ${explain('contours')}`, pressed: showContours.value, onClick: flip(showContours) }) : nothing}
      ${viewOptions(store, many)}
      <hr>
      ${iconButton({ name: 'plus', label: 'Zoom in', onClick: () => maps.zoomBy(1.5) })}
      ${iconButton({ name: 'minus', label: 'Zoom out', onClick: () => maps.zoomBy(1 / 1.5) })}
      ${iconButton({ name: 'fit', label: 'Fit the whole map', onClick: maps.fit })}`, host);
  });
  document.addEventListener('keydown', (event) => {
    const chosen = TOOLS.find(({ key }) => key === event.key.toLowerCase());
    if (!chosen || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest('select, textarea, [role="listbox"], [contenteditable], [data-own-keys], dialog, input:not([type="range"], [type="checkbox"], [type="radio"])')) return;
    store.tool.value = chosen.tool;
  });
}

/** Arrows lead from tool to tool, as in any group of radio buttons. @param {KeyboardEvent} event @param {Store} store */
function walk(event, store) {
  const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  event.stopPropagation();
  const now = TOOLS.findIndex(({ tool }) => tool === store.tool.peek());
  const { tool } = TOOLS[(now + by + TOOLS.length) % TOOLS.length];
  store.tool.value = tool;
  /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.currentTarget).querySelector(`[data-tool=${tool}]`))?.focus();
}

/** What is rarely switched, with a sentence about each. @param {Store} store @param {boolean} many */
function viewOptions(store, many) {
  const still = store.reducedMotion.value;
  const row = (/** @type {string} */ label, /** @type {string} */ text, /** @type {import('../lib.js').Signal<boolean>} */ value, off = false) => html`
    <label class="option ${off ? 'off' : ''}"><input type="checkbox" role="switch" .checked=${value.value && !off} ?disabled=${off} @change=${(/** @type {any} */ event) => { value.value = event.target.checked; }}>
      <span><b>${label}</b><span class="option-text">${text}</span></span></label>`;
  return html`<details class="view-options" @toggle=${dismissible}><summary class="icon-button" aria-label="View options" title="View options: the step before, density, animation">${icon('options')}</summary>
    <div class="menu" role="group" aria-label="View options">
      ${row('The step before', 'A hollow dot where each neuron was, and a hairline to where it is now.', store.showGhost)}
      ${many ? nothing : row('Contours', explain('contours'), store.showContours)}
      ${row('Animate between steps', still ? 'Off, because your system asks for reduced motion.' : 'Neurons glide from step to step. Off: they jump.', store.animate, still)}
    </div></details>`;
}
