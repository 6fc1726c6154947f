// @ts-check
/** The column of charts: sections that fold, on one axis with one cursor through all of them. */
import { computed, effect, html, nothing, render, scaleLinear, signal, untracked } from '../lib.js';
import { formatCount } from '../model/format.js';
import { indexOfPlace } from '../model/axis.js';
import { explainMark } from '../panels/explain.js';
import { icon } from '../panels/icons.js';
import { axisName, axisOf, axisTicks, formatPlace } from './ticks.js';
import { MARGIN } from './frame.js';
import { createInterpretable } from './interpretable.js';
import { createAnchorDistance, createMeasures } from './measures.js';
import { createScalars } from './scalars.js';
import { isPlaced, nameOfSource, sourceClass } from './series.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {{name: string, title: string, term?: import('../panels/explain.js').Term, note?: () => any, body: () => any}} Section */

/** Heights in px: of a section's head, a chart's title, the axis, the gap between sections, a row of the legend. */
const HEAD = 25;
const TITLE = 18;
const AXIS = 18;
const GAP = 5;
const LEGEND = 21;
/** What stays free for the tracked neurons below, and the space around all. */
const TRACKED = 196;
/** How high a plot may be, and how much higher that of the categories is. */
const PLOT = { least: 74, most: 130, measure: 80, tall: 1.75 };

/**
 * @param {HTMLElement} host @param {Store} store @param {import('../player.js').Player} player @param {import('../api.js').Api} api
 * @returns {{x: () => (step: number) => number}} the axis, for what lies below in the same column
 */
export function mountCharts(host, store, player, api) {
  const column = /** @type {HTMLElement} */ (host.parentElement);
  const size = signal({ width: 0, height: 0 });
  // What stands above the charts takes of their room.
  const measure = () => {
    const height = column.clientHeight - Math.max(0, host.offsetTop - column.offsetTop);
    if (host.clientWidth && column.clientHeight && (host.clientWidth !== size.peek().width || height !== size.peek().height)) size.value = { width: host.clientWidth, height };
  };
  const observer = new ResizeObserver(measure);
  for (const element of [column, ...column.children]) observer.observe(element);

  const domain = computed(() => {
    const ends = store.sources.value.filter((source) => isPlaced(store, source)).flatMap(({ places }) => (places.value.length ? [places.value[0], places.value[places.value.length - 1]] : []));
    return ends.length ? [Math.min(...ends), Math.max(...ends)] : [0, 1];
  });
  const x = computed(() => {
    const [low, high] = domain.value;
    return scaleLinear([low, high > low ? high : low + 1], [MARGIN.left, size.value.width - MARGIN.right]);
  });
  const axis = { x: () => x.value, width: () => size.value.width };
  const shape = computed(() => axisOf(store));
  const ghost = signal(/** @type {number | null} */ (null));

  const plan = computed(() => planHeights(size.value.height, store));
  const scalars = createScalars(store, axis, () => plan.value.small, () => plan.value.scalars);
  const distance = createAnchorDistance(store, axis, () => plan.value.small);
  const interpretable = createInterpretable(store, axis, () => plan.value.large, api);
  const measures = createMeasures(store, axis, () => PLOT.measure);

  /** @type {Section[]} */
  const sections = [
    { name: 'scalars', title: 'Scalars', term: 'scalar', note: () => html`<span class="grow"></span>${scalars.controls()}`, body: scalars.body },
    { name: 'distance', title: 'Anchor distance', term: 'd_anchor', note: () => html`<span class="chart-note">lower is more diverse${store.threshold.value === null ? '' : '; gated by the logged threshold'}</span>`, body: distance },
    { name: 'interpretable', title: 'Interpretable neurons', term: 'interpretable', note: interpretable.controls, body: interpretable.body },
    { name: 'measures', title: 'More measures', note: () => html`<span class="chart-note">pairwise distance, displacement, entropy</span>`, body: measures },
  ];

  effect(() => {
    if (!size.value.width || store.panel.value !== 'overview') return;
    // The axis stands below the last chart that has time on it.
    const afterTime = store.countView.value === 'layers' ? 'interpretable' : 'measures';
    render(html`${store.others.value.length ? legend(store) : nothing}
      ${sections.map((section) => html`${section.name === afterTime ? axisRow() : nothing}${sectionOf(store, section)}`)}
      ${store.folded.value.has('measures') ? nothing : axisRow()}
      <p class="visually-hidden" aria-live="polite" id="chart-reading"></p>`, host);
    placeCursors();
    // Whoever moves through time with a chart in focus hears its values.
    const focused = document.activeElement?.closest('.chart-plot');
    const reading = document.getElementById('chart-reading');
    if (reading && !store.playing.value) reading.textContent = focused?.getAttribute('aria-label') ?? '';
  });
  const axisRow = () => html`<div class="axis" aria-hidden="true">${axisTicks(shape.value, x.value, 46).map(({ at, text }) => html`<span class="axis-tick" style="left:${at}px">${text}</span>`)}
    <span class="axis-name" style="left:${size.value.width - MARGIN.right + 8}px" title=${axisName(shape.value.mode)}>${axisName(shape.value.mode)}</span><span class="ghost-label" hidden></span></div>`;

  /** The cursor moves at every frame while playing: its lines are moved without drawing anything anew. */
  const placeCursors = () => {
    const now = x.value(store.first.value.placeNow.value || 0);
    const at = ghost.value === null ? null : x.value(ghost.value);
    const isEmpty = store.steps.value.length === 0;
    for (const line of /** @type {NodeListOf<HTMLElement>} */ (host.querySelectorAll('.now'))) {
      line.hidden = isEmpty;
      line.style.transform = `translateX(${Math.round(now)}px)`;
    }
    for (const line of /** @type {NodeListOf<HTMLElement>} */ (host.querySelectorAll('.ghost-line'))) {
      line.hidden = at === null;
      if (at !== null) line.style.transform = `translateX(${Math.round(at)}px)`;
    }
    for (const label of /** @type {NodeListOf<HTMLElement>} */ (host.querySelectorAll('.ghost-label'))) {
      label.hidden = at === null;
      if (ghost.value === null || at === null) continue;
      label.style.left = `${at}px`;
      label.textContent = formatPlace(shape.value, ghost.value);
    }
  };
  effect(placeCursors);

  const indexUnder = (/** @type {PointerEvent} */ event) => untracked(() => indexOfPlace(store.first.value.places.value, x.value.invert(event.clientX - host.getBoundingClientRect().left)));
  const onPlot = (/** @type {Event} */ event) => /** @type {Element} */ (event.target).closest('.plot-frame:not(.still)') !== null;
  let dragging = false;
  let moved = false;
  host.addEventListener('pointerdown', (event) => {
    if (!onPlot(event) || event.button !== 0) return;
    dragging = true;
    moved = false;
    host.setPointerCapture(event.pointerId);
    player.jump(Math.round(indexUnder(event)));
  });
  host.addEventListener('pointermove', (event) => {
    if (!dragging && !onPlot(event)) { ghost.value = null; return; }
    const index = indexUnder(event);
    const places = store.first.peek().places.peek();
    if (dragging) {
      moved = true;
      player.scrub(index);
    }
    ghost.value = places.length ? places[Math.round(index)] : null;
  });
  host.addEventListener('pointerup', () => {
    if (dragging && moved) player.jump(Math.round(store.cursor.peek()));
    dragging = false;
  });
  host.addEventListener('pointerleave', () => { ghost.value = null; });
  return { x: () => x.value };

  /** Heights follow the room: the first three sections and the tracked neurons fit, and a second scalar where the column is tall. @param {number} room @param {Store} of */
  function planHeights(room, of) {
    const open = (/** @type {string} */ name) => !of.folded.value.has(name);
    const heights = (/** @type {number} */ count) => {
      const plots = (open('scalars') ? count : 0) + Number(open('distance')) + PLOT.tall * Number(open('interpretable'));
      const fixed = 4 * HEAD + 4 * GAP + AXIS + (open('scalars') ? count * TITLE : 0) + LEGEND * Math.ceil(of.others.value.length / 2) + TRACKED;
      return (room - fixed) / Math.max(1, plots);
    };
    const wanted = scalars.wanted();
    const count = of.scalarChoice.value || heights(wanted) >= PLOT.least ? wanted : 1;
    const unit = Math.round(Math.max(PLOT.least, Math.min(PLOT.most, heights(count))));
    return { scalars: count, small: unit, large: Math.round(unit * PLOT.tall) };
  }
}

/** @param {Store} store @param {Section} section */
function sectionOf(store, { name, title, term, note, body }) {
  const isOpen = !store.folded.value.has(name);
  const toggle = () => {
    const next = new Set(store.folded.peek());
    if (!next.delete(name)) next.add(name);
    store.folded.value = next;
  };
  return html`<section class="chart-section" data-section=${name} aria-label=${title}>
    <header class="section-head"><h3><button type="button" class="fold" aria-expanded=${String(isOpen)} title=${isOpen ? 'Fold away' : 'Show'} @click=${toggle}>${icon('chevron')}<span>${title}</span></button></h3>
      ${term ? explainMark(term) : nothing}${isOpen || name === 'measures' ? note?.() : nothing}</header>
    ${isOpen ? body() : nothing}</section>`;
}

/** Which line belongs to what is shown. @param {Store} store */
const legend = (store) => html`<ul class="chart-legend" aria-label="Lines">${store.sources.value.map((source, place) => html`<li title="${source.run}, ${source.name}">
  <svg width="18" height="8" aria-hidden="true"><path class="end-mark ${sourceClass(place)}" d="M1,4h16"/></svg><span>${nameOfSource(store, source)}</span>
  ${place ? html`<span class="mute" title="Its step at the same place of the axis">${source.steps.value.length ? isPlaced(store, source) ? `step ${formatCount(source.step.value)}` : 'has no such scalar' : ''}</span>` : nothing}</li>`)}</ul>`;
