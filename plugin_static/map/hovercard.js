// @ts-check
/** The card beside a neuron under the pointer: what it detects, how surely, and the images that move it most. */
import { computed, effect, html, nothing, render } from '../lib.js';
import { formatCount, formatNumber } from '../model/format.js';
import { besidePoint, detailFromLayer, labelFromFrame } from '../model/neurons.js';
import { conceptBars, labelDot, thumbnails, unplacedHint, waitingThumbnails } from '../panels/neurons/parts.js';
import { keyOf } from '../source.js';

const WIDTH = 236;
const IMAGES = 8;
const CONCEPTS = 4;

/**
 * @param {HTMLElement} card @param {import('../store.js').Store} store @param {import('./maps.js').Maps} maps
 * @param {import('../api.js').Api} api
 */
export function mountHoverCard(card, store, maps, api) {
  const shown = computed(() => {
    const ref = store.hovered.value;
    const source = ref ? store.sourceOf(keyOf(ref)) : undefined;
    const layer = source?.layer.value;
    if (!ref || !source || !layer) return null;
    const space = source.space.value;
    const at = source.epoch.value;
    const label = labelFromFrame(layer, space, at, ref.neuron);
    // While time runs details are there for some steps and not for others: none is calmer than a flicker.
    return label && { ref, source, layer, at, label, detail: store.playing.value ? null : detailFromLayer(layer, space, at, ref.neuron) };
  });
  effect(() => { if (shown.value) render(content(store, api, shown.value), card); });
  // Its place changes at every frame while playing or moving the map, its content only from step to step.
  effect(() => {
    const found = shown.value && maps.find(shown.value.ref);
    void shown.value?.source.cursor.value;
    card.hidden = !found || !Number.isFinite(found.pixel[0]);
    if (!found || card.hidden) return;
    const well = /** @type {HTMLElement} */ (card.parentElement);
    const point = { x: found.map.frame.offsetLeft + found.pixel[0], y: found.map.frame.offsetTop + found.pixel[1] };
    const { left, top } = besidePoint(point, { width: WIDTH, height: card.offsetHeight }, { width: well.clientWidth, height: well.clientHeight });
    card.style.transform = `translate(${left}px, ${top}px)`;
  });
}

/**
 * @param {import('../store.js').Store} store @param {import('../api.js').Api} api
 * @param {{ref: import('../source.js').NeuronRef, source: import('../source.js').Source, layer: import('../model/layer.js').Layer, at: number, label: import('../model/neurons.js').Label, detail: import('../model/neurons.js').Detail | null}} shown
 */
function content(store, api, { ref, source, layer, at, label, detail }) {
  const threshold = layer.cut ?? source.metricsNow.value?.threshold;
  const several = store.sources.value.length > 1;
  const { tiles } = source.data.value;
  return html`
    <div class="card-head"><b>neuron ${ref.neuron}</b><span class="mute">${several ? '' : `${layer.name} · `}step ${formatCount(layer.steps[at])}</span></div>
    ${several ? html`<div class="card-source mute"><i class="source-mark source-${store.sources.value.indexOf(source)}"></i><span>${layer.name} · ${source.run}</span></div>` : nothing}
    ${label.valid
      ? html`<div class="card-concept"><i class="dot ${labelDot(label)}"></i><b>${label.interpretable ? label.word : 'no clear concept'}</b>
          <span class="mute">${label.interpretable ? label.category : `nearest: ${label.word}`}</span><span class="card-value">${formatNumber(label.similarity)}</span></div>
        ${detail ? thumbnails(tiles, detail.images.slice(0, IMAGES), (step) => api.imagePage(ref.run, step)) : waitingThumbnails(tiles, IMAGES)}
        ${conceptBars(detail ? detail.concepts.slice(0, CONCEPTS) : label.word ? [label] : [], threshold, !detail)}
        <div class="card-foot">${threshold ? html`<p><i class="threshold-mark"></i>threshold ${formatNumber(threshold)}</p>` : nothing}Click: open · Shift-click: track</div>`
      : html`<div class="card-foot">${unplacedHint(label)}</div>`}`;
}
