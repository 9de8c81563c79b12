import { getFips, secureHeapUsed } from 'node:crypto';
import { readFileSync } from 'node:fs';
import inspector from 'node:inspector';
import { basename } from 'node:path';

/** What keeps the memory of this process from others, as far as the system tells (docs/how-to/memory-of-the-server.md). */
export interface ProcessFacts {
  /** Largest core file, bytes; `undefined` where the system does not tell. */
  readonly coreFileBytes: number | undefined;
  /** Whether a core dump would hold memory (core(5), coredump_filter); `undefined` where the system does not tell. */
  readonly isMemoryDumped: boolean | undefined;
  readonly isInspected: boolean;
  /** Process id of a debugger that is attached, 0 for none. */
  readonly tracer: number;
  /** Value of kernel.yama.ptrace_scope; `undefined` where the kernel has no such rule. */
  readonly ptraceScope: number | undefined;
  /** Where memory may be written out to. */
  readonly swap: 'none' | 'encrypted' | 'memory' | 'unknown';
  /** Bytes of this process that have been written out. */
  readonly swappedBytes: number;
  /** OpenSSL's locked heap, bytes; 0 where it was not asked for. */
  readonly secureHeapBytes: number;
  readonly isFips: boolean;
}

/** Reads a file of the system as text; `undefined` where it is not there. */
export type ReadSystemFile = (path: string) => string | undefined;

export function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Linux tells in /proc (proc(5)); elsewhere most of it stays unknown. */
export function processFacts(read: ReadSystemFile = readSystemFile): ProcessFacts {
  const status = read('/proc/self/status') ?? '';
  const scope = read('/proc/sys/kernel/yama/ptrace_scope');
  const filter = read('/proc/self/coredump_filter');
  return {
    coreFileBytes: coreFileBytes(read('/proc/self/limits')),
    isMemoryDumped: filter === undefined ? undefined : Number.parseInt(filter, 16) !== 0,
    isInspected: inspector.url() !== undefined,
    tracer: Number(/^TracerPid:\s*(\d+)$/m.exec(status)?.[1] ?? 0),
    ptraceScope: scope === undefined ? undefined : Number(scope),
    swap: swapOf(read),
    swappedBytes: 1024 * Number(/^VmSwap:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0),
    secureHeapBytes: secureHeapUsed()?.total ?? 0,
    isFips: getFips() === 1,
  };
}

function coreFileBytes(limits: string | undefined): number | undefined {
  const soft = /^Max core file size\s+(\S+)/m.exec(limits ?? '')?.[1];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Infinity : Number(soft);
}

/** Whether memory of this process can reach a disk, and whether it is encrypted there: the worst of all swap areas. */
function swapOf(read: ReadSystemFile): ProcessFacts['swap'] {
  const areas = read('/proc/swaps')?.trim().split('\n').slice(1);
  if (areas === undefined) return 'unknown';
  if (areas.length === 0 || isKeptFromSwap(read)) return 'none';
  const kinds = areas.map((line) => {
    const name = basename(line.split(/\s+/)[0] ?? '');
    if (/^zram\d+$/.test(name)) return 'memory';
    // dm-crypt names its mappings so (linux/drivers/md/dm-crypt and cryptsetup, "UUID of the mapping").
    return read(`/sys/block/${name}/dm/uuid`)?.startsWith('CRYPT-') === true ? 'encrypted' : 'unknown';
  });
  if (kinds.includes('unknown')) return 'unknown';
  return kinds.includes('encrypted') ? 'encrypted' : 'memory';
}

/** The control group may keep its processes from the swap (cgroup v2, memory.swap.max; systemd: MemorySwapMax=0). */
function isKeptFromSwap(read: ReadSystemFile): boolean {
  const group = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1];
  return group !== undefined && read(`/sys/fs/cgroup${group}/memory.swap.max`)?.trim() === '0';
}
