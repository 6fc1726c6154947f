// @ts-check
/** Line icons on an 18-pixel grid, and the round button that carries one. */
import { html, svg } from '../lib.js';
import { starPath } from '../model/geometry.js';

const SHAPES = {
  play: svg`<path d="M5.5 3.2v11.6l9.2-5.8z" fill="currentColor" stroke="none"/>`,
  pause: svg`<path d="M4.8 3.5h3v11h-3zM10.2 3.5h3v11h-3z" fill="currentColor" stroke="none"/>`,
  back: svg`<path d="M11.2 4.5 6.7 9l4.5 4.5"/>`,
  forward: svg`<path d="M6.8 4.500 11.300 9l-4.500 4.500"/>`,
  trail: svg`<path d="M2.500 14.200c4.200.4 4-5 6.800-5s2.600.6 3.900-2.200"/><circle cx="14.200" cy="4.600" r="2" fill="currentColor" stroke="none"/>`,
  label: svg`<path d="M3.500 5V3.500h11V5M9 3.500v11M7 14.500h4"/>`,
  fit: svg`<path d="M3 6.500V3h3.500M15 6.500V3h-3.500M3 11.500V15h3.500M15 11.500V15h-3.500"/>`,
  plus: svg`<path d="M9 4v10M4 9h10"/>`,
  hand: svg`<path d="M9 2.500v13M2.500 9h13M7 4.500l2-2 2 2M7 13.500l2 2 2-2M4.500 7l-2 2 2 2M13.500 7l2 2-2 2"/>`,
  lasso: svg`<path d="M6.300 11.900c-2.300-.6-3.800-1.900-3.800-3.500C2.500 6 5.400 4 9 4s6.500 2 6.500 4.400-2.900 4.300-6.500 4.300q-.5 0-1-.1"/><path d="M8 12.400a1.400 1.400 0 1 1-1.700-.5M6.700 14.400c.4.900-.1 1.700-1.300 2"/>`,
  rectangle: svg`<path d="M3 6V4.500A1.500 1.500 0 0 1 4.500 3H6M12 3h1.500A1.500 1.500 0 0 1 15 4.500V6M15 12v1.500a1.500 1.500 0 0 1-1.500 1.500H12M6 15H4.500A1.500 1.500 0 0 1 3 13.500V12M8 3h2M8 15h2M3 8v2M15 8v2"/>`,
  contours: svg`<path d="M9 2.800c3.600-.4 6.300 2.300 6.200 5.600-.1 3.700-2.900 6.700-6.400 6.800-3.400.1-6-2.400-6-5.700C2.800 6.100 5.300 3.200 9 2.800z"/><path d="M9.300 5.900c1.900-.2 3.200 1.100 3.100 2.800-.1 1.800-1.500 3.300-3.300 3.400-1.800 0-3.200-1.200-3.200-2.900 0-1.600 1.400-3 3.400-3.300z"/>`,
  options: svg`<path d="M3 5.500h5.500M12.500 5.500H15M3 12.500h2.500M9.500 12.500H15"/><circle cx="10.500" cy="5.500" r="2"/><circle cx="7.500" cy="12.500" r="2"/>`,
  minus: svg`<path d="M4 9h10"/>`,
  split: svg`<rect x="2.500" y="3.500" width="13" height="11" rx="1.500"/><path d="M9 3.500v11"/>`,
  close: svg`<path d="m4.800 4.800 8.400 8.400M13.200 4.800l-8.400 8.400"/>`,
  info: svg`<circle cx="9" cy="9" r="6.200"/><path d="M9 8.400v3.800M9 5.700v.4"/>`,
  warn: svg`<path d="M9 3 2.600 14.400h12.800zM9 7.200v3.600M9 12.400v.3"/>`,
  copy: svg`<rect x="6.500" y="6.500" width="8.500" height="8.500" rx="1.500"/><path d="M11.500 6.500v-2A1.500 1.500 0 0 0 10 3H4.500A1.500 1.500 0 0 0 3 4.500V10a1.500 1.500 0 0 0 1.500 1.500h2"/>`,
  search: svg`<circle cx="8" cy="8" r="4.600"/><path d="m11.500 11.500 3.500 3.500"/>`,
  help: svg`<path d="M6.700 6.900a2.400 2.400 0 1 1 3.600 2.100c-.9.5-1.300.9-1.300 1.900M9 13.300v.2"/>`,
  undo: svg`<path d="M6.500 3.500 3 7l3.500 3.500M3.200 7h7.300a4.200 4.200 0 0 1 0 8.400H8"/>`,
  overlay: svg`<circle cx="7" cy="9" r="4.300"/><circle cx="11" cy="9" r="4.300"/>`,
  check: svg`<path d="m4 9.500 3.500 3.500L14 5.500"/>`,
  pin: svg`<path d="M6.300 3h5.400l-.700 4.600 2.500 2.900h-9l2.500-2.900zM9 10.500v4.700"/>`,
  share: svg`<path d="M9 11V2.800M5.800 5.600 9 2.500l3.200 3.100M5.500 8H3.800v6.500h10.400V8h-1.700"/>`,
  loop: svg`<path d="M4 8.500V7.300A2.800 2.800 0 0 1 6.800 4.500h7M11.500 2l2.500 2.500L11.500 7M14 9.500v1.200a2.800 2.800 0 0 1-2.800 2.800h-7M6.500 16 4 13.500 6.500 11"/>`,
  size: svg`<circle cx="4.500" cy="12.500" r="1.500"/><circle cx="11.500" cy="8" r="4.200"/>`,
  layers: svg`<path d="m9 2.800 6.500 3.500L9 9.800 2.500 6.300zM2.500 9.300 9 12.800l6.500-3.500M2.500 12.300 9 15.800l6.500-3.500"/>`,
  chevron: svg`<path d="m5 7 4 4 4-4"/>`,
};
const STAR = starPath(8);

/** @param {keyof typeof SHAPES} name */
export const icon = (name) => html`<svg class="icon" viewBox="0 0 18 18" aria-hidden="true">${SHAPES[name]}</svg>`;
/** @param {number} size */
export const star = (size) => html`<svg class="star" width=${size} height=${size} viewBox="-9 -9 18 18" aria-hidden="true"><path d=${STAR}/></svg>`;

/** @param {{name: keyof typeof SHAPES, label: string, onClick: () => void, pressed?: boolean, title?: string}} options title: more than the name */
export const iconButton = ({ name, label, onClick, pressed, title = label }) => html`<button type="button" class="icon-button" title=${title} aria-label=${label}
  aria-pressed=${pressed === undefined ? 'undefined' : String(pressed)} @click=${onClick}>${icon(name)}</button>`;
