// @ts-check
/** Plane geometry of the map and the charts: fitting, labels that do not collide. */

/** @typedef {{left: number, right: number, bottom: number, top: number}} Box map units, y upwards */
/** @typedef {{scale: number, x: number, y: number}} Transform pixel = (x + scale * mapX, y - scale * mapY) */
/** @typedef {{width: number, height: number}} Size */

/** @param {...ArrayLike<number>} arrays flat (n, 2) positions @returns {Box | null} null when there is no finite place */
export function boundingBox(...arrays) {
  const box = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (const position of arrays) {
    for (let i = 0; i + 1 < position.length; i += 2) {
      const x = position[i];
      const y = position[i + 1];
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
      if (x < box.left) box.left = x;
      if (x > box.right) box.right = x;
      if (y < box.bottom) box.bottom = y;
      if (y > box.top) box.top = y;
    }
  }
  return box.left <= box.right ? box : null;
}

/** Show a box as large as fits. @param {Box} box @param {Size} size @param {{left: number, right: number, top: number, bottom: number}} margin px @returns {Transform} */
export function fitTransform(box, size, margin) {
  const width = Math.max(1, size.width - margin.left - margin.right);
  const height = Math.max(1, size.height - margin.top - margin.bottom);
  const spanX = Math.max(box.right - box.left, 1e-6);
  const spanY = Math.max(box.top - box.bottom, 1e-6);
  const scale = Math.min(width / spanX, height / spanY, 1e6);
  return {
    scale,
    x: margin.left + width / 2 - (scale * (box.left + box.right)) / 2,
    y: margin.top + height / 2 + (scale * (box.bottom + box.top)) / 2,
  };
}

/** A d3-zoom transform applied after the fit. @param {Transform} fit @param {{k: number, x: number, y: number}} view @returns {Transform} */
export const zoomed = (fit, view) => ({ scale: fit.scale * view.k, x: view.x + view.k * fit.x, y: view.y + view.k * fit.y });

/**
 * The view that shows, after a change of size, the same place in the middle at the same zoom.
 * @param {{k: number, x: number, y: number}} view @param {Transform} fit @param {Size} size before
 * @param {Transform} newFit @param {Size} newSize
 */
export function recentre({ k, x, y }, fit, size, newFit, newSize) {
  const mapX = ((size.width / 2 - x) / k - fit.x) / fit.scale;
  const mapY = (fit.y - (size.height / 2 - y) / k) / fit.scale;
  return {
    k,
    x: newSize.width / 2 - k * (newFit.x + newFit.scale * mapX),
    y: newSize.height / 2 - k * (newFit.y - newFit.scale * mapY),
  };
}

/** @typedef {{x: number, y: number, width: number}} LabelRequest centre of the mark, width of the text in px */
/** @typedef {{left: number, top: number, right: number, bottom: number}} Rect px */

/**
 * Greedy label placement: right, left, above, below of the mark, else hidden. Earlier requests win.
 * @param {LabelRequest[]} requests @param {Size} size
 * @param {{gap?: number, height?: number, taken?: Rect[], pad?: number, most?: number}} [options] taken: places to keep free; pad: room around each label; most: how many to place
 * @returns {({x: number, y: number} | null)[]} start of the baseline of each label, null for hidden
 */
export function placeLabels(requests, size, { gap = 11, height = 14, taken = [], pad = 2, most = Infinity } = {}) {
  const boxes = [...taken];
  return requests.map(({ x, y, width }) => {
    if (boxes.length >= taken.length + most) return null;
    const beside = [
      { x: x + gap, y: y + 4 },
      { x: x - gap - width, y: y + 4 },
      { x: x - width / 2, y: y - gap },
      { x: x - width / 2, y: y + gap + 9 },
    ];
    for (const place of beside) {
      const rect = { left: place.x - pad, right: place.x + width + pad, top: place.y - height + 5 - pad, bottom: place.y + 1 + pad };
      const inside = place.x >= 4 && place.x + width <= size.width - 4 && place.y >= height && place.y <= size.height - 4;
      if (inside && !boxes.some((box) => overlaps(box, rect))) {
        boxes.push(rect);
        return place;
      }
    }
    return null;
  });
}

/** @param {Rect} a @param {Rect} b */
export const overlaps = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/**
 * Push values apart to at least `gap`, keeping their order and staying within [low, high] when they fit.
 * @param {number[]} values @param {number} low @param {number} high @param {number} gap
 * @returns {number[]} in the order given
 */
export function spread(values, low, high, gap) {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const out = [...values];
  order.forEach((i, rank) => { out[i] = Math.max(out[i], rank ? out[order[rank - 1]] + gap : low); });
  for (let rank = order.length - 1; rank >= 0; rank--) {
    const i = order[rank];
    out[i] = Math.min(out[i], rank < order.length - 1 ? out[order[rank + 1]] - gap : high);
  }
  return out;
}

/** Outline of a five-pointed star. @param {number} radius */
export function starPath(radius) {
  const points = Array.from({ length: 10 }, (_, i) => {
    const r = i % 2 ? radius * 0.45 : radius;
    const angle = -Math.PI / 2 + (i * Math.PI) / 5;
    return `${(r * Math.cos(angle)).toFixed(2)},${(r * Math.sin(angle)).toFixed(2)}`;
  });
  return `M${points.join('L')}Z`;
}
