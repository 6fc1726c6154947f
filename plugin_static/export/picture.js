// @ts-check
/** The current map as a picture to take away: the map or maps, and around them what one needs to understand them alone. */
import { untracked } from '../lib.js';
import { drawScene, sceneSvg } from '../map/scene.js';
import { toneOf } from '../map/sheets.js';
import { formatCount, formatNumber } from '../model/format.js';
import { boundingBox } from '../model/geometry.js';
import { describeEpoch, describeInvalid, summariseEpoch } from '../model/history.js';
import { nameOf } from '../panels/mapframe.js';
import { drawLegend } from './legend.js';
import { cutText, moved, wrapText } from './drawing.js';

/** @typedef {import('../store.js').Store} Store */
/** @typedef {import('../source.js').Source} Source */
/** @typedef {import('./drawing.js').Shape} Shape */
/** @typedef {import('./drawing.js').Drawing} Drawing */
/** @typedef {import('./colors.js').Colors} Colors */
/**
 * @typedef {object} Pane one map of the picture
 * @property {Source[]} sources what lies on it
 * @property {number} x px from the left of the maps
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {string} name '' for the only one
 * @property {import('../model/geometry.js').Size & {captionHeight?: number}} seenAt size of the map on the screen
 */
/**
 * @typedef {object} PictureOptions
 * @property {Colors} colors
 * @property {import('./drawing.js').Measure} measure
 * @property {number} [ratio] pixels of a canvas per px, 2 by default
 * @property {import('../map/canvas.js').CanvasRenderer} [renderer] to draw many pictures of one size with
 */

const HEADER = 58;
const PANE_HEADER = 44;
/** Room of the map's own around the space. */
const MARGIN = 44;
const SIDE = 20;
const NOTE_SIZE = 10.5;
const NOTE_LINE = 15;

/** The maps as they are on the screen, without the empty room over and under a map that is wider than high. @param {Store} store @param {import('../map/maps.js').Maps} maps @returns {Pane[]} */
export function panesOf(store, maps) {
  return untracked(() => {
    const all = store.sources.value;
    const overlaid = store.layout.value === 'overlay' || all.length < 2;
    const shown = overlaid ? [all] : all.map((source) => [source]);
    const seen = shown.map((sources, i) => ({ sources, name: overlaid ? '' : nameOf(store, sources[0]), frame: maps.list[i].frame, captionHeight: maps.list[i].captionHeight })).filter(({ frame }) => frame.clientWidth > 0 && frame.clientHeight > 0);
    const { k, x, y } = store.view.value;
    const isMoved = k !== 1 || x !== 0 || y !== 0;
    const columns = [...new Set(seen.map(({ frame }) => frame.offsetLeft))].length;
    const height = Math.max(...seen.map(({ sources, frame }) => (isMoved ? frame.clientHeight : Math.min(frame.clientHeight, heightOf(sources[0], frame.clientWidth)))));
    return seen.map(({ sources, name, frame, captionHeight }, i) => ({ sources, name, x: frame.offsetLeft, y: Math.floor(i / columns) * height, width: frame.clientWidth, height, seenAt: { width: frame.clientWidth, height: frame.clientHeight, captionHeight: captionHeight.value } }));
  });
}

/** What a map needs to show the whole space. @param {Source} source @param {number} width px */
function heightOf(source, width) {
  const space = source.space.value;
  const box = space && boundingBox(space.position, space.anchorPosition);
  return box ? Math.ceil(((box.top - box.bottom) / Math.max(1e-9, box.right - box.left)) * (width - 2 * MARGIN) + 2 * MARGIN) : Infinity;
}

/** @param {Store} store @param {Pane[]} panes @param {PictureOptions} options @returns {Drawing} */
export function drawPicture(store, panes, { colors, measure, ratio = 2, renderer }) {
  return untracked(() => {
    const named = panes.some(({ name }) => name);
    const rows = [...new Set(panes.map(({ y }) => y))].sort((a, b) => a - b);
    const header = named ? HEADER - 20 : HEADER;
    const topOf = (/** @type {Pane} */ { y }) => header + y + (named ? PANE_HEADER * (rows.indexOf(y) + 1) : 0);
    const width = Math.max(...panes.map((pane) => pane.x + pane.width));
    const bottom = Math.max(...panes.map((pane) => topOf(pane) + pane.height));
    const legend = drawLegend(legendOf(store, panes), colors, measure, width - 2 * SIDE);
    const { title, told, note } = captionOf(store, panes);
    const notes = wrapText(note, 0.92 * (width - 2 * SIDE), (part) => measure(part, NOTE_SIZE));
    const height = Math.ceil(bottom + legend.height + 20 + NOTE_LINE * notes.length);
    const line = (/** @type {string} */ text, /** @type {number} */ y, /** @type {number} */ size, /** @type {string} */ fill, weight = 400, x = SIDE, room = width - 2 * SIDE) => /** @type {Shape} */ ({
      type: 'text', x, y, size, fill, weight, text: cutText(text, room, (part) => measure(part, size, weight)), role: 'caption',
    });
    return { width, height, title, description: `${told}. ${note}`, shapes: [
      { type: 'rect', x: 0, y: 0, width, height, fill: colors.well },
      line(title, 26, 15, colors.ink, 650),
      ...(named ? [] : [line(told, 46, 12, colors.ink2)]),
      ...panes.flatMap((pane) => [
        mapShape(store, pane, topOf(pane), { colors, ratio, renderer }),
        ...(pane.x > 0 ? [/** @type {Shape} */ ({ type: 'path', d: `M${pane.x - 0.5},${topOf(pane) - PANE_HEADER + 8}V${topOf(pane) + pane.height}`, stroke: colors.rule })] : []),
        ...(pane.name ? [
          line(pane.name, topOf(pane) - 22, 13, colors.ink, 600, pane.x + SIDE, pane.width - 2 * SIDE),
          line(stateOf(pane.sources[0], panes[0].sources[0]), topOf(pane) - 5, 11.5, colors.ink2, 400, pane.x + SIDE, pane.width - 2 * SIDE),
        ] : []),
      ]),
      { type: 'path', d: `M${SIDE},${bottom + 0.5}H${width - SIDE}`, stroke: colors.rule },
      ...moved(legend.shapes, SIDE, bottom + 6),
      ...notes.map((text, i) => line(text, bottom + legend.height + 22 + NOTE_LINE * i, NOTE_SIZE, colors.ink3)),
    ] };
  });
}

/** @param {Store} store @param {Pane} pane @param {number} top @param {{colors: Colors, ratio: number, renderer?: import('../map/canvas.js').CanvasRenderer}} options @returns {Shape} */
function mapShape(store, { sources, x, width, height, name, seenAt }, top, { colors, ratio, renderer }) {
  const options = { width, height, sources, seenAt, ratio, margin: MARGIN };
  return { type: 'map', x, y: top, width, height, label: `Concept map ${name}`.trim(), svg: () => sceneSvg(store, colors.palette, options), canvas: () => drawScene(store, colors.palette, options, renderer) };
}

/** Title, state and origin in words. @param {Store} store @param {Pane[]} panes */
export function captionOf(store, panes) {
  const all = panes.flatMap(({ sources }) => sources);
  const [lead] = all;
  const cut = lead.layer.value?.cut ?? null;
  const metrics = metricsOf(lead);
  const runs = [...new Set(all.map(({ run }) => run))].join(' and ');
  const layers = [...new Set(all.map(({ name }) => name))].join(' and ');
  const space = lead.spaceAt.value(lead.epoch.value);
  const threshold = cut ?? metrics?.threshold ?? null;
  const distance = metrics?.d_anchor ?? null;
  const origin = [space?.encoder ? `encoder ${space.encoder}` : '', space?.note ?? '', 'Concept Monitor'].filter(Boolean).join(' · ');
  const note = [
    threshold === null ? '' : `threshold ${formatNumber(threshold)}${cut === null ? '' : ' (set by hand)'}`, distance === null || all.length > 1 ? '' : `anchor distance ${formatNumber(distance)}`,
    origin,
  ].filter(Boolean).join(' · ');
  return { title: `${runs} · ${layers} · step ${formatCount(stepOf(lead))}`, told: (all.length > 1 ? `${nameOf(store, lead)}: ` : '') + stateOf(lead, lead), note, origin };
}

/** @param {Source} source */
const stepOf = (source) => source.steps.value[source.epoch.value];
/** @param {Source} source */
const metricsOf = (source) => source.metrics.value.find(({ step }) => step === stepOf(source));
/** @param {Source} source */
function summaryOf(source) {
  const layer = source.layer.value;
  return layer?.frames[source.epoch.value] ? summariseEpoch(layer, source.spaceAt.value, source.epoch.value) : null;
}

/** How a source stands, in words; with its step where that is another than the leading one's. @param {Source} source @param {Source} lead */
function stateOf(source, lead) {
  const ahead = stepOf(source) === stepOf(lead) ? '' : `step ${formatCount(stepOf(source))} · `;
  const summary = summaryOf(source);
  if (!summary) return `${ahead}not loaded`;
  return ahead + describeEpoch(summary, source.layer.value?.neurons ?? 0, null, describeInvalid(metricsOf(source), summary)).replaceAll('\u00a0', ' ');
}

/** @param {Store} store @param {Pane[]} panes @returns {import('./legend.js').LegendOf} */
export function legendOf(store, panes) {
  const all = panes.flatMap(({ sources }) => sources);
  const [lead] = all;
  const summary = summaryOf(lead);
  const on = panes[0].sources;
  const paint = lead.paint.value;
  const told = on.length > 1 ? on : paint?.scale === 'source' ? all : [];
  return {
    space: lead.spaceAt.value(lead.epoch.value), paint, summary, hidden: store.hidden.value, neurons: lead.layer.value?.neurons ?? 0, anchors: store.anchors.value.length > 0,
    invalid: describeInvalid(metricsOf(lead), summary), counts: all.length === 1,
    sources: told.map((source, place) => ({ name: nameOf(store, source), shape: on.length > 1 ? place : 0, tone: toneOf(store, source) })),
  };
}
