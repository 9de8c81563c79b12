import type { Io } from './io.ts';
import { humanBytes } from './output.ts';
import type { OutputOptions } from './output.ts';

/** A bar on the terminal. */
export interface Progress {
  /** @param done of `total`, in the unit of the bar; `total` may change */
  update(done: number, total: number): void;
  /** Takes the bar off the line, so that a result can be printed. */
  stop(): void;
}

/** Bytes count with decimal prefixes, everything else one by one. */
export type Unit = 'bytes' | 'files' | 'entries' | 'data keys' | 'pages';

/** A progress bar on standard error, where that is a terminal and the output is for people; otherwise nothing. */
export async function startProgress(
  io: Io,
  options: OutputOptions,
  label: string,
  unit: Unit,
): Promise<Progress> {
  if (io.stderr.isTTY !== true || options.json === true) {
    return { update: () => undefined, stop: () => undefined };
  }
  const { SingleBar } = (await import('cli-progress')).default;
  const show = (amount: number) => (unit === 'bytes' ? humanBytes(amount) : `${amount}`);
  const bar = new SingleBar({
    stream: io.stderr,
    format: `${label} [{bar}] {percentage}% · {done} of {all}${unit === 'bytes' ? '' : ` ${unit}`} · {rate}/s`,
    barsize: 28,
    hideCursor: true,
    clearOnComplete: true,
    // Signals are the program's; it stops the bar on its way out.
    gracefulExit: false,
  });
  const startedMs = performance.now();
  let started = false;
  return {
    update: (done, total) => {
      const seconds = Math.max((performance.now() - startedMs) / 1000, 0.001);
      const texts = { done: show(done), all: show(total), rate: show(Math.round(done / seconds)) };
      if (!started) bar.start(total, done, texts);
      started = true;
      bar.setTotal(total);
      bar.update(done, texts);
    },
    stop: () => bar.stop(),
  };
}
