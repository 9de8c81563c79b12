import { writeFileSync } from 'node:fs';
import { StartupError } from '../errors.ts';

/**
 * Options of Node that open this process's memory to others, or write it to files: the inspector, snapshots and profiles of the heap,
 * diagnostic reports (they hold the environment), and ending in a core dump.
 */
const revealing =
  /^--(?:no-)?(?:inspect|debug-port|allow-inspector|heapsnapshot|heap-prof|cpu-prof|report-(?:on|signal|uncaught)|abort-on-uncaught|experimental-(?:network|worker|storage)-inspection)/;

/** Options among the given ones that reveal memory, without what was given to them. Node takes `_` for `-`. */
export function revealingOptions(execArgv: readonly string[], nodeOptions = ''): string[] {
  const words = [...execArgv, ...nodeOptions.split(/[\s"]+/)];
  const names = words.map((word) => (word.split('=')[0] ?? '').replaceAll('_', '-'));
  return names.filter((name) => revealing.test(name));
}

/**
 * Closes what can be closed from inside, first of all that this process does. `trialkeep` closes the same from outside, before there is a
 * process.
 *
 * @throws StartupError `process.revealing_options`
 */
export function hardenProcess(): void {
  const options = revealingOptions(process.execArgv, process.env['NODE_OPTIONS']);
  if (options.length > 0) throw new StartupError('process.revealing_options', options.join(' '));
  // Node opens the inspector on this signal, unless something else listens to it.
  process.on('SIGUSR1', () => undefined);
  if (process.report !== undefined) {
    process.report.reportOnFatalError = false;
    process.report.reportOnSignal = false;
    process.report.reportOnUncaughtException = false;
    process.report.excludeEnv = true;
  }
  try {
    // No mapping is written to a core dump (core(5)), also where the limit is not asked: dumps that are piped to a program.
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // Not Linux, or not allowed here: the status page says what follows.
  }
}
