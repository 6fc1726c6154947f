// @ts-check
/** The figure for print: for every chosen step the concept space, images of followed neurons, and bars, as in the thesis' Fig. 2.1. */
import { formatCount, formatNumber } from '../model/format.js';
import { boundingBox, fitTransform, placeLabels, starPath } from '../model/geometry.js';
import { squareGrid, topShare } from '../model/figure.js';
import { placeAt } from '../model/layer.js';
import { KIND } from '../model/paint.js';
import { drawShapes } from './canvas.js';
import { cutText, moved, TAIL_GAP, wrapText } from './drawing.js';

/** @typedef {import('./drawing.js').Shape} Shape */
/** @typedef {import('./drawing.js').Measure} Measure */
/** @typedef {import('./colors.js').Colors} Colors */
/** @typedef {{href: string, patch: import('../model/images.js').Patch | null}} FigureImage href: a data address */
/** @typedef {{neuron: number, valid: boolean, unknown?: boolean, interpretable: boolean, word: string, slot: number, similarity: number, images: FigureImage[]}} FigureNeuron */
/**
 * @typedef {object} FigureRow one step
 * @property {number} step
 * @property {number} epoch index in the layer
 * @property {import('../model/space.js').Space | null} space
 * @property {FigureNeuron[]} neurons
 * @property {import('../model/figure.js').Bar[]} bars one for each layer
 * @property {number | null} distance d_anchor
 */
/**
 * @typedef {object} Figure
 * @property {string} run
 * @property {import('../model/layer.js').Layer} layer with the frames of all rows
 * @property {import('../model/paint.js').Paint} paint by category
 * @property {{word: string, x: number, y: number}[]} anchors
 * @property {FigureRow[]} rows
 * @property {string} origin threshold, encoder and note in words
 */

/** 180 mm at 96 px to the inch: the width of two columns of a journal. */
export const WIDTH = (180 / 25.4) * 96;
/** 7 pt and a little, the smallest that journals print. */
const SMALL = 9.4;
const TEXT = 10.2;
const LINE = 13.5;
const HEAD = 22;
const ROW_HEAD = 17;
const ROW_GAP = 14;
const MAP = { x: 0, width: 208 };
const IMAGES = { x: 222, width: 290 };
const BARS = { x: 528, width: WIDTH - 528 };
/** Where the tab's font is not installed another one stands in for it, which may be wider. */
const FONT_ROOM = 0.86;
/** More neurons than this are a picture within the file. */
const MAX_MARKS = 4000;
const STAR = starPath(5.6);

/** @param {Figure} figure @param {Colors} colors @param {Measure} measure @returns {import('./drawing.js').Drawing} */
export function drawFigure(figure, colors, measure) {
  const { rows, run, layer } = figure;
  const height = rows.length <= 3 ? 176 : rows.length === 4 ? 158 : 142;
  const top = topShare(rows.flatMap(({ bars }) => bars));
  /** @type {Shape[]} */
  const shapes = heads(colors);
  rows.forEach((row, i) => {
    const y = HEAD + i * (height + ROW_HEAD + ROW_GAP);
    shapes.push(text(`step ${formatCount(row.step)}`, 0, y + 11, TEXT, colors.ink, 650));
    shapes.push({ type: 'group', role: 'row', label: `step ${row.step}`, shapes: [
      ...moved(drawMap(figure, row, height, colors, measure), MAP.x, y + ROW_HEAD),
      ...moved(drawNeurons(row.neurons, height + ROW_HEAD, colors, measure), IMAGES.x, y),
      ...moved(drawBars(row, layer.name, top, height + ROW_HEAD, colors, measure), BARS.x, y),
    ] });
    if (i) shapes.push({ type: 'path', d: `M0,${y - ROW_GAP / 2 + 0.5}H${WIDTH}`, stroke: colors.rule, strokeWidth: 0.6 });
  });
  let y = HEAD + rows.length * (height + ROW_HEAD + ROW_GAP);
  const legend = drawKey(figure, colors, measure);
  shapes.push(...moved(legend.shapes, 0, y));
  y += legend.height + 10;
  const lines = wrapText(captionText(figure), WIDTH * FONT_ROOM, (part) => measure(part, TEXT));
  shapes.push(...lines.map((line, i) => text(line, 0, y + 10 + LINE * i, TEXT, colors.ink, 400, 'caption')));
  return {
    width: WIDTH, height: Math.ceil(y + LINE * lines.length + 8), title: `Concepts of ${layer.name} of ${run} over training`, description: captionText(figure),
    shapes: [{ type: 'rect', x: 0, y: 0, width: WIDTH, height: Math.ceil(y + LINE * lines.length + 8), fill: colors.well }, ...shapes],
  };
}

/** @param {string} value @param {number} x @param {number} y @param {number} size @param {string} fill @param {number} [weight] @param {string} [role] @returns {import('./drawing.js').Text} */
const text = (value, x, y, size, fill, weight = 400, role = undefined) => ({ type: 'text', text: value, x, y, size, fill, weight, role });

/** @param {Colors} colors @returns {Shape[]} */
const heads = (colors) => [['a', 'Concept space', MAP.x], ['b', 'Most activating images of followed neurons', IMAGES.x], ['c', 'Interpretable neurons', BARS.x]].flatMap(([letter, name, x]) => [
  text(String(letter), Number(x), 11, 11.5, colors.ink, 700), text(String(name), Number(x) + 12, 11, TEXT, colors.ink2, 500),
]);

/** @param {Figure} figure @param {FigureRow} row @param {number} height @param {Colors} colors @param {Measure} measure @returns {Shape[]} */
function drawMap({ layer, paint, anchors }, { epoch, space, neurons }, height, colors, measure) {
  const size = { width: MAP.width, height };
  const box = (space && boundingBox(space.position, space.anchorPosition)) ?? { left: -1, right: 1, bottom: -1, top: 1 };
  const fit = fitTransform(box, size, { left: 13, right: 13, top: 13, bottom: 13 });
  const moment = { before: epoch, after: epoch, share: 0 };
  const pixel = (/** @type {number} */ x, /** @type {number} */ y) => ({ x: fit.x + fit.scale * x, y: fit.y - fit.scale * y });
  const coat = paint.at(epoch);
  const radius = Math.max(0.8, Math.min(2.1, 2.6 - 0.17 * Math.log2(Math.max(1, layer.neurons / 32))));
  const followed = new Set(neurons.map(({ neuron }) => neuron));
  const dots = [KIND.FAINT, KIND.FULL].flatMap((kind) => Array.from({ length: layer.neurons }, (_, neuron) => neuron).filter((neuron) => coat.kind[neuron] === kind && !followed.has(neuron)).map((neuron) => {
    const place = pixel(...placeAt(layer, neuron, moment));
    const fill = kind === KIND.FULL ? colors.slots[coat.code[neuron]] ?? colors.none : colors.none;
    return /** @type {Shape} */ (kind === KIND.FULL ? { type: 'circle', ...place, r: radius, fill, role: 'neuron', opacity: 0.85 } : { type: 'circle', ...place, r: radius * 0.8, fill: colors.well, stroke: fill, strokeWidth: 0.7, role: 'neuron' });
  }));
  const rings = neurons.filter(({ valid }) => valid).map(({ neuron, slot, interpretable }) => ({ neuron, fill: interpretable ? colors.slots[slot] ?? colors.none : colors.none, ...pixel(...placeAt(layer, neuron, moment)) }));
  const stars = anchors.map(({ word, x, y }) => ({ word, ...pixel(x, y) })).filter(({ x, y }) => x > 0 && y > 0 && x < size.width && y < size.height);
  const named = [...rings.map(({ neuron, x, y }) => ({ name: String(neuron), x, y, weight: 700, role: 'followed-name' })), ...stars.map(({ word, x, y }) => ({ name: cutText(word, 90, (part) => measure(part, SMALL, 500)), x, y, weight: 500, role: 'anchor-name' }))];
  const places = placeLabels(named.map(({ name, x, y, weight }) => ({ x, y, width: measure(name, SMALL, weight) })), size, { gap: 7, height: 11, pad: 1, taken: [...stars, ...rings].map(({ x, y }) => ({ left: x - 5, right: x + 5, top: y - 5, bottom: y + 5 })) });
  return [
    { type: 'group', clip: { x: 0, y: 0, ...size }, shapes: [
      ...(dots.length > MAX_MARKS ? [pictured(dots, size)] : dots),
      ...stars.map(({ x, y, word }) => /** @type {Shape} */ ({ type: 'path', d: STAR, x, y, fill: colors.star, stroke: colors.well, strokeWidth: 0.8, role: 'anchor', title: word })),
      ...rings.flatMap(({ x, y, fill, neuron }) => /** @type {Shape[]} */ ([{ type: 'circle', x, y, r: 4.6, fill: colors.well, stroke: colors.ink, strokeWidth: 1.1 }, { type: 'circle', x, y, r: 3, fill, role: 'followed', title: `neuron ${neuron}` }])),
      ...named.flatMap(({ name, weight, role }, i) => { const place = places[i]; return place ? [/** @type {Shape} */ ({ ...text(name, place.x, place.y - 0.5, SMALL, colors.ink, weight, role), halo: colors.well, haloWidth: 2.4 })] : []; }),
    ] },
    { type: 'rect', x: 0.3, y: 0.3, width: size.width - 0.6, height: height - 0.6, fill: 'none', stroke: colors.rule, strokeWidth: 0.6 },
  ];
}

/** Very many marks as one picture. @param {Shape[]} shapes @param {{width: number, height: number}} size @returns {Shape} */
function pictured(shapes, { width, height }) {
  const canvas = Object.assign(document.createElement('canvas'), { width: width * 4, height: height * 4 });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.scale(4, 4);
  drawShapes(context, shapes);
  return { type: 'image', x: 0, y: 0, width, height, href: canvas.toDataURL('image/png'), picture: canvas };
}

/** @param {FigureNeuron[]} neurons @param {number} height @param {Colors} colors @param {Measure} measure @returns {Shape[]} */
function drawNeurons(neurons, height, colors, measure) {
  if (!neurons.length) return [text('No neuron is followed: track or pin some.', 0, 28, SMALL, colors.ink3)];
  const columns = Math.min(3, neurons.length);
  const lines = Math.ceil(neurons.length / columns);
  const gap = 12;
  const width = (IMAGES.width - gap * (columns - 1)) / columns;
  const tall = (height - 8 * (lines - 1)) / lines;
  return neurons.flatMap((neuron, i) => moved(drawNeuron(neuron, width, tall, lines > 1 ? 4 : 6, colors, measure), (i % columns) * (width + gap), Math.floor(i / columns) * (tall + 8)));
}

/** @param {FigureNeuron} neuron @param {number} width @param {number} height @param {number} most images @param {Colors} colors @param {Measure} measure @returns {Shape[]} */
function drawNeuron({ neuron, valid, unknown, interpretable, word, slot, similarity, images }, width, height, most, colors, measure) {
  const number = String(neuron);
  const numberWidth = measure(number, TEXT, 700) + 10 + TAIL_GAP;
  const value = interpretable ? formatNumber(similarity) : '';
  const valueWidth = value ? measure(value, SMALL) + 5 : 0;
  const told = !valid ? (unknown ? 'no known stimulus' : 'no signal') : interpretable ? word : 'no clear concept';
  const label = cutText(told, (width - numberWidth - valueWidth) * 0.95, (part) => measure(part, TEXT, interpretable ? 500 : 400));
  const shown = images.slice(0, most);
  const grid = squareGrid(Math.max(1, shown.length), width, height - ROW_HEAD, 2.5);
  const size = Math.min(grid.size, 62);
  return [
    { type: 'circle', x: 4, y: 7.5, r: 3.2, fill: interpretable ? colors.slots[slot] ?? colors.none : colors.well, stroke: interpretable ? undefined : colors.none, strokeWidth: 1 },
    { ...text(number, 10, 11, TEXT, colors.ink, 700, 'neuron-word'), tail: label, tailFill: interpretable ? colors.ink : colors.ink3, tailWeight: interpretable ? 500 : 400, title: told },
    ...(value ? [/** @type {Shape} */ ({ ...text(value, width, 11, SMALL, colors.ink3), anchor: 'end' })] : []),
    ...shown.flatMap(({ href, patch }, i) => {
      const x = (i % grid.columns) * (size + 2.5);
      const y = ROW_HEAD + Math.floor(i / grid.columns) * (size + 2.5);
      const part = (/** @type {number} */ at) => (at * size) / 255;
      return /** @type {Shape[]} */ ([
        { type: 'image', x, y, width: size, height: size, href, role: 'probe-image', title: `neuron ${neuron}, image ${i + 1}` },
        ...(patch ? [{ type: 'rect', x: x + part(patch[0]), y: y + part(patch[1]), width: part(patch[2] - patch[0]), height: part(patch[3] - patch[1]), fill: 'none', stroke: '#ffffff', strokeWidth: 1.6 },
          { type: 'rect', x: x + part(patch[0]), y: y + part(patch[1]), width: part(patch[2] - patch[0]), height: part(patch[3] - patch[1]), fill: 'none', stroke: '#000000', strokeWidth: 0.7 }] : []),
      ]);
    }),
  ];
}

/** @param {FigureRow} row @param {string} shown name of the layer of the map @param {number} top share at the top of the axis @param {number} height @param {Colors} colors @param {Measure} measure @returns {Shape[]} */
function drawBars({ bars, distance }, shown, top, height, colors, measure) {
  const left = measure('100%', SMALL) + 5;
  const room = BARS.width - left;
  const [low, high] = [height - 15, 32];
  const pitch = room / Math.max(1, bars.length);
  const width = Math.min(26, pitch * 0.68);
  const y = (/** @type {number} */ share) => low - ((low - high) * share) / top;
  const percent = (/** @type {number} */ share) => `${Math.round(share * 100)}%`;
  return [
    ...distanceText(distance, colors, measure),
    ...[0, top / 2, top].flatMap((share) => /** @type {Shape[]} */ ([
      { type: 'path', d: `M${left},${y(share)}H${BARS.width}`, stroke: share ? colors.rule : colors.ink3, strokeWidth: 0.6 },
      { ...text(percent(share), left - 4, y(share) + 3.2, SMALL, colors.ink3), anchor: 'end' },
    ])),
    ...bars.flatMap(({ layer, neurons, interpretable, parts }, i) => {
      const middle = left + pitch * (i + 0.5);
      let below = 0;
      return [
        ...parts.map(({ category, count }) => {
          const from = below;
          below += count / neurons;
          return /** @type {Shape} */ ({ type: 'rect', x: middle - width / 2, y: y(below), width, height: y(from) - y(below), fill: colors.slots[category.slot] ?? colors.none, stroke: colors.well, strokeWidth: 0.5, role: 'bar', title: `${layer}, ${category.label}: ${count}` });
        }),
        /** @type {Shape} */ ({ ...text(percent(interpretable / Math.max(1, neurons)), middle, y(interpretable / Math.max(1, neurons)) - 3, SMALL, colors.ink), anchor: 'middle', role: 'bar-total' }),
        /** @type {Shape} */ ({ ...text(cutText(layer, pitch - 2, (part) => measure(part, SMALL, 650)), middle, height - 3, SMALL, layer === shown ? colors.ink : colors.ink2, layer === shown ? 650 : 400), anchor: 'middle', role: 'bar-layer' }),
      ];
    }),
  ];
}

/** d with its index, and the value. @param {number | null} distance @param {Colors} colors @param {Measure} measure @returns {Shape[]} */
function distanceText(distance, colors, measure) {
  const word = measure('anchor', SMALL);
  return [
    { ...text('d', 0, 11, 11.5, colors.ink), italic: true },
    text('anchor', 7.2, 13.5, SMALL, colors.ink),
    text(`= ${formatNumber(distance)}`, 7.2 + word + 5, 11, TEXT, colors.ink, 400, 'distance'),
  ];
}

/** @param {Figure} figure @param {Colors} colors @param {Measure} measure @returns {{shapes: Shape[], height: number}} */
function drawKey({ rows, anchors }, colors, measure) {
  const categories = rows[rows.length - 1]?.space?.categories ?? [];
  const used = categories.filter(({ name }) => rows.some(({ bars }) => bars.some(({ parts }) => parts.some(({ category }) => category.name === name))));
  /** @type {[Shape[], string][]} */
  const entries = [
    ...used.map(({ slot, label }) => /** @type {[Shape[], string]} */ ([[{ type: 'circle', x: 4, y: -3.3, r: 3.4, fill: colors.slots[slot] }], label])),
    [[{ type: 'circle', x: 4, y: -3.3, r: 2.6, fill: colors.well, stroke: colors.none, strokeWidth: 1.2 }], 'no clear concept'],
    ...(anchors.length ? [/** @type {[Shape[], string]} */ ([[{ type: 'path', d: STAR, x: 4, y: -3.3, fill: colors.star }], 'anchor'])] : []),
    ...(rows.some(({ neurons }) => neurons.length) ? [/** @type {[Shape[], string]} */ ([[{ type: 'circle', x: 4, y: -3.3, r: 4, fill: colors.well, stroke: colors.ink, strokeWidth: 1.1 }, { type: 'circle', x: 4, y: -3.3, r: 2.4, fill: colors.ink3 }], 'followed neuron'])] : []),
  ];
  let [x, y] = [0, 10];
  /** @type {Shape[]} */
  const shapes = [];
  for (const [mark, name] of entries) {
    const width = 12 + measure(name, TEXT);
    if (x + width > WIDTH) { x = 0; y += 14; }
    shapes.push(...moved([...mark, text(name, 12, 0, TEXT, colors.ink)], x, y));
    x += width + 15;
  }
  return { shapes, height: y + 4 };
}

/** What the figure shows, in words. @param {Figure} figure */
export function captionText({ run, layer, rows, origin }) {
  const steps = rows.map(({ step }) => formatCount(step));
  const told = steps.length > 1 ? `steps ${steps.slice(0, -1).join(', ')} and ${steps[steps.length - 1]}` : `step ${steps[0]}`;
  const followed = rows[0]?.neurons.length ? ' (a) Every dot is a neuron, coloured by the category of its concept; stars are anchors, rings with numbers the neurons followed in (b).' : ' (a) Every dot is a neuron, coloured by the category of its concept; stars are anchors.';
  const outlined = rows.some(({ neurons }) => neurons.some(({ images }) => images.some(({ patch }) => patch))) ? '; the part that activates them is outlined' : '';
  const images = rows[0]?.neurons.length ? ` (b) Their most activating probe images with the concept detected and its similarity${outlined}.` : '';
  return `Concepts of ${layer.name} of ${run} (${formatCount(layer.neurons)} neurons) at ${told} of training.${followed}${images} (c) Share of interpretable neurons of each layer by category; d_anchor is the mean distance of every concept to its nearest neuron, low where concepts are diverse. ${origin}.`;
}
