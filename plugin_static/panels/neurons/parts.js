// @ts-check
/** What every view of a neuron is made of: its images with the activating patch, its concepts as bars, its mark. */
import { html, nothing, signal } from '../../lib.js';
import { formatNumber } from '../../model/format.js';
import { hasRefused, patchStyle, tileFill } from '../../model/images.js';

/** @typedef {import('../../model/neurons.js').TopImage} TopImage */
/** @typedef {import('../../model/neurons.js').Concept} Concept */
/** @typedef {import('../../model/neurons.js').Label} Label */
/** @typedef {Map<number, import('../../model/images.js').Tile>} Tiles */
/** @typedef {'loading' | 'ready' | 'broken'} PageState */

/** A page that could not be had is asked for again after this long. */
const RETRY_MS = 30000;

/** Atlas pages by address. A background image tells nobody that it is broken; an image of its own does. @type {Map<string, {state: import('../../lib.js').Signal<PageState>, image: HTMLImageElement, since: number}>} */
const pages = new Map();

/** Whether an atlas page is there; the first question fetches it. Call inside an effect. @param {string} url @returns {PageState} */
export function pageState(url) {
  let page = pages.get(url);
  if (!page || (page.state.peek() === 'broken' && performance.now() - page.since > RETRY_MS)) {
    const state = signal(/** @type {PageState} */ ('loading'));
    const image = new Image();
    page = { state, image, since: performance.now() };
    pages.set(url, page);
    image.onload = () => { state.value = 'ready'; };
    image.onerror = () => { state.value = 'broken'; };
    image.src = url;
  }
  return page.state.value;
}

/**
 * One thumbnail; its size comes from the style sheet. What cannot be shown is marked, not left blank.
 * @param {Tiles} tiles @param {TopImage} image @param {number} rank from 0 @param {(step: number) => string} pageOf address of an atlas page
 */
export function thumb(tiles, { id, patch }, rank, pageOf) {
  const tile = tiles.get(id);
  const url = tile ? pageOf(tile.step) : '';
  const state = tile ? pageState(url) : 'broken';
  const name = `probe image ${id}, rank ${rank + 1}`;
  if (state === 'loading') return html`<span class="thumb pending" role="img" aria-label="${name}: loading"></span>`;
  if (!tile || state === 'broken') {
    const why = tile ? `${name}: its page could not be loaded` : `${name}: ${hasRefused(tiles) ? 'its page cannot be shown' : 'not in the log'}`;
    return html`<span class="thumb missing" role="img" aria-label=${why} title=${why}>?</span>`;
  }
  return html`<span class="thumb" role="img" aria-label="${name}${patch ? ', what activates the neuron is outlined' : ''}" title="probe image ${id}${patch ? ': outlined is what activates the neuron' : ''}" style=${tileFill(tile, url)}>
    ${patch ? html`<span class="patch" style=${patchStyle(patch)}></span>` : nothing}</span>`;
}

/** Thumbnails side by side, nothing where the log has no images at all. @param {Tiles} tiles @param {TopImage[]} images @param {(step: number) => string} pageOf */
export function thumbnails(tiles, images, pageOf) {
  if (!tiles.size || !images.length) return nothing;
  return html`<div class="thumbs">${images.map((image, rank) => thumb(tiles, image, rank, pageOf))}</div>`;
}

/** Bars of the top concepts, with the threshold marked. @param {Concept[]} concepts best first @param {number | null | undefined} threshold @param {boolean} [more] whether further ones are still on their way */
export function conceptBars(concepts, threshold, more = false) {
  const largest = Math.max(1e-9, threshold ?? 0, ...concepts.map(({ similarity }) => similarity || 0));
  const mark = threshold ? Math.max(0, Math.min(100, (threshold / largest) * 100)) : null;
  return html`<div class="bars"><div role="list" aria-label="Top concepts">${concepts.map(({ word, slot, similarity }) => html`
    <div class="bar-row" role="listitem"><span class="bar-word" title=${word}>${word}</span>
      <span class="bar-track"><span class="bar slot-${slot < 0 ? 10 : slot}" style="width:${Math.max(0, ((similarity || 0) / largest) * 100).toFixed(1)}%"></span>
        ${mark === null ? nothing : html`<span class="bar-mark" title="threshold ${formatNumber(threshold)}" style="left:${mark.toFixed(1)}%"></span>`}</span>
      <span class="bar-value">${formatNumber(similarity)}</span></div>`)}</div>${more ? html`<p class="bars-more mute">…</p>` : nothing}</div>`;
}

/** What a neuron without a place is called. @param {Label} label */
export const unplacedText = (label) => (label.unknown ? 'no known stimulus' : 'no signal');
/** Why it has none. @param {Label} label */
export const unplacedHint = (label) => (label.unknown ? 'The semantic space knows none of the images that excite it most at this step: no place on the map, no concept.' : 'Dead or constant over the probe images at this step: nothing activates it.');
/** What a neuron is called where it has no clear concept, or no place. @param {Label | null} label */
export const labelText = (label) => (!label ? '…' : !label.valid ? unplacedText(label) : label.interpretable ? label.word : 'no clear concept');
/** Class of the dot before it. @param {Label | null} label */
export const labelDot = (label) => (label?.interpretable ? `slot-${label.slot}` : 'slot-none');

/** In the place of thumbnails that are on their way, so that nothing jumps when they come. @param {Tiles} tiles @param {number} count */
export const waitingThumbnails = (tiles, count) => (tiles.size ? html`<div class="thumbs">${Array.from({ length: count }, () => html`<span class="thumb pending"></span>`)}</div>` : nothing);
