// @ts-check
/** The threshold slider at the foot of the map: from which similarity on a neuron counts as interpretable. */
import { computed, effect, html, nothing, render, svg } from '../lib.js';
import { calm } from '../map/calm.js';
import { formatCount } from '../model/format.js';
import { countAbove, originOf, similarityHistogram, thresholdScale } from '../model/threshold.js';
import { explain, explainMark } from './explain.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../model/threshold.js').Scale} Scale */

const BINS = 44;
const HEIGHT = 22;
/** Above this many neurons counting is work: it then follows time with pauses. */
const MANY = 20000;

/** @param {HTMLElement} host @param {Store} store */
export function mountThreshold(host, store) {
  const scale = computed(() => thresholdScale(
    store.sources.value.flatMap(({ layer }) => layer.value ?? []),
    store.sources.value.flatMap(({ metrics }) => metrics.value.map(({ threshold }) => threshold)),
  ));
  const counts = calm(() => {
    const { layer, epoch, metricsNow } = store.first.value;
    void [epoch.value, metricsNow.value, scale.value, store.threshold.value];
    return (layer.value?.neurons ?? 0) > MANY;
  }, () => {
    const { layer: { value: layer }, epoch, metricsNow } = store.first.value;
    const value = store.threshold.value ?? metricsNow.value?.threshold ?? null;
    return {
      bars: layer && scale.value ? similarityHistogram(layer, epoch.value, scale.value, BINS) : [],
      passing: layer && value !== null ? countAbove(layer, epoch.value, value) : null,
    };
  });
  const { set, cancel } = oncePerFrame(store);

  effect(() => {
    const now = scale.value;
    const { layer, metricsNow } = store.first.value;
    const { bars, passing } = counts.value;
    if (!now || !layer.value) { render(nothing, host); return; }
    const logged = metricsNow.value?.threshold ?? null;
    const value = store.threshold.value ?? logged;
    const moved = store.threshold.value !== null;
    const written = value === null ? '' : String(Number(value.toFixed(now.digits + 1)));
    const origin = originOf(metricsNow.value);
    const loggedText = logged === null ? 'the logged one' : String(Number(logged.toFixed(Math.max(2, now.digits))));
    const reset = () => { cancel(); store.threshold.value = null; };
    render(html`<span class="threshold-name">threshold ${explainMark('threshold')}</span>
      <div class="threshold-scale" style="--at:${place(now, value ?? now.low)}">
        ${histogram(now, bars, value)}
        ${store.sources.value.map((source, i) => mark(now, source.metricsNow.value?.threshold, i, originOf(source.metricsNow.value)))}
        <input type="range" data-own-keys aria-label="Threshold of similarity" title=${`${explain('threshold')} Now ${moved ? 'set by you' : origin}.`} min=${now.low} max=${now.high} step=${now.step} .value=${String(value ?? now.low)}
          aria-valuetext=${passing ? `${written}: ${passing.above} of ${passing.valid} neurons pass` : written} @input=${(/** @type {any} */ event) => set(Number(event.target.value))} @dblclick=${reset}></div>
      <input class="threshold-value" type="number" aria-label="Threshold as a number" title=${moved ? 'Your threshold' : `The logged threshold of this step (${origin})`} min=${now.low} max=${now.high} step=${now.step}
        .value=${written} @change=${(/** @type {any} */ event) => { const typed = event.target.valueAsNumber; cancel(); store.threshold.value = Number.isFinite(typed) ? typed : null; }}>
      ${passing ? html`<span class="threshold-count mute" title="Neurons whose best similarity is above the threshold, of those with a signal">${formatCount(passing.above)} of ${formatCount(passing.valid)} pass</span>` : nothing}
      ${moved ? html`<button type="button" class="text-button threshold-reset" title="Back to the logged threshold of each step (${origin})" @click=${reset}>reset<span class="threshold-origin"> to ${loggedText}</span></button>`
        : nothing}`, host);
    host.dataset.moved = String(moved);
  });
}

/** Sets the threshold at most once per frame drawn: a slider may send many values in between. @param {Store} store */
function oncePerFrame(store) {
  let frame = 0;
  let latest = 0;
  const set = (/** @type {number} */ value) => {
    latest = value;
    frame ||= requestAnimationFrame(() => { frame = 0; store.threshold.value = latest; });
  };
  const cancel = () => { cancelAnimationFrame(frame); frame = 0; };
  return { set, cancel };
}

/** Share of the way along the scale. @param {Scale} scale @param {number} value */
const place = ({ low, high }, value) => Math.max(0, Math.min(1, (value - low) / (high - low || 1)));

/** @param {Scale} scale @param {number[]} bars @param {number | null} value */
function histogram(scale, bars, value) {
  const highest = Math.max(1, ...bars);
  const width = (scale.high - scale.low) / bars.length;
  // The root keeps small counts visible beside a tall heap.
  return html`<svg class="threshold-bars" viewBox="0 0 ${BINS} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
    ${bars.map((count, i) => {
      const height = count ? Math.max(1.5, HEIGHT * Math.sqrt(count / highest)) : 0;
      return svg`<rect class=${value !== null && scale.low + (i + 0.5) * width > value ? 'above' : 'below'} x=${i + 0.06} width="0.88" y=${HEIGHT - height} height=${height}/>`;
    })}</svg>`;
}

/** The logged threshold of a source. @param {Scale} scale @param {number | null | undefined} value @param {number} source @param {string} origin */
const mark = (scale, value, source, origin) => (typeof value === 'number' && Number.isFinite(value)
  ? html`<i class="threshold-mark-logged" style="--at:${place(scale, value)};--line:var(--source-${source})" title="${Number(value.toPrecision(4))}: ${origin}"></i>` : nothing);
