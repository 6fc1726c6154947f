// @ts-check
/** The animation as one HTML file that opens from a disk: data, player and style within it, no request to anywhere. */
import { colorOf } from '../map/tint.js';
import { starPath } from '../model/geometry.js';
import { formatNumber } from '../model/format.js';
import { recordLayer } from '../model/record.js';
import { escapeXml, readable } from '../model/text.js';
import { hexOf } from './drawing.js';

/** @typedef {import('../model/record.js').LayerRecord} LayerRecord */
/** @typedef {{well: string, card: string, ink: string, ink2: string, ink3: string, rule: string, star: string, none: string, categories: string[], ramp: string[], codes: string[][]}} Look colours of a theme; codes: of each layer */
/**
 * @typedef {object} Animation what the player reads
 * @property {string} title
 * @property {string} note
 * @property {string[]} facts of each step of the first layer
 * @property {'light' | 'dark'} theme
 * @property {{light: Look, dark: Look}} looks
 * @property {[number, number, number, number]} box left, right, bottom, top of what is seen at first, map units
 * @property {LayerRecord[]} layers the first one leads
 * @property {{name: string, layers: number[]}[]} panes maps side by side
 * @property {number[][]} tracked neurons with a ring, of each layer
 * @property {boolean} trails
 * @property {{word: string, x: number, y: number}[]} anchors
 * @property {string[]} categories
 * @property {{told: string, low: string, high: string} | null} ramp
 * @property {string} other what else colour means, '' for categories and ramps
 * @property {string} star outline
 * @property {number} start index of the step shown at first
 * @property {number} speed
 * @property {number} stepsPerSecond at speed 1
 * @property {boolean} still no motion between steps
 */

/** @param {import('../source.js').Source} source with all frames @param {import('../model/space.js').Category[]} categories @returns {LayerRecord} */
export function recordSource(source, categories) {
  const layer = source.layer.peek();
  const paint = source.paint.peek();
  if (!layer || !paint) throw new Error(`Layer “${source.name}” of run “${source.run}” is not loaded`);
  return recordLayer(layer, source.spaceAt.peek(), paint, source.places.peek(), categories);
}

/** @param {import('./colors.js').Colors} colors @param {string} card @param {import('../model/space.js').Category[]} categories @param {{scale: import('../model/paint.js').Scale, tone: number}[]} layers @returns {Look} */
export function lookOf({ well, ink, ink2, ink3, rule, star, none, slots, ramp, palette }, card, categories, layers) {
  return {
    well, card, ink, ink2, ink3, rule, star, none, ramp, categories: categories.map(({ slot }) => slots[slot] ?? none),
    codes: layers.map(({ scale, tone }) => (scale === 'slot' ? [] : Array.from({ length: 256 }, (_, code) => hexOf(colorOf(palette, scale, tone, code))))),
  };
}

/** What colour means beside categories. @param {import('../model/paint.js').Paint} paint @returns {Pick<Animation, 'ramp' | 'other'>} */
export function meaningOf({ scale, colorBy, range }) {
  if (scale === 'ramp') return { ramp: { told: colorBy === 'born' ? 'first interpretable, step by step' : colorBy, low: formatNumber(range[0]), high: formatNumber(range[1]) }, other: '' };
  return { ramp: null, other: scale === 'slot' ? '' : scale === 'hue' ? 'one colour for each concept' : `colour by ${colorBy}` };
}

export const STAR = starPath(8.5);

/**
 * Data inside a page: no letter of it can end the script or begin a comment, and all text in it may be shown.
 * @param {unknown} data
 */
export const inlineJson = (data) => JSON.stringify(data, (_, value) => (typeof value === 'string' ? readable(value) : value)).replace(/[<>&\u2028\u2029]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * The page. Its policy lets nothing in from outside, whatever the log may hold.
 * @param {Animation} animation @param {{player: string, style: string}} parts texts of export/player.js and export/player.css
 */
export function animationPage(animation, { player, style }) {
  const speeds = [0.25, 0.5, 1, 2, 4, 8];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Concept Monitor">
<title>${escapeXml(animation.title)}</title>
<style>
${style}</style>
</head>
<body>
<header><div><h1 id="title"></h1><p id="told"></p></div><button type="button" id="theme" aria-label="Dark" aria-pressed="false" title="Light or dark"><svg viewBox="0 0 18 18" aria-hidden="true"><path d="M9 2a7 7 0 1 0 0 14zM9 2a7 7 0 0 1 0 14" fill-rule="evenodd" stroke="currentColor" stroke-width="1.500" fill="none"/><path d="M9 2a7 7 0 1 0 0 14z"/></svg></button></header>
<main id="stage"><canvas id="map" role="img" title="Drag to move, turn the wheel to zoom, double-click to fit"></canvas><div id="tip" hidden></div></main>
<div id="legend"></div>
<div id="controls"><button type="button" id="back" aria-label="Step back" title="Step back (left arrow)"><svg viewBox="0 0 18 18" aria-hidden="true"><path d="M11.200 4.500 6.700 9l4.500 4.500" fill="none" stroke="currentColor" stroke-width="1.500"/></svg></button>
<button type="button" id="play" aria-label="Play" title="Play or pause (space)"><svg viewBox="0 0 18 18" aria-hidden="true"><path d="M5.500 3.200v11.600l9.200-5.800z"/></svg></button>
<button type="button" id="on" aria-label="Step on" title="Step on (right arrow)"><svg viewBox="0 0 18 18" aria-hidden="true"><path d="M6.800 4.500 11.300 9l-4.500 4.500" fill="none" stroke="currentColor" stroke-width="1.500"/></svg></button>
<span id="step">step <b id="step-now"></b><span id="step-last"></span></span>
<input id="scrub" type="range" min="0" step="any" value="0" aria-label="Step">
<select id="speed" aria-label="Speed">${speeds.map((one) => `<option value="${one}"${one === animation.speed ? ' selected' : ''}>${one}×</option>`).join('')}${speeds.includes(animation.speed) ? '' : `<option value="${animation.speed}" selected>${animation.speed}×</option>`}</select></div>
<p id="note"></p>
<script type="application/json" id="animation">${inlineJson(animation)}</script>
<script type="module">
${player.replaceAll('</script', '<\\/script')}
startPlayer(document, JSON.parse(document.getElementById('animation').textContent));
</script>
</body>
</html>
`;
}
