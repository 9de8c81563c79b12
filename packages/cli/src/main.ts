import { Interruption } from './io.ts';
import { run } from './program.ts';

/** The `trialkeep` process: its streams, environment and signals, around one command line. */

const controller = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // Once: whoever asks again gets the system's answer.
  process.once(signal, () => controller.abort(new Interruption(signal)));
}
// A failed write is known to whoever waits for it; the event behind it would end the process.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const { stdin, stdout, stderr, env } = process;
process.exitCode = await run(process.argv.slice(2), {
  stdin,
  stdout,
  stderr,
  env,
  signal: controller.signal,
});
