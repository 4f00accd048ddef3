// The waveform of the API, and the silence in it.

const LOUD = 0.03;
const SHORTEST = 1.5;
const REST = 0.3;

/** Return the loudness of each channel, from 0 to 1 for each pixel, of a waveform in audiowaveform's format. */
export function loudness({ channels, length, data }) {
  return Array.from({ length: channels }, (_, channel) =>
    Array.from({ length }, (_, pixel) => {
      const at = 2 * (pixel * channels + channel);
      return Math.max(-data[at], data[at + 1], 0) / 128;
    }),
  );
}

/** Return the silent parts of all channels, as pairs of seconds. A short rest stays at both ends. */
export function silentParts(channels, seconds) {
  const length = channels[0]?.length ?? 0;
  const second = (pixel) => (pixel * seconds) / length;
  const parts = [];
  let begin = 0;
  for (let pixel = 0; pixel <= length; pixel += 1) {
    const isSilent = pixel < length && channels.every((channel) => channel[pixel] < LOUD);
    if (isSilent) continue;
    if (second(pixel) - second(begin) >= SHORTEST) parts.push([second(begin) + REST, second(pixel) - REST]);
    begin = pixel + 1;
  }
  return parts;
}
