// @ts-check
/** A neuron's life in pictures: a barcode of its labels over all steps, and its most activating images at some. */
import { html, nothing, svg } from '../../lib.js';
import { formatCount } from '../../model/format.js';
import { stretchesOf } from '../../model/neurons.js';
import { labelDot, labelText, thumb, unplacedText } from './parts.js';

/** @typedef {import('../../model/neurons.js').Label} Label */
/** @typedef {import('./sight.js').Sight} Sight */

/** The barcode's own units: it is stretched to the width of the card. */
const UNITS = 1000;
const HEIGHT = 12;
export const FILM_IMAGES = 3;

/**
 * Thick in a category's colour where the neuron had a concept, a thin line where it had none.
 * @param {Sight} sight @param {[number, number]} domain of the axis
 */
export function barcode({ life, places, steps }, [low, high]) {
  const at = places.value;
  const x = (/** @type {number} */ place) => (UNITS * (place - low)) / (high - low || 1);
  const edge = (/** @type {number} */ index) => x(index <= 0 ? at[0] : index >= at.length ? at[at.length - 1] : (at[index - 1] + at[index]) / 2);
  return svg`<svg class="barcode" width="100%" height=${HEIGHT} viewBox="0 0 ${UNITS} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">${stretchesOf(life.value).map(({ from, to, word, slot }) => {
    // A run of one step has no width on the axis: it fills the strip.
    const left = at.length === 1 ? 0 : edge(from);
    const width = at.length === 1 ? UNITS : Math.max(2, edge(to + 1) - left);
    const when = `step ${formatCount(steps.value[from])}${to > from ? ` to ${formatCount(steps.value[to])}` : ''}`;
    return word
      ? svg`<rect class="slot-${slot}" x=${left} width=${width} y="0" height=${HEIGHT}><title>${word}, ${when}</title></rect>${from > 0 ? svg`<rect class="barcode-cut" x=${left} width="3" y="0" height=${HEIGHT}/>` : nothing}`
      : svg`<rect class="gap" x=${left} width=${width} y=${HEIGHT / 2 - 0.75} height="1.5"><title>no clear concept, ${when}</title></rect>`;
  })}</svg>`;
}

/**
 * Columns of steps with images each and the label below.
 * @param {Sight} sight @param {number[]} columns indices of steps @param {(index: number) => void} onSeek @param {(step: number) => string} pageOf
 */
export function film(sight, columns, onSeek, pageOf) {
  const tiles = sight.data.value.tiles;
  const at = sight.epoch.value;
  const current = columns.reduce((best, index) => (Math.abs(index - at) < Math.abs(best - at) ? index : best), columns[0] ?? 0);
  return html`<div class="film" role="group" aria-label="Most activating images by step" data-own-keys @keydown=${moveFocus}>${columns.map((index) => {
    const step = formatCount(sight.steps.value[index]);
    const label = sight.life.value[index];
    const detail = sight.detailAt(index);
    return html`<button type="button" class="film-step" tabindex=${index === current ? 0 : -1} aria-current=${index === at ? 'step' : 'false'} data-step=${sight.steps.value[index]}
      title="step ${step}: ${labelText(label)}. Click to go there." aria-label="Go to step ${step}: ${labelText(label)}${label?.interpretable ? ` (${label.category})` : ''}" @click=${() => onSeek(index)}>
      ${tiles.size ? html`<span class="film-images">${pictures(sight, detail, label, tiles, pageOf)}</span>` : nothing}
      <span class="film-number">${step}</span>
      <span class="film-word ${label?.interpretable ? '' : 'mute'}"><i class="dot ${labelDot(label)}"></i><span>${label && !label.interpretable ? '–' : labelText(label)}</span></span></button>`;
  })}</div>`;
}

/** @param {Sight} sight @param {import('../../model/neurons.js').Detail | null} detail @param {Label | null} label @param {import('./parts.js').Tiles} tiles @param {(step: number) => string} pageOf */
function pictures(sight, detail, label, tiles, pageOf) {
  if (label && !label.valid && !label.unknown) return html`<span class="film-none">${unplacedText(label)}</span>`;
  if (!detail && sight.record.problem.value) return Array.from({ length: FILM_IMAGES }, () => html`<span class="thumb missing" role="img" aria-label="could not be loaded">?</span>`);
  if (!detail) return Array.from({ length: FILM_IMAGES }, () => html`<span class="thumb pending"></span>`);
  return detail.images.slice(0, FILM_IMAGES).map((image, rank) => thumb(tiles, image, rank, pageOf));
}

/** The arrows move along the strip, Enter goes to the step. @param {KeyboardEvent} event */
function moveFocus(event) {
  const buttons = [.../** @type {HTMLElement} */ (event.currentTarget).querySelectorAll('button')];
  const now = buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
  const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || now < 0) return;
  event.preventDefault();
  buttons[Math.max(0, Math.min(buttons.length - 1, to))].focus();
}
