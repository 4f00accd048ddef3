// The waveform of a recording, with its pauses and masks. The pointer seeks in it; the keyboard has the slider.
import { useEffect, useRef } from "preact/hooks";
import WaveSurfer from "wavesurfer.js";
import RegionsPlugin from "wavesurfer.js/dist/plugins/regions.js";

import { color, useScheme } from "./colors.js";
import { text, word } from "./texts.js";

const HEIGHT = 72;
// The style element of the waveform needs the nonce of the page's policy.
const cspNonce = document.currentScript.nonce;

/** `channels` has the loudness of each channel, `spans` the parts of the call that are not in the audio. */
export function Waveform({ audio, channels, seconds, spans, onSeek }) {
  const container = useRef();
  const scheme = useScheme();
  useEffect(() => {
    const regions = RegionsPlugin.create();
    const colors = [color("accent"), color("good")];
    const surfer = WaveSurfer.create({
      container: container.current,
      media: audio,
      peaks: channels,
      duration: seconds,
      normalize: true,
      height: HEIGHT,
      cursorColor: color("text"),
      splitChannels: channels.map((_, index) => ({ waveColor: color("soft"), progressColor: colors[index % 2] })),
      plugins: [regions],
      cspNonce,
    });
    surfer.on("interaction", onSeek);
    surfer.on("ready", () => {
      regions.clearRegions();
      for (const span of spans) regions.addRegion(regionOf(span));
    });
    return () => surfer.destroy();
  }, [audio, channels, seconds, spans, onSeek, scheme]);
  const names = channels.length > 1 ? ["list.column.caller", "list.column.callee"] : [];
  return (
    <div class="waveform">
      {names.map((name) => (
        <span key={name}>{text(name)}</span>
      ))}
      <div ref={container} aria-hidden="true" />
    </div>
  );
}

/** A pause takes no time in the audio, so it is a line. */
function regionOf({ kind, atMs, durationMs }) {
  const start = atMs / 1000;
  const end = kind === "PAUSED" ? undefined : start + (durationMs ?? 0) / 1000;
  const shade = color("live").replace(/^rgb\((.+)\)$/, "rgba($1, 0.35)");
  return { start, end, content: word("span", kind), color: shade, drag: false, resize: false };
}
