// @ts-check
/** The card beside a neuron under the pointer: what it detects, how surely, and the images that move it most. */
import { effect, html, nothing, render } from '../lib.js';
import { conceptOf, isInterpretable, isValid, similarityOf, topConcepts, topImages } from '../model/layer.js';
import { categoryOf, wordOf } from '../model/space.js';
import { formatNumber } from '../model/format.js';
import { tileStyle } from '../model/images.js';
import { keyOf } from '../source.js';

const WIDTH = 236;

/**
 * Thumbnails of a neuron's most activating images, nothing where the log has none.
 * @param {import('../store.js').RunData} data @param {number[]} ids @param {number} size px
 * @param {(step: number) => string} pageOf address of an atlas page
 */
export function thumbnails(data, ids, size, pageOf) {
  const shown = ids.flatMap((id) => { const tile = data.tiles.get(id); return tile ? [{ id, tile }] : []; });
  if (!shown.length) return nothing;
  return html`<div class="thumbs">${shown.map(({ id, tile }, rank) =>
    html`<span class="thumb" role="img" aria-label="probe image ${id}, rank ${rank + 1}" title="probe image ${id}" style=${tileStyle(tile, pageOf(tile.step), size)}></span>`)}</div>`;
}

/** Bars of the top concepts. @param {import('../model/space.js').Space} space @param {{concept: number, similarity: number}[]} top @param {number | null | undefined} threshold */
export function conceptBars(space, top, threshold) {
  const largest = Math.max(1e-9, threshold ?? 0, ...top.map(({ similarity }) => similarity));
  const mark = threshold ? Math.max(0, Math.min(100, (threshold / largest) * 100)) : null;
  return html`<div class="bars" role="list" aria-label="Top concepts">${top.map(({ concept, similarity }) => html`
    <div class="bar-row" role="listitem"><span class="bar-word" title=${wordOf(space, concept)}>${wordOf(space, concept)}</span>
      <span class="bar-track"><span class="bar slot-${categoryOf(space, concept)?.slot ?? 10}" style="width:${Math.max(0, (similarity / largest) * 100).toFixed(1)}%"></span>
        ${mark === null ? nothing : html`<span class="bar-mark" style="left:${mark.toFixed(1)}%"></span>`}</span>
      <span class="bar-value">${formatNumber(similarity)}</span></div>`)}</div>`;
}

/**
 * @param {HTMLElement} card @param {import('../store.js').Store} store @param {import('./maps.js').Maps} maps
 * @param {import('../api.js').Api} api
 */
export function mountHoverCard(card, store, maps, api) {
  effect(() => {
    const hovered = store.hovered.value;
    const source = hovered ? store.sourceOf(keyOf(hovered)) : undefined;
    const layer = source?.layer.value;
    const at = source?.epoch.value ?? 0;
    const space = source?.space.value;
    void source?.cursor.value;
    const found = hovered ? maps.find(hovered) : null;
    card.hidden = !hovered || !source || !layer || !space || !found || hovered.neuron >= layer.neurons;
    if (!hovered || !source || !layer || !space || !found || hovered.neuron >= layer.neurons) return;
    const { neuron } = hovered;
    const named = isInterpretable(layer, at, neuron);
    const category = named ? categoryOf(space, conceptOf(layer, at, neuron)) : null;
    const threshold = layer.cut ?? source.metricsNow.value?.threshold;
    render(html`
      <div class="card-head"><b>neuron ${neuron}</b><span class="mute">${layer.name} · step ${layer.steps[at]}</span></div>
      ${isValid(layer, at, neuron)
        ? html`<div class="card-concept"><i class="dot slot-${category?.slot ?? 'none'}"></i><b>${named ? wordOf(space, conceptOf(layer, at, neuron)) : 'no clear concept'}</b>
            <span class="mute">${category?.label ?? `nearest: ${wordOf(space, conceptOf(layer, at, neuron))}`}</span><span class="card-value">${formatNumber(similarityOf(layer, at, neuron))}</span></div>
          ${thumbnails(source.data.value, topImages(layer, at, neuron).slice(0, 8), 51, (step) => api.imagePage(hovered.run, step))}
          ${conceptBars(space, topConcepts(layer, at, neuron).slice(0, 4), threshold)}
          <div class="card-foot">${threshold ? html`<p><i class="threshold-mark"></i>threshold ${formatNumber(threshold)}</p>` : nothing}Click: history · Shift-click: track</div>`
        : html`<div class="card-foot">Dead or constant over the probe images at this step.</div>`}`, card);
    const [x, y] = found.pixel;
    const well = /** @type {HTMLElement} */ (card.parentElement);
    const left = found.map.frame.offsetLeft + x;
    const side = left + 18 + WIDTH > well.clientWidth - 8 ? left - 18 - WIDTH : left + 18;
    const top = Math.max(8, Math.min(well.clientHeight - card.offsetHeight - 8, found.map.frame.offsetTop + y - 60));
    card.style.transform = `translate(${Math.round(Math.max(8, side))}px, ${Math.round(top)}px)`;
  });
}
