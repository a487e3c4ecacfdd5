// A picture of a page, made small, against one that was looked at before. Small pictures are means over squares, in few shades: how a
// release of the browser smooths its letters does not show, what stands where and in which colour does.
const kShrink = 4;       // pixels of the page, each way, to one of the small picture
const kShades = 16;      // of a channel, so that the files are small
const kTile = 8;         // small pixels, each way, that are judged together
const kSlight = 10;      // of 255: a tile whose mean differs by more in a channel is a little off
const kSlightShare = 0.005;  // of all tiles that may be so
const kStark = 40;       // no tile may be off by more

async function bitmapOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], {type: "image/png"}));
}

function pixelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Means over squares of kShrink x kShrink pixels; what does not fill a square at the right and at the bottom is left out. */
function shrunk(large) {
  const small = new ImageData(Math.floor(large.width / kShrink), Math.floor(large.height / kShrink));
  const step = 255 / (kShades - 1);
  for (let y = 0; y < small.height; ++y) for (let x = 0; x < small.width; ++x) for (let c = 0; c < 4; ++c) {
    let sum = 0;
    for (let dy = 0; dy < kShrink; ++dy) for (let dx = 0; dx < kShrink; ++dx)
      sum += large.data[4 * ((y * kShrink + dy) * large.width + x * kShrink + dx) + c];
    small.data[4 * (y * small.width + x) + c] = Math.round(Math.round(sum / kShrink ** 2 / step) * step);
  }
  return small;
}

async function encoded(picture) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({type: "image/png"})).arrayBuffer());
  return btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
}

/** The largest difference of a channel's means over the tile at (left, top). */
function tileDifference(a, b, left, top) {
  const sums = [0, 0, 0];
  let pixels = 0;
  for (let y = top; y < Math.min(top + kTile, a.height); ++y) for (let x = left; x < Math.min(left + kTile, a.width); ++x, ++pixels)
    for (let c = 0; c < 3; ++c) sums[c] += Math.abs(a.data[4 * (y * a.width + x) + c] - b.data[4 * (y * a.width + x) + c]);
  return Math.max(...sums) / pixels;
}

/** What is wrong with a picture, as a sentence; "" when it is as it should be. */
function difference(seen, wanted) {
  if (seen.width !== wanted.width || seen.height !== wanted.height)
    return `it is ${seen.width} x ${seen.height} small pixels, not ${wanted.width} x ${wanted.height}`;
  const tiles = [];
  for (let y = 0; y < seen.height; y += kTile) for (let x = 0; x < seen.width; x += kTile)
    tiles.push({x: x * kShrink, y: y * kShrink, off: tileDifference(seen, wanted, x, y)});
  tiles.sort((a, b) => b.off - a.off);
  const slight = tiles.filter((tile) => tile.off > kSlight);
  if (tiles[0].off <= kStark && slight.length <= kSlightShare * tiles.length) return "";
  const worst = slight.slice(0, 5).map((tile) => `${tile.off.toFixed(0)} at (${tile.x}, ${tile.y})`).join(", ");
  return `${slight.length} of ${tiles.length} tiles differ by more than ${kSlight} of 255: ${worst}`;
}

/** `taken`, `kept`: PNG in base64, of the page and small; `kept` may be null. */
async function compare(taken, kept) {
  const seen = shrunk(pixelsOf(await bitmapOf(taken)));
  return {small: await encoded(seen), wrong: kept === null ? "there is none to compare with" : difference(seen, pixelsOf(await bitmapOf(kept)))};
}
