// @ts-check
/** One row of the ranking: how much the change matters, and the neuron before and after. */
import { html, nothing } from '../../lib.js';
import { isChanged, signed } from '../../model/evolutions.js';
import { counted, formatCount } from '../../model/format.js';
import { labelDot, labelText, thumb } from '../neurons/parts.js';

/** @typedef {import('../../model/evolutions.js').Moment} Moment */
/** @typedef {{tiles: import('../neurons/parts.js').Tiles, pageOf: (step: number) => string, most: number}} Look most: images side by side */

/**
 * @param {import('../../model/evolutions.js').RankingAnswer} ranking @param {number} row @param {{before: Moment | null, after: Moment | null}} moments @param {Look} look
 * @returns {{title: string, className: string, cells: unknown}}
 */
export function evolutionRow({ class: name, images, evolutions }, row, { before, after }, look) {
  const { rank, layer, neuron, score, positive, sensitivity } = evolutions[row];
  const word = (/** @type {Moment | null} */ moment) => (moment ? labelText(moment.label) : 'not logged');
  const percent = (100 * Math.max(0, Math.min(1, score))).toFixed(1);
  return {
    title: `Rank ${formatCount(rank)}: neuron ${neuron} of ${layer}, from “${word(before)}” to “${word(after)}”. The change raises the network’s answer “${name}” for ${formatCount(positive)} of ${counted(images, 'image')}, by ${signed(sensitivity)} on average. Click to show the neuron.`,
    className: 'evolution',
    cells: html`<span role="gridcell" class="grid-cell number mute">${formatCount(rank)}</span>
      <span role="gridcell" class="grid-cell evolution-neuron"><span class="evolution-name"><span class="mute">${layer}</span> <b>${neuron}</b></span>
        <span class="evolution-score"><span class="bar-track"><i class="bar" style="width:${percent}%"></i><i class="bar-mark" style="left:50%"></i></span><span class="bar-value">${score.toFixed(2)}</span></span>
        <span class="evolution-sensitivity mute">mean ${signed(sensitivity)}</span></span>
      ${momentCell(before, false, look)}<span role="gridcell" class="grid-cell mute evolution-arrow" aria-label="becomes">→</span>${momentCell(after, isChanged(before, after), look)}`,
  };
}

/** The neuron at one of the two steps: its word and its most activating images. @param {Moment | null} moment @param {boolean} isNew whether the word is a new one @param {Look} look */
function momentCell(moment, isNew, { tiles, pageOf, most }) {
  if (!moment) return html`<span role="gridcell" class="grid-cell evolution-moment"><span class="evolution-word mute">not in the log</span></span>`;
  const { label, images } = moment;
  const tone = label.interpretable ? (isNew ? 'strong' : '') : 'mute';
  return html`<span role="gridcell" class="grid-cell evolution-moment"><span class="evolution-word ${tone}"><i class="dot ${labelDot(label)}"></i><span>${labelText(label)}</span></span>
    ${tiles.size && images.length ? html`<span class="evolution-images" style="--shown:${most}">${images.slice(0, most).map((image, rank) => thumb(tiles, image, rank, pageOf))}</span>` : nothing}</span>`;
}
