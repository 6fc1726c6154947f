// @ts-check
/**
 * What TensorBoard imports in the tab's iframe. It serves this one file beside the plugin's routes and
 * everything else under `static/`, so this file only leads there.
 */

/** Called by TensorBoard once the frame is ready. @returns {Promise<void>} */
export async function render() {
  const main = await import(new URL('./static/main.js', import.meta.url).href);
  await main.start(document.body);
}
