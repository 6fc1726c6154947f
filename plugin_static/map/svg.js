// @ts-check
/** The map as the text of an SVG file: every mark, trail and word stays one that a drawing program can change. */
import { epochOf, placeAt } from '../model/layer.js';
import { KIND } from '../model/paint.js';
import { escapeXml } from '../model/text.js';
import { CanvasRenderer, markedLook } from './canvas.js';
import { ghostLines } from './ghosts.js';
import { STAR } from './overlay.js';
import { shapePath } from './shapes.js';
import { colorOf, sizeFactor, sizeLevel } from './tint.js';
import { ribbons, trailPoints } from './trails.js';

/** @typedef {import('../theme.js').Palette} Palette */
/** @typedef {import('../theme.js').Rgb} Rgb */
/** @typedef {import('./shared.js').Frame} Frame */
/** @typedef {import('./shared.js').Sheet} Sheet */

/** More neurons than this are a picture within the file, as no program opens so many marks. */
const MAX_MARKS = 20000;
const FAMILY = "'Inter Variable', Inter, 'Helvetica Neue', Arial, sans-serif";

/** @param {Rgb} color */
const hex = (color) => `#${color.map((value) => Math.round(value * 255).toString(16).padStart(2, '0')).join('')}`;
const round = (/** @type {number} */ value) => Number(value.toFixed(2));

/** @param {import('./scene.js').Scene} scene @param {Palette} palette */
export function svgOf({ frame, sheets, writing, contours, camera }, palette) {
  const { width, height } = frame;
  const drawn = sheets.filter(({ moment }) => moment.before >= 0);
  const many = drawn.reduce((total, { layer }) => total + layer.neurons, 0) > MAX_MARKS;
  const points = many ? [picture(frame, drawn, palette)] : [
    ...terrain(frame, palette),
    ...drawn.map((sheet) => ghosts(frame, sheet, palette)),
    ...drawn.map((sheet, i) => trails(frame, sheet, palette, i)),
    ...[KIND.DIM_FAINT, KIND.DIM_FULL, KIND.FAINT, KIND.FULL].flatMap((kind) => drawn.map((sheet) => marks(frame, sheet, palette, kind))),
    ...drawn.map((sheet) => marked(frame, sheet, palette)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${FAMILY}">
<rect width="${width}" height="${height}" fill="${hex(palette.well)}"/>
${points.filter(Boolean).join('\n')}
${lines(contours, camera, palette)}
${written(writing, palette)}
</svg>
`;
}

/** @param {Frame} frame @param {Sheet[]} sheets @param {Palette} palette */
function picture(frame, sheets, palette) {
  const canvas = document.createElement('canvas');
  const renderer = new CanvasRenderer(canvas, { inMemory: true });
  renderer.setPalette(palette);
  renderer.draw(frame, sheets);
  return `<image width="${frame.width}" height="${frame.height}" href="${canvas.toDataURL('image/png')}"/>`;
}

/** @param {Frame} frame @param {Palette} palette */
function terrain({ terrain: space, x: left, y: top, scale, width, height }, palette) {
  if (!space) return [];
  /** @type {Map<number, string[]>} */
  const groups = new Map();
  for (let i = 0; i < space.words.length; i++) {
    const x = left + scale * space.position[2 * i];
    const y = top - scale * space.position[2 * i + 1];
    if (!(x > 0 && y > 0 && x < width && y < height)) continue;
    const slot = space.categories[space.categoryOfWord[i]]?.slot ?? 0;
    if (!groups.has(slot)) groups.set(slot, []);
    groups.get(slot)?.push(`M${round(x)},${round(y)}h0`);
  }
  return [...groups].map(([slot, dots]) => `<path class="concepts" fill="none" stroke="${hex(palette.slots[slot] ?? palette.none)}" stroke-width="3.4" stroke-linecap="round" opacity=".26" d="${dots.join('')}"/>`);
}

/** @param {Frame} frame @param {Sheet} sheet @param {Palette} palette */
function ghosts(frame, sheet, palette) {
  const lines = ghostLines(frame, sheet);
  const radius = Math.max(1.4, frame.radius * 0.5);
  let hairs = '';
  let dots = '';
  for (let i = 0; i < lines.length; i += 4) {
    const [fromX, fromY, x, y] = lines.slice(i, i + 4).map(round);
    hairs += `M${fromX},${fromY}L${x},${y}`;
    dots += `<circle cx="${fromX}" cy="${fromY}" r="${round(radius)}"/>`;
  }
  return hairs ? `<g class="before" fill="none" stroke="${hex(palette.ink)}" stroke-width=".8"><path opacity=".24" d="${hairs}"/><g opacity=".34">${dots}</g></g>` : '';
}

/** @param {Frame} frame @param {Sheet} sheet @param {Palette} palette @param {number} sheetIndex */
function trails(frame, sheet, palette, sheetIndex) {
  const made = sheet.trails.flatMap((trail, t) => {
    const points = trailPoints(sheet.layer, sheet.paint, trail, sheet.cursor).map((point) => ({ ...point, x: frame.x + frame.scale * point.x, y: frame.y - frame.scale * point.y }));
    return ribbons(points, trail).map(({ outline, from, to, opacity }, i) => {
      const id = `trail-${sheetIndex}-${t}-${i}`;
      const stop = (/** @type {number} */ end) => `<stop offset="${end}" stop-color="${hex(colorOf(palette, sheet.paint.scale, sheet.source, (end ? to : from).code))}" stop-opacity="${opacity[end].toFixed(3)}"/>`;
      return `<linearGradient id="${id}" gradientUnits="userSpaceOnUse" x1="${round(from.x)}" y1="${round(from.y)}" x2="${round(to.x)}" y2="${round(to.y)}">${stop(0)}${stop(1)}</linearGradient>`
        + `<path fill="url(#${id})" d="M${outline.map(({ x, y }) => `${round(x)},${round(y)}`).join('L')}Z"/>`;
    });
  });
  return made.length ? `<g class="trails">${made.join('')}</g>` : '';
}

/** Neurons of one kind that are not marked. @param {Frame} frame @param {Sheet} sheet @param {Palette} palette @param {number} wanted */
function marks(frame, { layer, paint, moment, marks: marking, source, shape = 0 }, palette, wanted) {
  const coat = paint.at(epochOf(moment));
  const hollow = wanted === KIND.FAINT || wanted === KIND.DIM_FAINT;
  let made = '';
  for (let neuron = 0; neuron < layer.neurons; neuron++) {
    if (coat.kind[neuron] !== wanted || marking[neuron]) continue;
    const [mapX, mapY] = placeAt(layer, neuron, moment);
    const x = frame.x + frame.scale * mapX;
    const y = frame.y - frame.scale * mapY;
    if (!(x > -10 && y > -10 && x < frame.width + 10 && y < frame.height + 10)) continue;
    const color = hex(colorOf(palette, paint.scale, source, coat.code[neuron]));
    const radius = frame.radius * sizeFactor(sizeLevel(coat.size, neuron)) * (hollow ? 0.74 : 1);
    const line = Math.max(0.8, radius * 0.42);
    const looks = hollow ? `fill="${hex(palette.well)}" stroke="${color}" stroke-width="${round(line)}"` : `fill="${color}" stroke="${hex(palette.well)}" stroke-width="2.2" paint-order="stroke"`;
    made += mark(shape, x, y, hollow ? radius - line / 2 : radius, looks);
  }
  return made ? `<g class="neurons"${wanted >= KIND.DIM_FAINT ? ' opacity=".13"' : ''}>${made}</g>` : '';
}

/** @param {number} shape @param {number} x @param {number} y @param {number} radius @param {string} looks attributes */
const mark = (shape, x, y, radius, looks) => (shape === 0
  ? `<circle cx="${round(x)}" cy="${round(y)}" r="${round(radius)}" ${looks}/>`
  : `<path transform="translate(${round(x)},${round(y)})" d="${shapePath(shape, radius)}" ${looks}/>`);

/** @param {Frame} frame @param {Sheet} sheet @param {Palette} palette */
function marked(frame, { layer, paint, moment, marks: marking, marked: neurons = [], source, shape = 0 }, palette) {
  const coat = paint.at(epochOf(moment));
  let made = '';
  for (const neuron of neurons) {
    if (coat.kind[neuron] === KIND.HIDDEN) continue;
    const [mapX, mapY] = placeAt(layer, neuron, moment);
    const { radius, ring, opacity } = markedLook(marking[neuron], coat.kind[neuron], frame.radius * sizeFactor(sizeLevel(coat.size, neuron)));
    const at = (/** @type {number} */ size, /** @type {Rgb} */ color) => mark(shape, frame.x + frame.scale * mapX, frame.y - frame.scale * mapY, size, `fill="${hex(color)}"`);
    const rings = opacity === 1 ? at(radius + 1.4 + ring, palette.ink) + at(radius + 1.4, palette.well) : '';
    made += `<g opacity="${opacity}"><title>neuron ${neuron}</title>${rings}${at(radius, colorOf(palette, paint.scale, source, coat.code[neuron]))}</g>`;
  }
  return made ? `<g class="marked">${made}</g>` : '';
}

/** @param {Palette} palette @param {import('../model/contours.js').Contours} contours @returns {Rgb} */
export const contourColor = (palette, { scale, code }) => (scale === 'slot' ? palette.slots[code] : scale === 'source' ? palette.sources[code] : palette.faint) ?? palette.ink;

/** @param {import('../model/contours.js').Contours[]} contours @param {{k: number, x: number, y: number}} camera @param {Palette} palette */
function lines(contours, { k, x, y }, palette) {
  if (!contours.length) return '';
  return `<g class="contours" fill="none" stroke-width="${round(1.1 / k)}" stroke-linejoin="round" opacity=".8" transform="translate(${round(x)},${round(y)}) scale(${k})">${contours.map((group) => `<g stroke="${hex(contourColor(palette, group))}">${group.paths.map((path) => `<path d="${path}"/>`).join('')}</g>`).join('')}</g>`;
}

/** @param {import('./overlay.js').Writing} writing @param {Palette} palette */
function written({ stars, names, words }, palette) {
  const well = hex(palette.well);
  const line = (/** @type {import('./overlay.js').Written} */ { text, x, y }, /** @type {string} */ looks) => `<text x="${round(x)}" y="${round(y)}"${looks}>${escapeXml(text)}</text>`;
  return `<g class="words" font-size="11" font-weight="500" fill="${hex(palette.faint)}" stroke="${well}" stroke-width="3" stroke-linejoin="round" paint-order="stroke">${words.map((word) => line(word, word.bright ? ` font-weight="650" fill="${hex(palette.ink)}"` : '')).join('')}</g>
<g class="anchors" fill="${hex(palette.star)}" stroke="${well}" stroke-width="3" stroke-linejoin="round" paint-order="stroke">${stars.map(({ x, y }) => `<path transform="translate(${round(x)},${round(y)})" d="${STAR}"/>`).join('')}</g>
<g class="names" font-size="12.5" font-weight="600" fill="${hex(palette.ink)}" stroke="${well}" stroke-width="3.5" stroke-linejoin="round" paint-order="stroke">${names.map((name) => line(name, '')).join('')}</g>`;
}
