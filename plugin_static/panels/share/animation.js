// @ts-check
/** The animation as one HTML file. */
import { animationPage, lookOf, meaningOf, recordSource, STAR } from '../../export/animation.js';
import { readColors } from '../../export/colors.js';
import { gatherMovie } from '../../export/movie.js';
import { captionOf, panesOf } from '../../export/picture.js';
import { saveText } from '../../export/save.js';
import { toneOf } from '../../map/sheets.js';
import { formatCount, formatNumber } from '../../model/format.js';
import { boundingBox } from '../../model/geometry.js';
import { stepsPerSecond } from '../../player.js';
import { animationName, panesWith } from './film.js';

/** @typedef {import('./share.js').Sharing} Sharing */

/** @param {Sharing} sharing @param {boolean} forPrint @param {import('./task.js').Work} work @returns {Promise<import('./task.js').Outcome>} */
export async function saveAnimation({ store, maps, api, player }, forPrint, { progress, signal }) {
  const range = /** @type {[number, number]} */ (player.bounds());
  const movie = await gatherMovie(store, api, range, { signal, progress: (share) => progress(share * 0.6, 'Loading the steps…') });
  await progress(0.6, 'Packing the animation…');
  const parts = await readParts(signal);
  const panes = panesWith(panesOf(store, maps), movie.sources);
  const { sources } = movie;
  const [lead] = sources;
  const spaces = lead.steps.peek().map((_, epoch) => lead.spaceAt.peek()(epoch));
  const categories = spaces.findLast((space) => space !== null)?.categories ?? [];
  const paint = lead.paint.peek();
  const tones = sources.map((source) => ({ scale: source.paint.peek()?.scale ?? 'slot', tone: toneOf(store, source) }));
  const layers = [];
  for (const [i, source] of sources.entries()) {
    layers.push(recordSource(source, categories));
    await progress(0.6 + (0.3 * (i + 1)) / sources.length);
  }
  const { title, origin } = captionOf(store, panes);
  const steps = lead.steps.peek();
  const left = movie.left ? ` ${movie.steps} of ${movie.steps + movie.left} steps are in this file, evenly chosen.` : '';
  const text = animationPage({
    title: title.replace(/ · step [^·]*$/, ''), note: `${origin}.${left}`, facts: factsOf(lead), theme: !forPrint && store.theme.peek() === 'dark' ? 'dark' : 'light',
    looks: { light: lookOf(readColors(forPrint ? 'print' : 'light'), '#ffffff', categories, tones), dark: lookOf(readColors('dark'), '#38393b', categories, tones) },
    box: seenBox(store, panes, maps) ?? wholeBox(spaces), layers, panes: panes.map(({ name, sources: shown }) => ({ name, layers: shown.map((one) => sources.indexOf(one)) })),
    tracked: sources.map((source) => (source.trackedBy.peek() === 'suggestion' ? source.suggestedOnMap.peek() : source.tracked.peek())), trails: store.showTrails.peek(),
    anchors: store.anchors.peek().map(({ word, x, y }) => ({ word, x, y })), categories: categories.map(({ label }) => label), ...(paint ? meaningOf(paint) : { ramp: null, other: '' }), star: STAR,
    start: 0, speed: store.speed.peek(), stepsPerSecond: stepsPerSecond(1, steps.length - 1), still: !store.animate.peek(),
  }, parts);
  signal.throwIfAborted();
  const name = animationName(store, movie, range, 'html');
  saveText(text, 'text/html', name);
  return { text: `Saved ${name}, ${formatCount(Math.ceil(text.length / 1024))} kB: it opens in any browser, without TensorBoard.${movie.left ? ` It has ${movie.steps} of ${movie.steps + movie.left} steps: more would make it too large.` : ''}`, tone: movie.left ? 'warn' : 'plain' };
}

/** What is told of every step besides the counts. @param {import('../../source.js').Source} lead */
const factsOf = (lead) => lead.steps.peek().map((step) => {
  const metrics = lead.metrics.peek().find((one) => one.step === step);
  const threshold = lead.layer.peek()?.cut ?? metrics?.threshold ?? null;
  return [threshold === null ? '' : `threshold ${formatNumber(threshold)}`, metrics?.d_anchor === null || metrics?.d_anchor === undefined ? '' : `anchor distance ${formatNumber(metrics.d_anchor)}`].filter(Boolean).join(' · ');
});

/** The player and its style as text. @param {AbortSignal} signal */
async function readParts(signal) {
  const read = async (/** @type {string} */ name) => {
    const answer = await fetch(new URL(`../../export/${name}`, import.meta.url), { signal });
    if (!answer.ok) throw new Error(`TensorBoard does not give the player (${name}: ${answer.status}): is it still running?`);
    return answer.text();
  };
  const [player, style] = await Promise.all([read('player.js'), read('player.css')]);
  return { player, style };
}

/** What the reader's camera shows of the map, null when it shows all. @param {import('../../store.js').Store} store @param {import('../../export/picture.js').Pane[]} panes @param {import('../../map/maps.js').Maps} maps @returns {[number, number, number, number] | null} */
function seenBox(store, panes, maps) {
  const { k, x, y } = store.view.peek();
  if (k === 1 && x === 0 && y === 0) return null;
  const { scale, x: left, y: top } = maps.list[0].transform.peek();
  const { width, height } = panes[0].seenAt;
  // The player leaves a margin of its own.
  const inset = 0.08 * Math.min(width, height);
  return [(inset - left) / scale, (width - inset - left) / scale, (top - height + inset) / scale, (top - inset) / scale];
}

/** @param {(import('../../model/space.js').Space | null)[]} spaces @returns {[number, number, number, number]} */
function wholeBox(spaces) {
  const box = boundingBox(...new Set(spaces.flatMap((space) => (space ? [space.position, space.anchorPosition] : []))));
  return box ? [box.left, box.right, box.bottom, box.top] : [-1, 1, -1, 1];
}
