// @ts-check
/** The line and colour by which a shown run or layer is known everywhere: the same as its curves in the charts. */
import { html, svg } from '../lib.js';

/** @param {number} source place among those shown, -1 for none @param {number} [width] */
export const sourceMark = (source, width = 18) => html`<svg class="source-line" width=${width} height="8" viewBox="0 0 ${width} 8" aria-hidden="true">
  ${source < 0 ? '' : svg`<path d="M1 4H${width - 1}" style="stroke:var(--source-${source});stroke-dasharray:var(--dash-${source})"/>`}</svg>`;
