// @ts-check
/** The alluvial diagram: how neurons went from one category or concept to another between two steps. */
import { computed, effect, html, nothing, render, signal, svg } from '../../lib.js';
import { baseEpoch } from '../../model/concepts.js';
import { bandPath, flowBetween, layoutFlow, neuronsOfFlow } from '../../model/flow.js';
import { counted, formatCount, formatShare, shorten } from '../../model/format.js';
import { explainMark } from '../explain.js';
import { baseChoice } from './base.js';
import { switchOf } from './switch.js';

/** @typedef {import('../../store.js').Store} Store */
/** @typedef {import('../../model/flow.js').Flow} Flow */
/** @typedef {import('../../model/flow.js').Node} Node */
/** @typedef {import('../../model/flow.js').Band} Band */
/** @typedef {{from?: number, to?: number}} Part a band (both), or a group at the earlier (from) or later (to) step */
/** @template T @typedef {import('../../lib.js').Signal<T>} Signal */

const LABEL_ROOM = 112;
const LABEL_LETTERS = 13;
const LABEL_GAP = 15;
const BAR = 8;
const TOP_ROOM = 24;
/** Room for the line from a group to its label, where the label had to move. */
const LEADER = 16;
const LEAST_HEIGHT = 240;
/** @type {[import('../../model/flow.js').FlowBy, string, string][]} */
const WAYS = [
  ['category', 'Categories', 'Bands between categories of concepts'],
  ['concept', 'Concepts', 'Bands between single concepts: the largest ten, and all others together'],
];

/** @param {HTMLElement} host @param {Store} store @param {Signal<boolean>} isShown */
export function mountFlow(host, store, isShown) {
  const bar = Object.assign(document.createElement('div'), { className: 'concepts-bar' });
  const told = Object.assign(document.createElement('p'), { className: 'flow-told' });
  const plot = Object.assign(document.createElement('div'), { className: 'flow-plot' });
  const numbers = Object.assign(document.createElement('details'), { className: 'flow-numbers' });
  host.replaceChildren(bar, told, plot, numbers);
  const size = signal({ width: 0, height: 0 });
  new ResizeObserver(() => { if (plot.clientHeight) size.value = { width: plot.clientWidth, height: Math.max(LEAST_HEIGHT, plot.clientHeight) }; }).observe(plot);

  const before = computed(() => baseEpoch(store.base.value, store.steps.value, store.epoch.value));
  const flow = computed(() => {
    const { layer: { value: layer }, spaceAt } = store.first.value;
    return isShown.value && layer ? flowBetween(layer, spaceAt.value, before.value, store.epoch.value, store.flowBy.value) : null;
  });
  const pointed = signal(/** @type {Part | null} */ (null));
  /** The one stop for the Tab key among the bands and groups. */
  const stop = signal('');
  effect(() => { void flow.value; pointed.value = null; });

  /** @param {Part} part @param {boolean} more */
  const choose = (part, more) => {
    const now = flow.peek();
    const { key, layer, spaceAt } = store.first.peek();
    const shown = layer.peek();
    if (!now || !shown) return;
    const keys = { from: part.from === undefined ? undefined : now.groups[part.from].key, to: part.to === undefined ? undefined : now.groups[part.to].key };
    store.select(key, neuronsOfFlow(shown, spaceAt.peek(), before.peek(), store.epoch.peek(), store.flowBy.peek(), keys), more ? 'add' : 'replace');
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const parts = [...plot.querySelectorAll('[data-part]')];
    const at = parts.indexOf(/** @type {Element} */ (event.target));
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: parts.length - 1 }[event.key];
    if (at < 0) return;
    if (to !== undefined) /** @type {SVGElement} */ (parts[Math.max(0, Math.min(parts.length - 1, to))]).focus();
    else if (event.key === 'Enter' || event.key === ' ') choose(fromName(parts[at].getAttribute('data-part') ?? ''), event.ctrlKey || event.metaKey || event.shiftKey);
    else return;
    event.preventDefault();
  };
  plot.addEventListener('keydown', onKey);
  plot.addEventListener('focusout', () => { pointed.value = null; });
  plot.addEventListener('pointerleave', () => { pointed.value = null; });

  /** What makes a shape of the picture a button. @param {Part} part */
  const handlers = (part) => ({
    name: nameOf(part),
    onClick: (/** @type {MouseEvent} */ event) => choose(part, event.ctrlKey || event.metaKey || event.shiftKey),
    onPoint: () => { pointed.value = part; },
    onFocus: () => { pointed.value = part; stop.value = nameOf(part); },
  });

  effect(() => { if (isShown.value) render(html`${switchOf('Flow between', WAYS, store.flowBy)}${baseChoice(store, 'from')}`, bar); });
  effect(() => {
    if (!isShown.value) return;
    const now = flow.value;
    const steps = store.steps.value;
    const [from, to] = [before.value, store.epoch.value].map((epoch) => formatCount(steps[epoch]));
    const part = pointed.value;
    render(part && now ? html`<b>${tellPart(now, part, from, to)}</b>` : html`<span class="mute">${tellFlow(now, from, to, before.value === store.epoch.value)}</span>${explainMark('flow')}`, told);
  });
  effect(() => {
    const now = flow.value;
    const { width, height } = size.value;
    if (!isShown.value) return;
    if (!now || !width) { render(nothing, plot); return; }
    const steps = store.steps.value;
    render(picture(now, { width, height }, [steps[before.value], steps[store.epoch.value]], pointed.value, stop.value, handlers), plot);
  });
  effect(() => {
    if (!isShown.value) return;
    const now = flow.value;
    const rows = now ? [...now.links].sort((a, b) => b.count - a.count) : [];
    render(html`<summary>The same as numbers</summary><div class="flow-list" tabindex="0" role="region" aria-label="Flow as a table"><table><thead><tr><th scope="col">from</th><th scope="col">to</th><th scope="col">neurons</th></tr></thead>
      <tbody>${rows.map(({ from, to, count }) => html`<tr><td>${now?.groups[from].label}</td><td>${now?.groups[to].label}</td><td>${formatCount(count)}</td></tr>`)}</tbody></table></div>`, numbers);
  });
}

/** @param {Part} part */
const nameOf = ({ from, to }) => `${from ?? ''}>${to ?? ''}`;
/** @param {string} name @returns {Part} */
function fromName(name) {
  const [from, to] = name.split('>').map((end) => (end === '' ? undefined : Number(end)));
  return { from, to };
}

/** @param {Flow} flow @param {Part} part @param {string} before @param {string} after */
function tellPart(flow, { from, to }, before, after) {
  const { groups, links, neurons } = flow;
  const tell = (/** @type {number} */ count, /** @type {string} */ what) => `${counted(count, 'neuron')} (${formatShare(count / neurons)}): ${what}`;
  if (from === undefined) return tell(flow.after[/** @type {number} */ (to)], `${groups[/** @type {number} */ (to)].label} at step ${after}`);
  if (to === undefined) return tell(flow.before[from], `${groups[from].label} at step ${before}`);
  const count = links.find((link) => link.from === from && link.to === to)?.count ?? 0;
  return tell(count, from === to ? `${groups[from].label}, as before` : `${groups[from].label} → ${groups[to].label}`);
}

/** @param {Flow | null} flow @param {string} from @param {string} to @param {boolean} same */
function tellFlow(flow, from, to, same) {
  if (!flow) return 'Loading the two steps…';
  if (same) return `Step ${from} is shown and compared with: move the time line to see what changed.`;
  const moved = flow.links.reduce((total, link) => total + (link.from === link.to ? 0 : link.count), 0);
  return `${formatCount(moved)} of ${counted(flow.neurons, 'neuron')} changed, step ${from} → ${to} `;
}

/**
 * @param {Flow} flow @param {{width: number, height: number}} size @param {number[]} steps @param {Part | null} pointed @param {string} stop
 * @param {(part: Part) => {name: string, onClick: (event: MouseEvent) => void, onPoint: () => void, onFocus: () => void}} handlers
 */
function picture(flow, { width, height }, steps, pointed, stop, handlers) {
  const { left, right, bands } = layoutFlow(flow, height - TOP_ROOM - 6, LABEL_GAP);
  const [x0, x1] = [LABEL_ROOM, width - LABEL_ROOM];
  const names = [...left.map(({ group }) => nameOf({ from: group })), ...bands.map(nameOf), ...right.map(({ group }) => nameOf({ to: group }))];
  const first = names.includes(stop) ? stop : names[0];
  const isLit = (/** @type {Band} */ { from, to }) => pointed !== null && (pointed.from === undefined || pointed.from === from) && (pointed.to === undefined || pointed.to === to);
  const button = (/** @type {Part} */ part, /** @type {string} */ label, /** @type {string} */ className, /** @type {unknown} */ shape) => {
    const { name, onClick, onPoint, onFocus } = handlers(part);
    return svg`<g class=${className} data-part=${name} role="button" tabindex=${name === first ? 0 : -1} aria-label="${label}. Select them." @click=${onClick} @pointerenter=${onPoint} @focus=${onFocus}>${shape}</g>`;
  };
  const [before, after] = steps.map(formatCount);
  const node = (/** @type {Node} */ { group, count, y, height: tall, labelY }, /** @type {'from' | 'to'} */ end) => {
    const { slot, label } = flow.groups[group];
    const x = end === 'from' ? x0 - BAR : x1;
    const out = end === 'from' ? -1 : 1;
    const edge = end === 'from' ? x0 - BAR : x1 + BAR;
    const text = edge + out * LEADER;
    return button({ [end]: group }, tellPart(flow, { [end]: group }, before, after), 'flow-node', svg`
      <rect class=${fillOf(slot)} x=${x} y=${y} width=${BAR} height=${tall} rx="1.5"/>
      <path class="flow-leader" d="M${edge + out * 2} ${y + tall / 2}L${text - out * 3} ${labelY}"/>
      <rect class="flow-reach" x=${end === 'from' ? 0 : x1} y=${labelY - LABEL_GAP / 2} width=${LABEL_ROOM} height=${LABEL_GAP}/>
      <text x=${text} y=${labelY} dy=".35em" text-anchor=${end === 'from' ? 'end' : 'start'}><title>${label}</title>${shorten(label, LABEL_LETTERS)} <tspan class="flow-count">${formatCount(count)}</tspan></text>`);
  };
  const shades = new Map(bands.map(({ from, to }) => [shadeOf(flow, from, to), [flow.groups[from].slot, flow.groups[to].slot]]));
  return html`<svg width=${width} height=${height} role="group" aria-label="Flow of neurons between step ${before} and step ${after}" data-own-keys>
    <defs>${[...shades].map(([id, slots]) => svg`<linearGradient id=${id}><stop offset="15%" style="stop-color:${colorOf(slots[0])}"/><stop offset="85%" style="stop-color:${colorOf(slots[1])}"/></linearGradient>`)}</defs>
    <text class="flow-step" x=${x0} y="11" text-anchor="end">step ${before}</text><text class="flow-step" x=${x1} y="11">step ${after}</text>
    <g transform="translate(0,${TOP_ROOM})">${left.map((one) => node(one, 'from'))}
    ${bands.map((band) => button(band, tellPart(flow, band, before, after), `flow-band ${isLit(band) ? 'lit' : pointed ? 'unlit' : ''} ${band.from === band.to ? 'same' : ''}`,
      svg`<path style="fill:url(#${shadeOf(flow, band.from, band.to)})" d=${bandPath(band, x0, x1)}/>`))}
    ${right.map((one) => node(one, 'to'))}</g></svg>`;
}

/** @param {Flow} flow @param {number} from @param {number} to */
const shadeOf = ({ groups }, from, to) => `flow-shade-${groups[from].slot + 1}-${groups[to].slot + 1}`;
/** @param {number} slot */
const colorOf = (slot) => (slot < 0 ? 'var(--none)' : `var(--slot-${slot})`);
/** @param {number} slot */
const fillOf = (slot) => (slot < 0 ? 'slot-none' : `slot-${slot}`);
