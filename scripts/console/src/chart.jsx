// A chart of bars. It is a picture for a screen reader; the page has the same figures in a table.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import { color, useScheme } from "./colors.js";

const HEIGHT = 200;
const BAR = 0.7;
const AXIS = 64;

/** `times` are seconds, or undefined for bars with `names` only. `onOpen` is called with the index of a clicked bar. */
export function Chart({ label, times, names, values, format, onOpen }) {
  const container = useRef();
  const opened = useRef(onOpen);
  opened.current = onOpen;
  const [hint, setHint] = useState("");
  const scheme = useScheme();
  const key = JSON.stringify([times, names, values]);
  useEffect(() => {
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
    const nameAxis = { values: (_, splits) => splits.map((at) => (Number.isInteger(at) ? shortened(names[at]) : "")) };
    const positions = times ?? names.map((_, index) => index);
    const chart = new uPlot(
      {
        width: container.current.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: { time: Boolean(times), range: paddedRange }, y: { range: (_, __, most) => [0, most || 1] } },
        axes: [
          { ...axis, ...(times ? {} : nameAxis) },
          { ...axis, size: AXIS, values: (_, splits) => splits.map(format) },
        ],
        series: [
          {},
          {
            fill: color("accent"),
            stroke: color("accent"),
            width: 0,
            points: { show: false },
            paths: uPlot.paths.bars({ size: [BAR, 60] }),
          },
        ],
        hooks: {
          setCursor: [
            ({ cursor: { idx } }) =>
              setHint(idx === null || idx === undefined ? "" : `${names[idx]}: ${format(values[idx])}`),
          ],
        },
      },
      [positions, values],
      container.current,
    );
    const clicked = ({ offsetX }) => opened.current(chart.posToIdx(offsetX));
    chart.over.addEventListener("click", clicked);
    const observer = new ResizeObserver(([{ contentRect }]) =>
      chart.setSize({ width: contentRect.width, height: HEIGHT }),
    );
    observer.observe(container.current);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [key, scheme]);
  return (
    <>
      <div ref={container} class="chart" role="img" aria-label={label} />
      <small class="hint" aria-hidden="true">
        {hint || "\u00a0"}
      </small>
    </>
  );
}

const shortened = (name = "") => (name.length > 10 ? `${name.slice(0, 9)}…` : name);

/** Return the range of the positions, with room for half a bar at both ends. */
function paddedRange({ data: [positions] }) {
  const [first, last] = [positions[0], positions.at(-1)];
  const half = positions.length > 1 ? (last - first) / (positions.length - 1) / 2 : 1;
  return [first - half, last + half];
}
