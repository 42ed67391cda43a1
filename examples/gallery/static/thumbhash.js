// Draws ThumbHashes, https://evanw.github.io/thumbhash/: sums of cosines for lightness, two colours and transparency.

const LONGEST_SIDE = 32

export function draw(canvas, text) {
  const {width, height, pixels} = decode(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)))
  canvas.width = width
  canvas.height = height
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0)
}

function decode(hash) {
  const first = hash[0] | hash[1] << 8 | hash[2] << 16
  const second = hash[3] | hash[4] << 8
  const hasAlpha = first >> 23
  const isLandscape = second >> 15
  const longer = hasAlpha ? 5 : 7
  const shorter = second & 7
  const [across, down] = isLandscape ? [longer, shorter] : [shorter, longer]
  const ratio = across / down

  let position = hasAlpha ? 12 : 10 // in halves of bytes
  const channel = (mean, scale, columns, rows) => {
    const waves = []
    for (let y = 0; y < rows; y++) {
      for (let x = y ? 0 : 1; x * rows < columns * (rows - y); x++) {
        const half = hash[position >> 1] >> (position & 1) * 4 & 15
        position++
        waves.push([x, y, (half / 7.5 - 1) * scale * 2])
      }
    }
    return (x, y) => waves.reduce((sum, [m, n, factor]) => sum + factor * Math.cos(m * x) * Math.cos(n * y), mean)
  }
  const light = channel((first & 63) / 63, (first >> 18 & 31) / 31, Math.max(3, across), Math.max(3, down))
  const yellow = channel((first >> 6 & 63) / 31.5 - 1, (second >> 3 & 63) / 63 * 1.25, 3, 3)
  const red = channel((first >> 12 & 63) / 31.5 - 1, (second >> 9 & 63) / 63 * 1.25, 3, 3)
  const alpha = hasAlpha ? channel((hash[5] & 15) / 15, (hash[5] >> 4) / 15, 5, 5) : () => 1

  const width = Math.round(ratio > 1 ? LONGEST_SIDE : LONGEST_SIDE * ratio)
  const height = Math.round(ratio > 1 ? LONGEST_SIDE / ratio : LONGEST_SIDE)
  const pixels = new Uint8ClampedArray(4 * width * height)
  for (let at = 0; at < width * height; at++) {
    const x = Math.PI / width * (at % width + .5)
    const y = Math.PI / height * (Math.floor(at / width) + .5)
    const l = light(x, y), p = yellow(x, y), q = red(x, y)
    const b = l - 2 / 3 * p
    const r = (3 * l - b + q) / 2
    pixels.set([r, r - q, b, alpha(x, y)].map(value => 255 * value), 4 * at)
  }
  return {width, height, pixels}
}
