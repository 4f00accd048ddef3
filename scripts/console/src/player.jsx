// Plays a recording: a slider, speed, silence, keys, and the waveform.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { request } from "./api.js";
import { duration } from "./format.js";
import { loudness, silentParts } from "./silence.js";
import { text, word } from "./texts.js";
import { Choice, Failure, Tick } from "./ui.jsx";
import { useQuery } from "./use_query.js";
import { Waveform } from "./waveform.jsx";

const AUDIO = /* GraphQL */ `
  query Audio($id: ID!) {
    recording(id: $id) {
      media {
        url
        mp3: url(format: MP3)
        wav: url(format: WAV)
        opus: url(format: OPUS)
        flac: url(format: FLAC)
        contentType
      }
    }
  }
`;
const PEAKS = /* GraphQL */ `
  query Peaks($id: ID!) {
    recording(id: $id) {
      media {
        peaks(pixels: 2000)
      }
    }
  }
`;
const SPEEDS = ["0.5", "0.75", "1", "1.25", "1.5", "2", "3"];
const FORMATS = ["mp3", "wav", "opus", "flac"];
const STEP = 5;
const NO_CHANNELS = [];

export function Player({ recording }) {
  const [audio, setAudio] = useState(null);
  const urls = useQuery(AUDIO, { id: recording.plainId });
  const peaks = useQuery(PEAKS, { id: recording.plainId });
  const waveform = peaks.data?.recording?.media?.peaks;
  const channels = useMemo(() => (waveform ? loudness(waveform) : NO_CHANNELS), [waveform]);
  const seconds = recording.media.durationMs / 1000;
  const player = usePlayer(audio, recording.plainId, seconds);
  const silence = useMemo(() => silentParts(channels, seconds), [channels, seconds]);
  // The recording is read again after each change of it. Its parts are then equal, but other objects.
  const spans = useMemo(() => recording.spans, [JSON.stringify(recording.spans)]);
  useSkipping(audio, player.skips ? silence : NO_CHANNELS);
  useKeys(player);
  const media = urls.data?.recording?.media;
  const { time, isPlaying, speed, skips } = player;
  return (
    <section class="card" aria-label={text("player.title")}>
      {/* Without preloading, the audit trail has only what was played. */}
      <audio ref={setAudio} src={media && playable(media)} preload="none" />
      <Failure
        error={urls.error ?? peaks.error ?? player.error}
        onRetry={urls.error ? urls.reload : peaks.error ? peaks.reload : undefined}
      />
      {audio && channels.length > 0 && (
        <Waveform audio={audio} channels={channels} seconds={seconds} spans={spans} onSeek={player.setTime} />
      )}
      <div class="row">
        <button type="button" class="primary" onClick={player.toggle} disabled={!media}>
          {text(isPlaying ? "player.pause" : "player.play")}
        </button>
        <button type="button" onClick={() => player.move(-STEP)}>
          {text("player.back")}
        </button>
        <button type="button" onClick={() => player.move(STEP)}>
          {text("player.forward")}
        </button>
        <input
          type="range"
          class="grow"
          aria-label={text("player.position")}
          aria-valuetext={duration(time * 1000)}
          min="0"
          max={seconds}
          step="0.1"
          value={time}
          onInput={(event) => player.seek(Number(event.target.value))}
        />
        <span class="time">
          {duration(time * 1000)} / {duration(recording.media.durationMs)}
        </span>
      </div>
      <div class="row">
        <Choice
          label={text("player.speed")}
          value={String(speed)}
          onChange={(event) => player.setSpeed(Number(event.target.value))}
          options={SPEEDS.map((each) => [each, text("player.times", { speed: each })])}
        />
        <Tick label={text("player.skip")} checked={skips} onChange={(event) => player.setSkips(event.target.checked)} />
        <small class="hint">{text("player.keys")}</small>
      </div>
      <Spans spans={spans} onSeek={player.seek} />
      {media && (
        <p class="row">
          <span>{text("player.download")}</span>
          {FORMATS.map((format) => (
            <a key={format} href={media[format].replace("&inline=true", "")} download>
              {format.toUpperCase()}
            </a>
          ))}
        </p>
      )}
    </section>
  );
}

/** Return the URL of the stored audio, or of MP3 if the browser cannot play the stored format. */
function playable(media) {
  return document.createElement("audio").canPlayType(media.contentType) ? media.url : media.mp3;
}

function Spans({ spans, onSeek }) {
  if (spans.length === 0) return null;
  return (
    <ul>
      {spans.map(({ kind, atMs, durationMs }) => (
        <li key={`${kind} ${atMs}`}>
          <button type="button" class="plain" onClick={() => onSeek(atMs / 1000)}>
            {text("player.span", { kind: word("span", kind), at: duration(atMs), length: duration(durationMs) || "…" })}
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Return the state of an audio element, and the functions that change it. */
function usePlayer(audio, id, length) {
  const [time, setTime] = useState(0);
  const [isPlaying, setIsPlaying] = useState(false);
  const [error, setError] = useState();
  const [speed, setSpeed] = useState(1);
  const [skips, setSkips] = useState(false);
  const isRenewed = useRef(false);
  useEffect(() => {
    if (!audio) return undefined;
    const moved = () => setTime(audio.currentTime);
    const started = () => {
      setError(undefined);
      setIsPlaying(true);
    };
    const failed = async () => {
      if (!audio.getAttribute("src")) return;
      if (isRenewed.current) {
        setError({ code: "AUDIO" });
        return;
      }
      // The URL expires after some minutes. Playback continues with a new one.
      isRenewed.current = true;
      const at = audio.currentTime;
      try {
        audio.src = playable((await request(AUDIO, { id })).recording.media);
        audio.currentTime = at;
        if (isPlaying) await audio.play();
      } catch (caught) {
        setError(caught.code ? caught : { code: "AUDIO" });
      }
    };
    const handlers = {
      timeupdate: moved,
      seeking: moved,
      play: started,
      // Not `play`: audio that fails again must not be requested without end.
      playing: () => (isRenewed.current = false),
      error: failed,
      pause: () => setIsPlaying(false),
      ended: () => setIsPlaying(false),
    };
    for (const [name, handle] of Object.entries(handlers)) audio.addEventListener(name, handle);
    return () => {
      for (const [name, handle] of Object.entries(handlers)) audio.removeEventListener(name, handle);
    };
  }, [audio, id, isPlaying]);
  useEffect(() => {
    if (audio) audio.playbackRate = speed;
  }, [audio, speed, isPlaying]);
  const seek = (seconds) => {
    audio.currentTime = Math.max(0, Math.min(seconds, length));
    // Before the first play, the audio is not loaded, and reports no change to the slider and the waveform.
    audio.dispatchEvent(new Event("timeupdate"));
  };
  const move = (seconds) => seek(audio.currentTime + seconds);
  const toggle = () => (audio.paused ? audio.play().catch(() => {}) : audio.pause());
  return { time, setTime, isPlaying, error, speed, setSpeed, skips, setSkips, seek, move, toggle };
}

/** Skip parts of the audio while it plays. */
function useSkipping(audio, parts) {
  useEffect(() => {
    if (!audio || parts.length === 0) return undefined;
    const skip = () => {
      const part = !audio.paused && parts.find(([begin, end]) => begin <= audio.currentTime && audio.currentTime < end);
      if (part) [, audio.currentTime] = part;
    };
    audio.addEventListener("timeupdate", skip);
    return () => audio.removeEventListener("timeupdate", skip);
  }, [audio, parts]);
}

/** Control the player with keys, unless the focus is in a control that uses them itself. */
function useKeys({ speed, toggle, move, setSpeed }) {
  useEffect(() => {
    const faster = (step) => {
      const next = SPEEDS[SPEEDS.indexOf(String(speed)) + step];
      if (next) setSpeed(Number(next));
    };
    const actions = {
      " ": toggle,
      ArrowLeft: () => move(-STEP),
      ArrowRight: () => move(STEP),
      "+": () => faster(1),
      "-": () => faster(-1),
    };
    const pressed = (event) => {
      const action = actions[event.key];
      const isTaken = event.target.closest("input, select, textarea, button, a, summary");
      if (!action || isTaken || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });
}
