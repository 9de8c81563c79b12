import { CliError } from './errors.ts';

/**
 * Sets the limit of core files to nothing, for this process and what it starts, then becomes the program: a process can lower the limit of
 * itself only, and Node cannot at all.
 */
const withoutCoreFiles = 'ulimit -c 0; exec "$0" "$@"';

/**
 * The command line of a Node that keeps its memory to itself: no core files, no inspector on SIGUSR1, and OpenSSL's locked heap where
 * TRIALKEEP_SECURE_HEAP_MIB asks for it (docs/how-to/memory-of-the-server.md).
 *
 * @returns a program and its arguments
 * @throws CliError `cli.secure_heap`
 */
export function protectedNode(
  entry: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): [program: string, args: string[]] {
  const options = ['--disable-sigusr1', ...secureHeapOptions(env['TRIALKEEP_SECURE_HEAP_MIB'])];
  return ['/bin/sh', ['-c', withoutCoreFiles, process.execPath, ...options, entry, ...args]];
}

function secureHeapOptions(mebibytes: string | undefined): string[] {
  if (mebibytes === undefined || mebibytes === '') return [];
  const size = Number(mebibytes);
  // OpenSSL takes powers of two (CRYPTO_secure_malloc_init(3)).
  if (!/^[0-9]{1,4}$/.test(mebibytes) || size === 0 || size > 4096 || !Number.isInteger(Math.log2(size)))
    throw new CliError('cli.secure_heap', { detail: mebibytes });
  return [`--secure-heap=${size * 1024 * 1024}`, '--secure-heap-min=2'];
}
