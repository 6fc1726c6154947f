// @ts-check
/** The animation as a film (WebM): every frame is drawn as the picture is, and encoded as fast as the computer can. */
import { readColors } from '../../export/colors.js';
import { drawShapes } from '../../export/canvas.js';
import { createMeasure } from '../../export/drawing.js';
import { gatherMovie } from '../../export/movie.js';
import { drawPicture, panesOf } from '../../export/picture.js';
import { saveBlob } from '../../export/save.js';
import { webmFile } from '../../export/webm.js';
import { sceneRenderer } from '../../map/scene.js';
import { stepsPerSecond } from '../../player.js';
import { filmFrames } from '../../model/record.js';
import { fileName } from '../../model/table.js';
import { layerOf } from '../../export/gather.js';

/** @typedef {import('./share.js').Sharing} Sharing */

const FRAMES_PER_SECOND = 30;
const BITS_PER_SECOND = 8e6;
/** A film is never wider: software encoders take too long for larger ones. */
const MAX_WIDTH = 1440;
/** Seconds that the first and the last step are held. */
const HOLD = 0.8;
/** Frames from one that stands alone to the next: how exactly a player can seek. */
const KEY_EVERY = 30;
/** How many frames may wait for the encoder. */
const MAX_WAITING = 4;
/** What the WebM file calls a codec, and the browser. */
const CODECS = /** @type {const} */ ([['V_VP9', 'vp09.00.41.08'], ['V_VP8', 'vp8']]);

/** Whether this browser can encode films: only where the page is served securely or from this computer. */
export const canFilm = () => typeof VideoEncoder !== 'undefined' && typeof VideoFrame !== 'undefined';

/** @param {Sharing} sharing @param {boolean} forPrint @param {import('./task.js').Work} work @returns {Promise<import('./task.js').Outcome>} */
export async function saveFilm({ store, maps, api, player }, forPrint, { progress, signal }) {
  if (!canFilm()) throw new Error('This browser cannot encode films here (they need Chrome, Edge or Firefox, and a page from localhost or https): save the animation as HTML instead');
  const range = /** @type {[number, number]} */ (player.bounds());
  const movie = await gatherMovie(store, api, range, { signal, progress: (share) => progress(share * 0.3, 'Loading the steps…') });
  if (movie.steps < 2) throw new Error('There is one step only: nothing to animate yet');
  const paint = filmPainter(store, panesWith(panesOf(store, maps), movie.sources), forPrint);
  const frames = filmFrames(movie.steps, stepsPerSecond(store.speed.peek(), movie.steps - 1), FRAMES_PER_SECOND, HOLD);
  const encoder = await createEncoder(paint.canvas);
  try {
    for (const [i, cursor] of frames.entries()) {
      movie.seek(cursor);
      paint.draw();
      await encoder.add(i);
      if (i % 5 === 0) await progress(0.3 + (0.7 * i) / frames.length, `Encoding the film, frame ${i + 1} of ${frames.length}…`);
    }
    const blob = new Blob([await encoder.finish(frames.length)], { type: 'video/webm' });
    signal.throwIfAborted();
    const name = animationName(store, movie, range, 'webm');
    saveBlob(blob, name);
    return { text: `Saved ${name}, ${Math.round(frames.length / FRAMES_PER_SECOND)} s${movie.left ? `, with ${movie.steps} of ${movie.steps + movie.left} steps: more do not fit into memory` : ''}` };
  } finally {
    encoder.close();
    paint.dispose();
  }
}

/** @param {import('../../store.js').Store} store @param {import('../../export/movie.js').Movie} movie @param {[number, number]} range indices @param {string} extension */
export function animationName(store, { sources }, range, extension) {
  const { steps } = layerOf(store.first.peek());
  const several = (/** @type {string[]} */ names) => [...new Set(names)].join('-and-');
  return fileName(['animation', several(sources.map(({ run }) => run)), several(sources.map(({ name }) => name)), `steps${steps[range[0]]}-${steps[range[1]]}`], extension);
}

/** The panes of the screen with other sources. @param {import('../../export/picture.js').Pane[]} panes @param {import('../../source.js').Source[]} actors */
export const panesWith = (panes, actors) => panes.map((pane) => ({ ...pane, sources: pane.sources.map(({ key }) => actors.find((one) => one.key === key)).filter((one) => one !== undefined) }));

/** @param {import('../../store.js').Store} store @param {import('../../export/picture.js').Pane[]} panes @param {boolean} forPrint */
function filmPainter(store, panes, forPrint) {
  const colors = readColors(forPrint ? 'print' : store.theme.peek());
  const measure = createMeasure();
  const renderer = sceneRenderer(colors.palette);
  const first = drawPicture(store, panes, { colors, measure });
  const ratio = Math.min(2, MAX_WIDTH / first.width);
  const canvas = document.createElement('canvas');
  // Encoders want even numbers.
  canvas.width = 2 * Math.round((first.width * ratio) / 2);
  canvas.height = 2 * Math.round((first.height * ratio) / 2);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { alpha: false }));
  const draw = () => {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colors.well;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.scale(ratio, ratio);
    drawShapes(context, drawPicture(store, panes, { colors, measure, ratio, renderer }).shapes);
  };
  return { canvas, draw, dispose: () => renderer.dispose() };
}

/**
 * Encodes what is on a canvas, frame by frame, as fast as the computer can.
 * @param {HTMLCanvasElement} canvas
 */
async function createEncoder(canvas) {
  const { width, height } = canvas;
  const settings = (/** @type {string} */ codec) => ({ codec, width, height, bitrate: BITS_PER_SECOND, framerate: FRAMES_PER_SECOND });
  const supported = await Promise.all(CODECS.map(async ([, codec]) => (await VideoEncoder.isConfigSupported(settings(codec))).supported));
  const chosen = CODECS.find((_, i) => supported[i]);
  if (!chosen) throw new Error('This browser has no encoder for WebM films of this size: make the window smaller, or save the animation as HTML');
  /** @type {import('../../export/webm.js').Frame[]} */
  const frames = [];
  /** @type {DOMException | null} */
  let failure = null;
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      frames.push({ data, time: chunk.timestamp / 1000, key: chunk.type === 'key' });
    },
    error: (error) => { failure = error; },
  });
  encoder.configure(settings(chosen[1]));
  return {
    /** @param {number} number */
    add: async (number) => {
      if (failure) throw failure;
      const frame = new VideoFrame(canvas, { timestamp: Math.round((number * 1e6) / FRAMES_PER_SECOND) });
      encoder.encode(frame, { keyFrame: number % KEY_EVERY === 0 });
      frame.close();
      while (encoder.encodeQueueSize > MAX_WAITING && !failure) await new Promise((resolve) => setTimeout(resolve, 4));
    },
    /** @param {number} count */
    finish: async (count) => {
      await encoder.flush();
      if (failure) throw failure;
      return webmFile({ width, height, codec: chosen[0], duration: (count * 1000) / FRAMES_PER_SECOND, frames });
    },
    close: () => { if (encoder.state !== 'closed') encoder.close(); },
  };
}
