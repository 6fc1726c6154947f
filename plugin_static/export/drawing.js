// @ts-check
/**
 * What a picture is made of: a short list of shapes in px, drawn alike by the SVG writer and on a canvas. Maps,
 * legends, captions and the figure for print are all put together from these.
 */

/** @typedef {{type: 'circle', x: number, y: number, r: number, fill: string, stroke?: string, strokeWidth?: number, opacity?: number, role?: string, title?: string}} Circle */
/** @typedef {{type: 'rect', x: number, y: number, width: number, height: number, fill: string, stroke?: string, strokeWidth?: number, opacity?: number, radius?: number, role?: string, title?: string}} Rect */
/** @typedef {{type: 'path', d: string, x?: number, y?: number, fill?: string, stroke?: string, strokeWidth?: number, dash?: string, opacity?: number, role?: string, title?: string}} Path */
/** @typedef {{type: 'text', x: number, y: number, text: string, size: number, fill: string, weight?: number, italic?: boolean, anchor?: 'start' | 'middle' | 'end', halo?: string, haloWidth?: number, tail?: string, tailFill?: string, tailWeight?: number, role?: string, title?: string}} Text tail: a number that follows, wherever the text ends in the reader's font */
/** @typedef {{type: 'image', x: number, y: number, width: number, height: number, href: string, picture?: CanvasImageSource, role?: string, title?: string}} Picture href is a data address */
/** @typedef {{type: 'map', x: number, y: number, width: number, height: number, svg: () => string, canvas: () => HTMLCanvasElement, label?: string}} MapShape a map as the map's own renderers give it, made when it is written */
/** @typedef {{type: 'group', clip?: {x: number, y: number, width: number, height: number}, shapes: Shape[], role?: string, label?: string}} Group */
/** @typedef {Circle | Rect | Path | Text | Picture | MapShape | Group} Shape */
/** @typedef {{width: number, height: number, shapes: Shape[], title: string, description: string}} Drawing */
/** @typedef {(text: string, size: number, weight?: number) => number} Measure width of a text in px */

/** Room before a text's tail, px. */
export const TAIL_GAP = 6;

/** The families of all text: the tab's own font where it is installed, else what the system has. */
export const FONTS = "'Inter Variable', Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/** @returns {Measure} with the fonts of this page */
export function createMeasure() {
  const context = /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d'));
  return (text, size, weight = 400) => {
    context.font = `${weight} ${size}px ${FONTS}`;
    return context.measureText(text).width;
  };
}

/** A text cut at its end to a width. @param {string} text @param {number} width px @param {(text: string) => number} measure */
export function cutText(text, width, measure) {
  if (measure(text) <= width) return text;
  const letters = [...text];
  let [low, high] = [0, letters.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(`${letters.slice(0, middle).join('')}…`) <= width) low = middle; else high = middle - 1;
  }
  return `${letters.slice(0, low).join('').trimEnd()}…`;
}

/** A text in lines no wider than a width; a longer word stands alone. @param {string} text @param {number} width px @param {(text: string) => number} measure @returns {string[]} */
export function wrapText(text, width, measure) {
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines[lines.length - 1];
    if (last !== undefined && measure(`${last} ${word}`) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(cutText(word, width, measure));
  }
  return lines;
}

/** The same drawing moved. @param {Shape[]} shapes @param {number} x @param {number} y @returns {Shape[]} */
export const moved = (shapes, x, y) => shapes.map((shape) => (shape.type === 'group'
  ? { ...shape, shapes: moved(shape.shapes, x, y), ...(shape.clip ? { clip: { ...shape.clip, x: shape.clip.x + x, y: shape.clip.y + y } } : {}) }
  : { ...shape, x: (shape.x ?? 0) + x, y: (shape.y ?? 0) + y }));

/** @param {import('../theme.js').Rgb} color @returns {string} such as #1a2b3c, which every program that reads SVG understands */
export const hexOf = (color) => `#${color.map((value) => Math.round(255 * Math.max(0, Math.min(1, value))).toString(16).padStart(2, '0')).join('')}`;
