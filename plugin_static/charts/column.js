// @ts-check
/** The column of charts on one axis, with one cursor through all of them. */
import { computed, effect, html, render, scaleLinear, signal, svg, untracked } from '../lib.js';
import { formatCount } from '../model/format.js';
import { indexOfPlace } from '../model/axis.js';
import { labelledIndices } from '../model/steps.js';
import { MARGIN } from './frame.js';
import { anchorChart, interpretableChart, scalarChart } from './charts.js';

const AXIS = 18;
const GAP = 8;

/**
 * @param {HTMLElement} host @param {import('../store.js').Store} store @param {import('../player.js').Player} player
 * @returns {{x: () => (step: number) => number}} the axis, for what lies below in the same column
 */
export function mountCharts(host, store, player) {
  const size = signal({ width: 0, height: 0 });
  new ResizeObserver(() => {
    const column = /** @type {HTMLElement} */ (host.parentElement);
    if (host.clientWidth && column.clientHeight) size.value = { width: host.clientWidth, height: column.clientHeight };
  }).observe(/** @type {HTMLElement} */ (host.parentElement));
  const domain = computed(() => {
    const ends = store.sources.value.flatMap(({ places }) => (places.value.length ? [places.value[0], places.value[places.value.length - 1]] : []));
    return ends.length ? [Math.min(...ends), Math.max(...ends)] : [0, 1];
  });
  const x = computed(() => {
    const [low, high] = domain.value;
    return scaleLinear([low, high > low ? high : low + 1], [MARGIN.left, size.value.width - MARGIN.right]);
  });

  const stack = document.createElement('div');
  stack.className = 'chart-stack';
  const cursor = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  cursor.setAttribute('class', 'cursor');
  cursor.setAttribute('aria-hidden', 'true');
  host.replaceChildren(stack, cursor);

  /** Heights follow the room: two scalar charts where the column is tall. */
  const plan = computed(() => {
    const room = size.value.height;
    const budget = Math.max(290, Math.min(600, room - 250)) - AXIS;
    const scalars = scalarChart.count(store) > 1 && budget > 420 ? 2 : 1;
    const unit = (budget - GAP * (scalars + 1)) / (scalars + 1 + 1.75);
    return { scalars, small: Math.round(unit), large: Math.round(unit * 1.75) };
  });

  effect(() => {
    const { width } = size.value;
    if (!width) return;
    const { scalars, small, large } = plan.value;
    const axis = x.value;
    const charts = [
      ...Array.from({ length: scalars }, (_, i) => scalarChart(store, axis, width, small, i)),
      anchorChart(store, axis, width, small),
      interpretableChart(store, axis, width, large),
    ];
    const { steps, places } = store.first.value;
    const marks = labelledIndices(steps.value, 6);
    render(html`${charts}<svg class="axis" width=${width} height=${AXIS} aria-hidden="true">${marks.map((index, i) => svg`
      <text class="tick" x=${axis(places.value[index])} y="12" text-anchor="middle">${i === 0 ? svg`<tspan class="axis-name">step </tspan>` : ''}${formatCount(steps.value[index])}</text>`)}</svg>`, stack);
  });
  effect(() => {
    const { scalars, small, large } = plan.value;
    const heights = [...Array.from({ length: scalars + 1 }, () => small), large];
    const at = Math.round(x.value(store.first.value.placeNow.value || 0)) + 0.5;
    const ghost = ghostPlace.value === null ? null : x.value(ghostPlace.value);
    let top = 0;
    const spans = heights.map((height) => { const span = [top + MARGIN.top, top + height - MARGIN.bottom]; top += height + GAP; return span; });
    render(store.steps.value.length ? svg`
      ${ghost === null ? '' : spans.map(([a, b]) => svg`<line class="ghost-line" x1=${ghost} x2=${ghost} y1=${a} y2=${b}/>`)}
      ${spans.map(([a, b], i) => svg`${i === spans.length - 1 ? svg`<line class="now-under" x1=${at} x2=${at} y1=${a} y2=${b}/>` : ''}<line class="now" x1=${at} x2=${at} y1=${a} y2=${b}/>`)}` : svg``, /** @type {any} */ (cursor));
  });

  const indexUnder = (/** @type {PointerEvent} */ event) => untracked(() => indexOfPlace(store.first.value.places.value, x.value.invert(event.clientX - host.getBoundingClientRect().left)));
  let dragging = false;
  let moved = false;
  host.addEventListener('pointerdown', (event) => {
    if (/** @type {Element} */ (event.target).closest('select, button, .chart-title')) return;
    dragging = true;
    moved = false;
    host.setPointerCapture(event.pointerId);
    player.jump(Math.round(indexUnder(event)));
  });
  host.addEventListener('pointermove', (event) => {
    const index = indexUnder(event);
    const places = store.first.peek().places.peek();
    if (dragging) {
      moved = true;
      player.scrub(index);
    }
    ghostPlace.value = places.length ? places[Math.round(index)] : null;
  });
  host.addEventListener('pointerup', () => {
    if (dragging && moved) player.jump(Math.round(store.cursor.peek()));
    dragging = false;
  });
  host.addEventListener('pointerleave', () => { ghostPlace.value = null; });
  return { x: () => x.value };
}

const ghostPlace = signal(/** @type {number | null} */ (null));
