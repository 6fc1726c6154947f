// @ts-check
/** Shapes as the text of an SVG file: no outside references, no scripts, all text of the log escaped. */
import { escapeXml } from '../model/text.js';
import { FONTS, TAIL_GAP } from './drawing.js';

export { escapeXml };

/** @typedef {import('./drawing.js').Shape} Shape */

/** To a hundredth of a px. @param {number} value */
const n = (value) => String(Math.round(value * 100) / 100);

/**
 * @param {import('./drawing.js').Drawing} drawing
 * @param {{unit?: 'px' | 'mm', inPage?: boolean}} [options] mm: at 96 px to the inch; inPage: as a part of an HTML page
 */
export function svgText({ width, height, shapes, title, description }, { unit = 'px', inPage = false } = {}) {
  const size = (/** @type {number} */ value) => (unit === 'px' ? n(value) : `${n((value * 25.4) / 96)}mm`);
  const count = { clips: 0, maps: 0 };
  const head = inPage ? '' : '<?xml version="1.0" encoding="UTF-8"?>\n';
  return `${head}<svg xmlns="http://www.w3.org/2000/svg" width="${size(width)}" height="${size(height)}" viewBox="0 0 ${n(width)} ${n(height)}" role="img" font-family="${escapeXml(FONTS)}" style="font-feature-settings:'tnum'">
<title>${escapeXml(title)}</title><desc>${escapeXml(description)}</desc>
${shapes.map((shape) => write(shape, count)).join('\n')}
</svg>\n`;
}

/** @param {Shape} shape @param {{clips: number, maps: number}} count @returns {string} */
function write(shape, count) {
  if (shape.type === 'group') {
    const inside = shape.shapes.map((one) => write(one, count)).join('\n');
    const label = shape.label ? ` aria-label="${escapeXml(shape.label)}"` : '';
    if (!shape.clip) return `<g${role(shape)}${label}>\n${inside}\n</g>`;
    const id = `clip-${++count.clips}`;
    const { x, y, width, height } = shape.clip;
    return `<clipPath id="${id}"><rect x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}"/></clipPath><g${role(shape)}${label} clip-path="url(#${id})">\n${inside}\n</g>`;
  }
  if (shape.type === 'text') return writeText(shape);
  if (shape.type === 'map') return embed(shape, ++count.maps);
  if (shape.type === 'image') return finish('image', `x="${n(shape.x)}" y="${n(shape.y)}" width="${n(shape.width)}" height="${n(shape.height)}" preserveAspectRatio="none" href="${escapeXml(shape.href)}"`, shape);
  if (shape.type === 'circle') return finish('circle', `cx="${n(shape.x)}" cy="${n(shape.y)}" r="${n(shape.r)}"${ink(shape)}`, shape);
  if (shape.type === 'rect') return finish('rect', `x="${n(shape.x)}" y="${n(shape.y)}" width="${n(shape.width)}" height="${n(shape.height)}"${shape.radius ? ` rx="${n(shape.radius)}"` : ''}${ink(shape)}`, shape);
  const place = shape.x === undefined ? '' : ` transform="translate(${n(shape.x)} ${n(shape.y ?? 0)})"`;
  return finish('path', `d="${shape.d}"${place}${ink(shape)}`, shape);
}

/** A map within the drawing; what it refers to gets names of its own, as several maps are in one file. @param {import('./drawing.js').MapShape} shape @param {number} number */
function embed({ x, y, svg, label }, number) {
  return svg().trim().replace(/^<svg /, `<svg class="map" x="${n(x)}" y="${n(y)}"${label ? ` aria-label="${escapeXml(label)}"` : ''} `)
    // No text of a log can hold these: its quotation marks are escaped.
    .replaceAll('id="trail-', `id="map-${number}-trail-`).replaceAll('url(#trail-', `url(#map-${number}-trail-`);
}

/** @param {{role?: string}} shape */
const role = (shape) => (shape.role ? ` class="${escapeXml(shape.role)}"` : '');

/** @param {{fill?: string, stroke?: string, strokeWidth?: number, opacity?: number, dash?: string}} shape */
const ink = ({ fill = 'none', stroke, strokeWidth = 1, opacity, dash }) => ` fill="${fill}"${stroke ? ` stroke="${stroke}" stroke-width="${n(strokeWidth)}" stroke-linecap="round" stroke-linejoin="round"` : ''}${dash ? ` stroke-dasharray="${dash}"` : ''}${opacity === undefined ? '' : ` opacity="${n(opacity)}"`}`;

/** @param {string} name @param {string} attributes @param {{role?: string, title?: string}} shape */
const finish = (name, attributes, shape) => (shape.title ? `<${name}${role(shape)} ${attributes}><title>${escapeXml(shape.title)}</title></${name}>` : `<${name}${role(shape)} ${attributes}/>`);

/** @param {import('./drawing.js').Text} shape */
function writeText(shape) {
  const { x, y, text, size, fill, weight = 400, italic, anchor = 'start', halo, haloWidth = 3.5, tail, tailFill = fill, tailWeight = weight } = shape;
  const common = `x="${n(x)}" y="${n(y)}" font-size="${n(size)}" font-weight="${weight}"${italic ? ' font-style="italic"' : ''}${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}`;
  const words = escapeXml(text);
  // The halo is a text of its own under it: not every program knows paint-order.
  const under = halo ? `<text aria-hidden="true" class="halo" ${common} fill="${halo}" stroke="${halo}" stroke-width="${n(haloWidth)}" stroke-linejoin="round">${words}</text>` : '';
  const after = tail === undefined ? '' : `<tspan dx="${TAIL_GAP}" fill="${tailFill}"${tailWeight === weight ? '' : ` font-weight="${tailWeight}"`}>${escapeXml(tail)}</tspan>`;
  return `${under}<text${role(shape)} ${common} fill="${fill}">${words}${after}${shape.title ? `<title>${escapeXml(shape.title)}</title>` : ''}</text>`;
}
